/**
 * SPNEGO (RFC 4178, MS-SPNG) as far as it carries NTLM: NegTokenInit and NegTokenResp, both directions. Pure. The list of
 * mechanisms is kept as it was sent, because `mechListMIC` covers those very bytes.
 */
import { concat, fromHex, hex } from '../../../base/bytes.ts';
import { DerReader, der, tag } from '../../wire/der.ts';
import type { Violation } from '../../wire/violation.ts';

/** Object identifiers, content bytes in hex. */
export const mech = { ntlm: '2b06010401823702020a', kerberos: '2a864886f712010202' } as const;

export const negState = { completed: 0, incomplete: 1, reject: 2, requestMic: 3 } as const;

const spnego = '2b0601050502';

export interface NegTokenInit {
  readonly kind: 'init';
  /** The DER SEQUENCE OF mechTypes, header and all. */
  readonly mechList: Uint8Array;
  /** The same in hex, most wanted first. */
  readonly mechs: readonly string[];
  /** The first message of the most wanted mechanism. */
  readonly token: Uint8Array | undefined;
  readonly mic: Uint8Array | undefined;
}

export interface NegTokenResp {
  readonly kind: 'resp';
  readonly state: number | undefined;
  readonly mech: string | undefined;
  readonly token: Uint8Array | undefined;
  readonly mic: Uint8Array | undefined;
}

export function decodeSpnego(bytes: Uint8Array): NegTokenInit | NegTokenResp | Violation {
  const reader = new DerReader(bytes);
  return reader.next === 0x60 ? decodeInit(reader.into(0x60)) : decodeResp(reader);
}

function decodeInit(reader: DerReader): NegTokenInit | Violation {
  if (hex(reader.content(tag.oid)) !== spnego) reader.fail('not a SPNEGO token');
  const fields = reader.into(tag.context(0)).into(tag.sequence);
  const list = fields.into(tag.context(0));
  const mechList = list.whole(tag.sequence);
  const entries = new DerReader(mechList).into(tag.sequence);
  const mechs: string[] = [];
  while (entries.next !== undefined && mechs.length < 16) mechs.push(hex(entries.content(tag.oid)));
  if (entries.next !== undefined) entries.fail('too many mechanisms');
  fields.optional(tag.context(1));
  const token = octets(fields, 2);
  const mic = octets(fields, 3);
  const violation = reader.violation ?? fields.violation ?? list.violation ?? entries.violation;
  return violation === undefined ? { kind: 'init', mechList, mechs, token, mic } : { violation };
}

function decodeResp(reader: DerReader): NegTokenResp | Violation {
  const fields = reader.into(tag.context(1)).into(tag.sequence);
  let state: number | undefined;
  if (fields.next === tag.context(0)) {
    const inner = fields.into(tag.context(0));
    state = inner.integer(tag.enumerated);
    if (inner.violation !== undefined) fields.fail(inner.violation);
  }
  let chosen: string | undefined;
  if (fields.next === tag.context(1)) {
    const inner = fields.into(tag.context(1));
    chosen = hex(inner.content(tag.oid));
    if (inner.violation !== undefined) fields.fail(inner.violation);
  }
  const token = octets(fields, 2);
  const mic = octets(fields, 3);
  const violation = reader.violation ?? fields.violation;
  return violation === undefined ? { kind: 'resp', state, mech: chosen, token, mic } : { violation };
}

/** [n] OCTET STRING OPTIONAL. */
function octets(fields: DerReader, n: number): Uint8Array | undefined {
  if (fields.next !== tag.context(n)) return undefined;
  const inner = fields.into(tag.context(n));
  const value = inner.content(tag.octets);
  if (inner.violation !== undefined) fields.fail(inner.violation);
  return value;
}

/** DER SEQUENCE OF mechTypes, most wanted first. */
export function encodeMechList(mechs: readonly string[]): Uint8Array {
  return der(tag.sequence, ...mechs.map((name) => der(tag.oid, oid(name))));
}

export function encodeInit(message: Omit<NegTokenInit, 'kind' | 'mechs'>): Uint8Array {
  const fields = [der(tag.context(0), message.mechList), optional(2, message.token), optional(3, message.mic)];
  return der(0x60, der(tag.oid, oid(spnego)), der(tag.context(0), der(tag.sequence, concat(fields))));
}

export function encodeResp(message: Omit<NegTokenResp, 'kind'>): Uint8Array {
  const fields = [optional(2, message.token), optional(3, message.mic)];
  if (message.mech !== undefined) fields.unshift(der(tag.context(1), der(tag.oid, oid(message.mech))));
  if (message.state !== undefined)
    fields.unshift(der(tag.context(0), der(tag.enumerated, Uint8Array.of(message.state))));
  return der(tag.context(1), der(tag.sequence, concat(fields)));
}

function optional(n: number, bytes: Uint8Array | undefined): Uint8Array {
  return bytes === undefined ? new Uint8Array(0) : der(tag.context(n), der(tag.octets, bytes));
}

function oid(digits: string): Uint8Array {
  const bytes = fromHex(digits);
  if (bytes === undefined) throw new RangeError(`not an object identifier in hex: ${digits}`);
  return bytes;
}
