/**
 * The messages of Kerberos' first exchange (RFC 4120 §3.1, §5.4, §5.9), as much of them as proving a password takes: the
 * request, its answer, the error, and what an error says about salt and key type. It asks for a ticket and never reads
 * one. Pure.
 */
import { text } from '../../../../base/bytes.ts';
import {
  boolean,
  element,
  explicit,
  flags,
  generalizedTime,
  generalString,
  integer,
  octetString,
  readElements,
  readFields,
  readInteger,
  readOne,
  readSequence,
  sequence,
  tags,
} from './der.ts';
import { type EncryptionType, encryptionTypes } from './kerberos-keys.ts';

/** Who asks, and for which service. */
export interface Asking {
  readonly client: { readonly type: NameType; readonly parts: readonly string[] };
  readonly service: readonly string[];
  readonly realm: string;
  /** Below 2^31, so that no implementation takes it for a negative number. */
  readonly nonce: number;
  /** Until when the ticket is asked for, `YYYYMMDDHHMMSSZ`. */
  readonly till: string;
  /** The sealed time of day that proves the password (PA-ENC-TIMESTAMP). */
  readonly proof?: { readonly type: EncryptionType; readonly sealed: Uint8Array };
}

/** RFC 4120 §6.2: a login name, or one written `user@domain`. */
export const nameTypes = { principal: 1, service: 2, enterprise: 10 } as const;
export type NameType = (typeof nameTypes)[keyof typeof nameTypes];

const padata = { timestamp: 2, keyInfo: 19, pacRequest: 128 } as const;
const application = { asRequest: 0x6a, asReply: 0x6b, error: 0x7e, asPart: 0x79, tgsPart: 0x7a } as const;
/** The name may come back in another form than it was sent. Needed for enterprise names. */
const canonicalize = 0x00010000;

export function asRequest(asking: Asking): Uint8Array {
  const { client, service, realm, proof } = asking;
  const data = [
    // The list of groups in a ticket is long, and nobody here reads it.
    preauthentication(padata.pacRequest, sequence(explicit(0, boolean(false)))),
    ...(proof === undefined
      ? []
      : [
          preauthentication(
            padata.timestamp,
            sequence(explicit(0, integer(proof.type)), explicit(2, octetString(proof.sealed))),
          ),
        ]),
  ];
  const body = sequence(
    explicit(0, flags(client.type === nameTypes.enterprise ? canonicalize : 0)),
    explicit(1, principal(client.type, client.parts)),
    explicit(2, generalString(realm)),
    explicit(3, principal(nameTypes.service, service)),
    explicit(5, generalizedTime(asking.till)),
    explicit(7, integer(asking.nonce)),
    explicit(
      8,
      sequence(
        ...Object.keys(encryptionTypes)
          .toReversed()
          .map((type) => integer(Number(type))),
      ),
    ),
  );
  return element(
    application.asRequest,
    sequence(explicit(1, integer(5)), explicit(2, integer(10)), explicit(3, sequence(...data)), explicit(4, body)),
  );
}

/** What is sealed for PA-ENC-TIMESTAMP (RFC 4120 §5.2.7.2). */
export function timestamp(time: string, microseconds: number): Uint8Array {
  return sequence(explicit(0, generalizedTime(time)), explicit(1, integer(microseconds)));
}

/** How a password becomes a key for this account. */
export interface KeyInfo {
  readonly type: EncryptionType;
  /** Undefined: realm and name, RFC 4120 §4. */
  readonly salt: Uint8Array | undefined;
  readonly iterations: number;
}

export type Reply =
  | {
      readonly kind: 'error';
      readonly code: number;
      /** The server's time of day, `YYYYMMDDHHMMSSZ`. */
      readonly time: string;
      readonly words: string;
      /** In the order of the server's preference; only types that we know. */
      readonly keys: readonly KeyInfo[];
    }
  | {
      readonly kind: 'granted';
      readonly type: number;
      readonly sealed: Uint8Array;
      readonly keys: readonly KeyInfo[];
    };

/** A server's answer; undefined if it is none. */
export function readReply(bytes: Uint8Array): Reply | undefined {
  const [whole, more] = readElements(bytes) ?? [];
  if (whole === undefined || more !== undefined) return undefined;
  const fields = readFields(whole.content);
  if (fields === undefined || readInteger(fields.get(0)) !== 5) return undefined;
  if (whole.tag === application.error) {
    const code = readInteger(fields.get(6));
    const time = readOne(fields.get(4), tags.time);
    if (readInteger(fields.get(1)) !== 30 || code === undefined || time === undefined) return undefined;
    const words = fields.has(11) ? text(readOne(fields.get(11), tags.generalString) ?? new Uint8Array(0)) : '';
    // What an error carries is a list of hints only sometimes; anything else there is no fault of the message.
    return { kind: 'error', code, time: text(time), words, keys: keyInfos(readOne(fields.get(12), tags.octets)) ?? [] };
  }
  if (whole.tag !== application.asReply || readInteger(fields.get(1)) !== 11) return undefined;
  const part = readFields(fields.get(6));
  const type = readInteger(part?.get(0));
  const sealed = readOne(part?.get(2), tags.octets);
  const keys = fields.has(2) ? keyInfos(fields.get(2)) : [];
  if (type === undefined || sealed === undefined || keys === undefined) return undefined;
  return { kind: 'granted', type, sealed, keys };
}

/** What only somebody who knows the account's key can write: the nonce, and whose service the ticket is for. */
export interface Granted {
  readonly nonce: number;
  readonly realm: string;
  readonly service: readonly string[];
}

/** The opened part of a granting answer (EncKDCRepPart). Some servers give it the tag of the other exchange. */
export function readGranted(bytes: Uint8Array): Granted | undefined {
  const [whole] = readElements(bytes) ?? [];
  if (whole === undefined || (whole.tag !== application.asPart && whole.tag !== application.tgsPart)) return undefined;
  const fields = readFields(whole.content);
  const nonce = readInteger(fields?.get(2));
  const realm = readOne(fields?.get(9), tags.generalString);
  const names = readSequence(readFields(fields?.get(10))?.get(1));
  if (nonce === undefined || realm === undefined || names === undefined) return undefined;
  if (names.some((name) => name.tag !== tags.generalString)) return undefined;
  return { nonce, realm: text(realm), service: names.map((name) => text(name.content)) };
}

/** PA-ETYPE-INFO2 in a list of hints (RFC 4120 §5.2.7.5). Iterations are RFC 3962's, 4096 unless told. */
function keyInfos(hints: Uint8Array | undefined): readonly KeyInfo[] | undefined {
  const list = readSequence(hints);
  if (list === undefined) return undefined;
  for (const { content } of list) {
    const hint = readFields(sequence(content));
    if (readInteger(hint?.get(1)) !== padata.keyInfo) continue;
    const entries = readSequence(readOne(hint?.get(2), tags.octets));
    return entries?.flatMap((entry) => {
      const fields = readFields(sequence(entry.content));
      const type = readInteger(fields?.get(0));
      if (type !== 17 && type !== 18) return [];
      const salt = readOne(fields?.get(1), tags.generalString);
      const parameter = readOne(fields?.get(2), tags.octets);
      const iterations = parameter === undefined ? 4096 : unsigned(parameter);
      return [{ type, salt, iterations }];
    });
  }
  return [];
}

/** Four octets, highest first; anything else counts as none, which no caller accepts. */
function unsigned(octets: Uint8Array): number {
  return octets.length === 4 ? new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0) : 0;
}

function preauthentication(type: number, value: Uint8Array): Uint8Array {
  return sequence(explicit(1, integer(type)), explicit(2, octetString(value)));
}

function principal(type: number, parts: readonly string[]): Uint8Array {
  return sequence(explicit(0, integer(type)), explicit(1, sequence(...parts.map(generalString))));
}
