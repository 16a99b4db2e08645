/**
 * Just enough DER to hand private keys to node:crypto and take them back as bytes. The alternative, JWK, is made of
 * strings, and a string cannot be zeroed. It reads only what node:crypto wrote, never foreign bytes.
 */
import { concat } from '../../../base/bytes.ts';

export const tag = { integer: 0x02, octets: 0x04, oid: 0x06, sequence: 0x30, context0: 0xa0 } as const;

/** One element: tag, length, content. */
export function der(kind: number, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  const header =
    length < 0x80 ? [kind, length] : length < 0x100 ? [kind, 0x81, length] : [kind, 0x82, length >>> 8, length & 0xff];
  return concat([Uint8Array.from(header), ...content]);
}

/** INTEGER of a non-negative magnitude, big-endian. */
export function derInteger(magnitude: Uint8Array): Uint8Array {
  let from = 0;
  while (from < magnitude.length - 1 && magnitude[from] === 0) from++;
  const body = magnitude.subarray(from);
  return der(tag.integer, (body[0] ?? 0x80) >= 0x80 ? concat([Uint8Array.of(0), body]) : body);
}

/** The contents of the elements side by side in `bytes`, as views. */
export function derElements(bytes: Uint8Array): Uint8Array[] {
  const out: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at + 1] ?? 0;
    const long = first < 0x80 ? 0 : first & 0x7f;
    let length = long === 0 ? first : 0;
    for (let i = 0; i < long; i++) length = 256 * length + (bytes[at + 2 + i] ?? 0);
    const start = at + 2 + long;
    out.push(bytes.subarray(start, start + length));
    at = start + length;
  }
  return out;
}
