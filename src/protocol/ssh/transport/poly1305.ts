/**
 * Poly1305 (RFC 8439 §2.5), because node:crypto has it only inside an AEAD whose layout differs from OpenSSH's.
 *
 * Numbers are six limbs of 22 bits in float64: 2^132 ≡ 20 (mod p), so a product column is at most
 * 2^22 · 2^23 · (1 + 5·20) < 2^52 and exact. No branch and no index depends on the key or the data.
 */
const size = 2 ** 22;
const inverse = 2 ** -22;

/** The 16-byte tag of `data` under a one-time key of 32 bytes, which must never be used for other data. */
export function poly1305(key: Uint8Array, data: Uint8Array): Uint8Array {
  const r = new Float64Array(6);
  const clamped = new Uint8Array(key.subarray(0, 16));
  for (const i of [3, 7, 11, 15]) clamped[i] = (clamped[i] ?? 0) & 0x0f;
  for (const i of [4, 8, 12]) clamped[i] = (clamped[i] ?? 0) & 0xfc;
  addBlock(r, clamped, 0, 0);
  clamped.fill(0);
  const h = new Float64Array(6);
  const whole = data.length - (data.length % 16);
  for (let at = 0; at < whole; at += 16) {
    addBlock(h, data, at, 1);
    multiply(h, r);
  }
  if (whole < data.length) {
    const last = new Uint8Array(16);
    last.set(data.subarray(whole));
    last[data.length - whole] = 1;
    addBlock(h, last, 0, 0);
    multiply(h, r);
  }
  const tag = finish(h, key.subarray(16, 32));
  r.fill(0);
  h.fill(0);
  return tag;
}

/** h += the block as a little-endian number, plus `top` · 2^128. */
function addBlock(h: Float64Array, block: Uint8Array, at: number, top: number): void {
  const b = (i: number): number => block[at + i] as number;
  h[0] = (h[0] as number) + (b(0) | (b(1) << 8) | ((b(2) & 0x3f) << 16));
  h[1] = (h[1] as number) + ((b(2) >> 6) | (b(3) << 2) | (b(4) << 10) | ((b(5) & 0x0f) << 18));
  h[2] = (h[2] as number) + ((b(5) >> 4) | (b(6) << 4) | (b(7) << 12) | ((b(8) & 0x03) << 20));
  h[3] = (h[3] as number) + ((b(8) >> 2) | (b(9) << 6) | (b(10) << 14));
  h[4] = (h[4] as number) + (b(11) | (b(12) << 8) | ((b(13) & 0x3f) << 16));
  h[5] = (h[5] as number) + ((b(13) >> 6) | (b(14) << 2) | (b(15) << 10) | (top << 18));
}

/** h = h · r mod 2^130 - 5, not fully reduced: every limb ends below 2^22 + a little. */
function multiply(h: Float64Array, r: Float64Array): void {
  const [h0, h1, h2, h3, h4, h5] = h as unknown as [number, number, number, number, number, number];
  const [r0, r1, r2, r3, r4, r5] = r as unknown as [number, number, number, number, number, number];
  const s1 = r1 * 20;
  const s2 = r2 * 20;
  const s3 = r3 * 20;
  const s4 = r4 * 20;
  const s5 = r5 * 20;
  let d0 = h0 * r0 + h1 * s5 + h2 * s4 + h3 * s3 + h4 * s2 + h5 * s1;
  let d1 = h0 * r1 + h1 * r0 + h2 * s5 + h3 * s4 + h4 * s3 + h5 * s2;
  let d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s5 + h4 * s4 + h5 * s3;
  let d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s5 + h5 * s4;
  let d4 = h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0 + h5 * s5;
  let d5 = h0 * r5 + h1 * r4 + h2 * r3 + h3 * r2 + h4 * r1 + h5 * r0;
  let carry = Math.floor(d0 * inverse);
  d0 -= carry * size;
  d1 += carry;
  carry = Math.floor(d1 * inverse);
  d1 -= carry * size;
  d2 += carry;
  carry = Math.floor(d2 * inverse);
  d2 -= carry * size;
  d3 += carry;
  carry = Math.floor(d3 * inverse);
  d3 -= carry * size;
  d4 += carry;
  carry = Math.floor(d4 * inverse);
  d4 -= carry * size;
  d5 += carry;
  carry = Math.floor(d5 * inverse);
  d5 -= carry * size;
  d0 += carry * 20;
  carry = Math.floor(d0 * inverse);
  d0 -= carry * size;
  h[0] = d0;
  h[1] = d1 + carry;
  h[2] = d2;
  h[3] = d3;
  h[4] = d4;
  h[5] = d5;
}

/** (h mod p) + s mod 2^128, little-endian. Once a message, so BigInt does for the last reduction. */
function finish(h: Float64Array, s: Uint8Array): Uint8Array {
  let value = 0n;
  for (let i = 5; i >= 0; i--) value = (value << 22n) + BigInt(h[i] as number);
  value %= (1n << 130n) - 5n;
  const view = new DataView(s.buffer, s.byteOffset, 16);
  value += view.getBigUint64(0, true) + (view.getBigUint64(8, true) << 64n);
  const tag = new Uint8Array(16);
  const out = new DataView(tag.buffer);
  out.setBigUint64(0, value & 0xffffffffffffffffn, true);
  out.setBigUint64(8, (value >> 64n) & 0xffffffffffffffffn, true);
  return tag;
}
