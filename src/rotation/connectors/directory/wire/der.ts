/**
 * ASN.1 in its tag-length-value form (X.690), as much of it as Kerberos and LDAP need: tags below 31, definite lengths.
 * Reading never goes outside the bytes given and never throws: what is malformed is undefined. Pure.
 */
import { concat, utf8 } from '../../../../base/bytes.ts';

export interface Element {
  /** The whole identifier octet: class, form and number. */
  readonly tag: number;
  readonly content: Uint8Array;
}

/** Universal tags. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octets: 0x04,
  enumerated: 0x0a,
  sequence: 0x30,
  time: 0x18,
  generalString: 0x1b,
} as const;

/** More elements side by side are no message of ours. */
const mostElements = 1024;

/** The elements that these bytes consist of, to the last byte; undefined if they consist of anything else. */
export function readElements(bytes: Uint8Array): readonly Element[] | undefined {
  const found: Element[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] ?? 0;
    const length = readLength(bytes, at + 1);
    if ((tag & 0x1f) === 0x1f || length === undefined || found.length === mostElements) return undefined;
    const end = length.next + length.value;
    if (end > bytes.length) return undefined;
    found.push({ tag, content: bytes.subarray(length.next, end) });
    at = end;
  }
  return found;
}

/** The content of the one element with this tag that these bytes are, to the last byte. */
export function readOne(bytes: Uint8Array | undefined, tag: number): Uint8Array | undefined {
  const found = bytes === undefined ? undefined : readElements(bytes);
  return found?.length === 1 && found[0]?.tag === tag ? found[0].content : undefined;
}

/**
 * The fields `[n]` of a SEQUENCE of explicitly tagged ones, by number, each still with its inner tag. A number that comes
 * twice is malformed.
 */
export function readFields(sequence: Uint8Array | undefined): ReadonlyMap<number, Uint8Array> | undefined {
  const inside = readOne(sequence, tags.sequence);
  const elements = inside && readElements(inside);
  if (elements === undefined) return undefined;
  const fields = new Map<number, Uint8Array>();
  for (const { tag, content } of elements) {
    if ((tag & 0xe0) !== 0xa0 || fields.has(tag & 0x1f)) return undefined;
    fields.set(tag & 0x1f, content);
  }
  return fields;
}

/** The elements of a SEQUENCE OF. */
export function readSequence(bytes: Uint8Array | undefined): readonly Element[] | undefined {
  const inside = readOne(bytes, tags.sequence);
  return inside && readElements(inside);
}

/** An INTEGER, or an ENUMERATED if its tag is given, of at most five octets. */
export function readInteger(bytes: Uint8Array | undefined, tag: number = tags.integer): number | undefined {
  return integerOf(readOne(bytes, tag));
}

/** The number that an INTEGER's content octets are: two's complement, at most five of them. */
export function integerOf(content: Uint8Array | undefined): number | undefined {
  if (content === undefined || content.length === 0 || content.length > 5) return undefined;
  let value = (content[0] ?? 0) >= 0x80 ? -1 : 0;
  for (const octet of content) value = value * 256 + octet;
  return value;
}

/** X.690 §8.1.3, at most four octets of length. */
function readLength(bytes: Uint8Array, at: number): { readonly value: number; readonly next: number } | undefined {
  const first = bytes[at];
  if (first === undefined) return undefined;
  if (first < 0x80) return { value: first, next: at + 1 };
  const count = first & 0x7f;
  if (count === 0 || count > 4 || at + 1 + count > bytes.length) return undefined;
  let value = 0;
  for (let i = 1; i <= count; i++) value = value * 256 + (bytes[at + i] ?? 0);
  return { value, next: at + 1 + count };
}

/** One element around the parts, with the shortest length. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concat(parts);
  const size = content.length;
  if (size < 0x80) return concat([Uint8Array.of(tag, size), content]);
  const length: number[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
  return concat([Uint8Array.of(tag, 0x80 | length.length, ...length), content]);
}

export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return element(tags.sequence, ...parts);
}

/** `[number]` around one element. */
export function explicit(number: number, inner: Uint8Array): Uint8Array {
  return element(0xa0 | number, inner);
}

/** A whole number from 0 to 2^32 - 1. */
export function integer(value: number): Uint8Array {
  const octets: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  if (octets.length === 0 || (octets[0] ?? 0) >= 0x80) octets.unshift(0);
  return element(tags.integer, Uint8Array.from(octets));
}

export function octetString(bytes: Uint8Array): Uint8Array {
  return element(tags.octets, bytes);
}

export function generalString(text: string): Uint8Array {
  return element(tags.generalString, utf8(text));
}

export function boolean(value: boolean): Uint8Array {
  return element(tags.boolean, Uint8Array.of(value ? 0xff : 0));
}

/** A BIT STRING of 32 bits, the first of them the highest of the number. */
export function flags(bits: number): Uint8Array {
  const content = new Uint8Array(5);
  new DataView(content.buffer).setUint32(1, bits);
  return element(tags.bitString, content);
}

/** `YYYYMMDDHHMMSSZ`. */
export function generalizedTime(text: string): Uint8Array {
  return element(tags.time, utf8(text));
}
