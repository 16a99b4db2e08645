/**
 * bcrypt_pbkdf, the key derivation of encrypted OpenSSH private keys (PROTOCOL.key). Only for reading such keys.
 *
 * A round of a block costs ten to twenty milliseconds; between rounds the event loop gets its turn, so that a large round count
 * delays only the one who brought the key.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { check } from '../../../base/signals.ts';
import { type BlowfishState, blowfishState, encryptPair, expandKey } from './blowfish.ts';

const blockBytes = 32;
const magic = wordsOf(Buffer.from('OxychromaticBlowfishSwatDynamite', 'latin1'));

/** `length` bytes derived from passphrase and salt. The caller zeroes them, and bounds `rounds`. */
export async function bcryptPbkdf(
  passphrase: Uint8Array,
  salt: Uint8Array,
  rounds: number,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const out = new Uint8Array(length);
  const stride = Math.ceil(length / blockBytes);
  const key = wordsOf(sha512(passphrase));
  for (let block = 0; block < stride; block++) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(block + 1);
    let hash = bcryptHash(key, wordsOf(sha512(salt, counter)));
    const sum = hash.slice();
    for (let round = 1; round < rounds; round++) {
      await setImmediate();
      check(signal);
      hash = bcryptHash(key, wordsOf(sha512(hash)));
      for (let i = 0; i < blockBytes; i++) sum[i] = (sum[i] ?? 0) ^ (hash[i] ?? 0);
    }
    // The blocks are interleaved, not joined: byte i of block b stands at i · stride + b.
    for (let i = 0; i * stride + block < length; i++) out[i * stride + block] = sum[i] ?? 0;
    sum.fill(0);
    hash.fill(0);
  }
  key.fill(0);
  return out;
}

/** One bcrypt over two 64-byte hashes, with a fixed cost of 2⁶ and a text of eight words. */
function bcryptHash(key: Int32Array, salt: Int32Array): Uint8Array {
  const state: BlowfishState = blowfishState();
  expandKey(state, key, salt);
  for (let i = 0; i < 64; i++) {
    expandKey(state, salt);
    expandKey(state, key);
  }
  const text = magic.slice();
  for (let at = 0; at < text.length; at += 2) for (let i = 0; i < 64; i++) encryptPair(state, text, at);
  const out = Buffer.alloc(blockBytes);
  for (const [i, value] of text.entries()) out.writeInt32LE(value, 4 * i);
  state.p.fill(0);
  state.s.fill(0);
  return out;
}

function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function wordsOf(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(4 * i));
}
