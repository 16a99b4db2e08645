/**
 * MD4 (RFC 1320). NTLM keys a password with it and no present library offers it any more. Pure. It is broken as a hash:
 * nothing else may use it.
 */
import { LittleReader } from '../../wire/little-reader.ts';

const steps: readonly { readonly add: number; readonly order: readonly number[]; readonly turns: readonly number[] }[] =
  [
    { add: 0, order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], turns: [3, 7, 11, 19] },
    { add: 0x5a827999, order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15], turns: [3, 5, 9, 13] },
    { add: 0x6ed9eba1, order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15], turns: [3, 9, 11, 15] },
  ];

function mix(round: number, b: number, c: number, d: number): number {
  if (round === 0) return (b & c) | (~b & d);
  if (round === 1) return (b & c) | (b & d) | (c & d);
  return b ^ c ^ d;
}

/** The 16-byte digest of `bytes`. Its own copy of the padded message is zeroed, because it may be a password. */
export function md4(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n, true);
  let state: readonly [number, number, number, number] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < padded.length; at += 64) state = block(state, padded.subarray(at, at + 64));
  padded.fill(0);
  const digest = new Uint8Array(16);
  const out = new DataView(digest.buffer);
  state.forEach((word, i) => {
    out.setInt32(4 * i, word, true);
  });
  return digest;
}

function block(
  state: readonly [number, number, number, number],
  bytes: Uint8Array,
): readonly [number, number, number, number] {
  const reader = new LittleReader(bytes);
  const words = Uint32Array.from({ length: 16 }, () => reader.u32());
  let [a, b, c, d] = state;
  steps.forEach(({ add, order, turns }, round) => {
    order.forEach((word, i) => {
      const sum = (a + mix(round, b, c, d) + (words[word] ?? 0) + add) | 0;
      const turn = turns[i % 4] ?? 0;
      [a, d, c, b] = [d, c, b, (sum << turn) | (sum >>> (32 - turn))];
    });
  });
  words.fill(0);
  return [(state[0] + a) | 0, (state[1] + b) | 0, (state[2] + c) | 0, (state[3] + d) | 0];
}
