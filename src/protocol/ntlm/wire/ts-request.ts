/**
 * TSRequest (MS-CSSP §2.2.1), the one message of CredSSP in both directions. Pure.
 *
 *   SEQUENCE { [0] version, [1] negoTokens SEQUENCE OF SEQUENCE { [0] OCTET STRING }, [2] authInfo, [3] pubKeyAuth,
 *              [4] errorCode, [5] clientNonce }
 */
import { concat } from '../../../base/bytes.ts';
import { DerReader, der, derInteger, derLength, tag } from '../../wire/der.ts';
import type { Violation } from '../../wire/violation.ts';

/** More than this is refused before it is read. Real ones hold a few kilobytes. */
export const largestTsRequest = 64 * 1024;

export interface TsRequest {
  readonly version: number;
  readonly negoToken?: Uint8Array | undefined;
  readonly authInfo?: Uint8Array | undefined;
  readonly pubKeyAuth?: Uint8Array | undefined;
  /** NTSTATUS, without a sign. */
  readonly errorCode?: number | undefined;
  readonly clientNonce?: Uint8Array | undefined;
}

/**
 * How many bytes the TSRequest has that starts `bytes`: a number, `undefined` while too few are there to tell, or
 * `broken` if it is none or larger than `largestTsRequest`. For cutting it out of a stream.
 */
export function tsRequestLength(bytes: Uint8Array): number | undefined | 'broken' {
  if (bytes.length > 0 && bytes[0] !== tag.sequence) return 'broken';
  const length = derLength(bytes);
  return typeof length === 'number' && length > largestTsRequest ? 'broken' : length;
}

/** Exactly one whole TSRequest: bytes after it are a violation. */
export function decodeTsRequest(bytes: Uint8Array): TsRequest | Violation {
  if (bytes.length > largestTsRequest) return { violation: 'TSRequest is too large' };
  const reader = new DerReader(bytes);
  const fields = reader.into(tag.sequence);
  if (reader.remaining > 0) reader.fail('bytes after the TSRequest');
  const version = inner(fields, 0, (field) => field.integer()) ?? fields.fail('TSRequest without a version') ?? 0;
  const negoToken = inner(fields, 1, (field) => token(field));
  const authInfo = inner(fields, 2, (field) => field.content(tag.octets));
  const pubKeyAuth = inner(fields, 3, (field) => field.content(tag.octets));
  const errorCode = inner(fields, 4, (field) => status(field));
  const clientNonce = inner(fields, 5, (field) => field.content(tag.octets));
  if (fields.remaining > 0) fields.fail('unknown field in the TSRequest');
  const violation = reader.violation ?? fields.violation;
  if (violation !== undefined) return { violation };
  return { version, negoToken, authInfo, pubKeyAuth, errorCode, clientNonce };
}

function inner<T>(fields: DerReader, n: number, read: (field: DerReader) => T): T | undefined {
  if (fields.next !== tag.context(n)) return undefined;
  const field = fields.into(tag.context(n));
  const value = read(field);
  if (field.remaining > 0) field.fail('bytes after a field');
  if (field.violation !== undefined) fields.fail(field.violation);
  return value;
}

/** The only token: nobody sends more than one, and nobody says what a second would mean. */
function token(field: DerReader): Uint8Array {
  const list = field.into(tag.sequence);
  const entry = list.into(tag.sequence);
  const slot = entry.into(tag.context(0));
  const value = slot.content(tag.octets);
  const violation = slot.violation ?? entry.violation ?? list.violation;
  if (violation !== undefined) field.fail(violation);
  if (list.remaining > 0) field.fail('more than one token');
  return value;
}

/** An NTSTATUS: four bytes as they stand, or five with a leading zero. */
function status(field: DerReader): number {
  const bytes = field.content(tag.integer);
  const digits = bytes.length === 5 && bytes[0] === 0 ? bytes.subarray(1) : bytes;
  if (digits.length === 0 || digits.length > 4) field.fail('error code of no or too many bytes');
  let value = 0;
  for (const byte of digits.subarray(0, 4)) value = ((value << 8) | byte) >>> 0;
  return value;
}

export function encodeTsRequest(message: TsRequest): Uint8Array {
  const fields = [der(tag.context(0), derInteger(message.version))];
  const put = (n: number, content: Uint8Array | undefined): void => {
    if (content !== undefined) fields.push(der(tag.context(n), der(tag.octets, content)));
  };
  if (message.negoToken !== undefined) {
    const entry = der(tag.sequence, der(tag.context(0), der(tag.octets, message.negoToken)));
    fields.push(der(tag.context(1), der(tag.sequence, entry)));
  }
  put(2, message.authInfo);
  put(3, message.pubKeyAuth);
  if (message.errorCode !== undefined) {
    // Four bytes, though DER would put a zero before a set sign bit: real clients take no fifth byte.
    const code = message.errorCode;
    const digits = Uint8Array.of(code >>> 24, code >>> 16, code >>> 8, code);
    fields.push(der(tag.context(4), der(tag.integer, digits)));
  }
  put(5, message.clientNonce);
  return der(tag.sequence, concat(fields));
}
