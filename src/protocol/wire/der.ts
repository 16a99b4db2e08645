/**
 * DER (X.690) as CredSSP, SPNEGO and RDCleanPath use it: one element after another, definite lengths of at most four
 * bytes. Pure. The reader takes longer forms of a length than needed, because real peers send them; it never reads past
 * the end, and its first violation stays.
 */
import { concat, empty } from '../../base/bytes.ts';

export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utf8: 0x0c,
  sequence: 0x30,
  /** [n] EXPLICIT of a context. */
  context: (n: number): number => 0xa0 + n,
} as const;

/** One element: tag, length, content. */
export function der(kind: number, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return concat([Uint8Array.from([kind, ...lengthBytes(length)]), ...content]);
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  if (length < 0x100) return [0x81, length];
  if (length < 0x10000) return [0x82, length >>> 8, length & 0xff];
  return [0x83, length >>> 16, (length >>> 8) & 0xff, length & 0xff];
}

/** INTEGER of a number from 0 to 2^31 − 1, in its shortest form. */
export function derInteger(value: number): Uint8Array {
  const bytes = [value & 0xff];
  for (let rest = value >>> 8; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  if ((bytes[0] ?? 0) >= 0x80) bytes.unshift(0);
  return der(tag.integer, Uint8Array.from(bytes));
}

/**
 * How long the element that starts `bytes` is, header and all: a number, `undefined` while its header is not complete,
 * or `broken` if it has no definite length or one of more than four bytes. For cutting messages out of a stream.
 */
export function derLength(bytes: Uint8Array): number | undefined | 'broken' {
  if (bytes.length < 2) return undefined;
  const first = bytes[1] ?? 0;
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  if (count === 0 || count > 4) return 'broken';
  if (bytes.length < 2 + count) return undefined;
  let length = 0;
  for (let i = 0; i < count; i++) length = length * 256 + (bytes[2 + i] ?? 0);
  return 2 + count + length;
}

export class DerReader {
  violation: string | undefined;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes =
      bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get remaining(): number {
    return this.violation === undefined ? this.#bytes.length - this.#at : 0;
  }

  fail(why: string): void {
    this.violation ??= why;
  }

  /** The next element's tag, or undefined at the end. */
  get next(): number | undefined {
    return this.remaining > 0 ? this.#bytes[this.#at] : undefined;
  }

  /** The content of the next element, which must have this tag. */
  content(kind: number): Uint8Array {
    return this.#take(kind, false);
  }

  /** The whole next element with its header, which must have this tag: what a signature covers. */
  whole(kind: number): Uint8Array {
    return this.#take(kind, true);
  }

  /** The content of the next element if it has this tag; otherwise nothing is read. */
  optional(kind: number): Uint8Array | undefined {
    return this.next === kind ? this.content(kind) : undefined;
  }

  /** Walks into the next element. Its violations are its own: look at the inner reader as well. */
  into(kind: number): DerReader {
    const inner = new DerReader(this.content(kind));
    if (this.violation !== undefined) inner.fail(this.violation);
    return inner;
  }

  /** INTEGER or ENUMERATED of at most four bytes, with its sign. */
  integer(kind: number = tag.integer): number {
    const bytes = this.content(kind);
    if (bytes.length === 0 || bytes.length > 4) this.fail('integer of no or too many bytes');
    if (this.violation !== undefined) return 0;
    let value = (bytes[0] ?? 0) >= 0x80 ? -1 : 0;
    for (const byte of bytes) value = (value << 8) | byte;
    return value;
  }

  #take(kind: number, withHeader: boolean): Uint8Array {
    if (this.violation !== undefined) return empty;
    const from = this.#at;
    const left = this.#bytes.subarray(from);
    const length = derLength(left);
    if (length === undefined || length === 'broken' || length > left.length) {
      this.violation = 'element runs past the end';
      return empty;
    }
    if (left[0] !== kind) {
      this.violation = `element has tag ${left[0]} where ${kind} is due`;
      return empty;
    }
    this.#at += length;
    const first = left[1] ?? 0;
    const header = first < 0x80 ? 2 : 2 + (first & 0x7f);
    return left.subarray(withHeader ? 0 : header, length);
  }
}
