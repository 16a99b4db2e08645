/**
 * Keys and encryption of Kerberos' AES types: aes128-cts-hmac-sha1-96 and aes256-cts-hmac-sha1-96 (RFC 3961, RFC 3962).
 * The block cipher, HMAC and PBKDF2 come in as arguments. Nothing here decides whether a key is right. Pure.
 */
import { concat, same, utf8 } from '../../../../base/bytes.ts';

/** Assigned numbers of RFC 3962 §7, and the length of their keys in bytes. */
export const encryptionTypes = { 18: 32, 17: 16 } as const;
export type EncryptionType = keyof typeof encryptionTypes;

/** Key usage numbers, RFC 4120 §7.5.1. */
export const usages = { timestamp: 1, asReply: 3 } as const;

export interface Primitives {
  /** PBKDF2 with HMAC-SHA-1. */
  readonly pbkdf2: (password: Uint8Array, salt: Uint8Array, iterations: number, length: number) => Uint8Array;
  /** HMAC-SHA-1. */
  readonly hmac: (key: Uint8Array, data: Uint8Array) => Uint8Array;
  /** AES in CBC mode without padding, from a zero vector; `data` is whole blocks. */
  readonly encrypt: (key: Uint8Array, data: Uint8Array) => Uint8Array;
  readonly decrypt: (key: Uint8Array, data: Uint8Array) => Uint8Array;
}

const block = 16;
const macLength = 12;

/** The key of a password, RFC 3962 §4. */
export function stringToKey(
  crypto: Primitives,
  type: EncryptionType,
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
): Uint8Array {
  const key = crypto.pbkdf2(password, salt, iterations, encryptionTypes[type]);
  return deriveKey(crypto, key, utf8('kerberos'));
}

/** DK of RFC 3961 §5.1; for AES random-to-key changes nothing. */
export function deriveKey(crypto: Primitives, key: Uint8Array, constant: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let last = fold(constant, block);
  for (let length = 0; length < key.length; length += block) {
    last = crypto.encrypt(key, last);
    parts.push(last);
  }
  return concat(parts).subarray(0, key.length);
}

/** Encrypts and seals, RFC 3961 §5.3. `confounder` is a block of chance. */
export function seal(
  crypto: Primitives,
  key: Uint8Array,
  usage: number,
  confounder: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  const whole = concat([confounder, plain]);
  const mac = crypto.hmac(deriveKey(crypto, key, constant(usage, 0x55)), whole);
  const body = encryptCts(crypto, deriveKey(crypto, key, constant(usage, 0xaa)), whole);
  return concat([body, mac.subarray(0, macLength)]);
}

/** What was sealed with this key for this use; undefined if it was not. */
export function unseal(crypto: Primitives, key: Uint8Array, usage: number, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < block + macLength) return undefined;
  const body = sealed.subarray(0, -macLength);
  const whole = decryptCts(crypto, deriveKey(crypto, key, constant(usage, 0xaa)), body);
  const mac = crypto.hmac(deriveKey(crypto, key, constant(usage, 0x55)), whole);
  return same(mac.subarray(0, macLength), sealed.subarray(-macLength)) ? whole.subarray(block) : undefined;
}

/** AES in CBC mode with ciphertext stealing, the last two blocks always swapped (RFC 3962 §5). At least one block. */
export function encryptCts(crypto: Primitives, key: Uint8Array, plain: Uint8Array): Uint8Array {
  if (plain.length === block) return crypto.encrypt(key, plain);
  const blocks = Math.ceil(plain.length / block);
  const padded = new Uint8Array(blocks * block);
  padded.set(plain);
  const cipher = crypto.encrypt(key, padded);
  const before = (blocks - 2) * block;
  const swapped = concat([
    cipher.subarray(0, before),
    cipher.subarray(before + block),
    cipher.subarray(before, before + block),
  ]);
  return swapped.subarray(0, plain.length);
}

export function decryptCts(crypto: Primitives, key: Uint8Array, cipher: Uint8Array): Uint8Array {
  if (cipher.length === block) return crypto.decrypt(key, cipher);
  const before = (Math.ceil(cipher.length / block) - 2) * block;
  const last = cipher.subarray(before, before + block);
  const stolen = cipher.subarray(before + block);
  // What is missing of the block before the last was stolen into it: it comes out where the plain text ended.
  const tail = crypto.decrypt(key, last).subarray(stolen.length);
  const whole = concat([cipher.subarray(0, before), stolen, tail, last]);
  return crypto.decrypt(key, whole).subarray(0, cipher.length);
}

/** n-fold of RFC 3961 §5.1: the bits of `input`, each copy turned right by 13 more, added with end-around carry. */
export function fold(input: Uint8Array, length: number): Uint8Array {
  const size = input.length;
  const total = leastCommonMultiple(size, length);
  const sum = new Uint8Array(length);
  let carry = 0;
  for (let at = total - 1; at >= 0; at--) {
    carry += (sum[at % length] ?? 0) + turnedOctet(input, at);
    sum[at % length] = carry & 0xff;
    carry >>= 8;
  }
  for (let at = length - 1; carry > 0; at = (at + length - 1) % length) {
    carry += sum[at] ?? 0;
    sum[at] = carry & 0xff;
    carry >>= 8;
  }
  return sum;
}

/** One octet of the input written again and again, each time turned right by 13 bits more. */
function turnedOctet(input: Uint8Array, at: number): number {
  const bits = input.length * 8;
  const turn = (13 * Math.floor(at / input.length)) % bits;
  const first = ((((at % input.length) * 8 - turn) % bits) + bits) % bits;
  const high = input[first >> 3] ?? 0;
  const low = input[((first >> 3) + 1) % input.length] ?? 0;
  return (((high << 8) | low) >> (8 - (first & 7))) & 0xff;
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}

function constant(usage: number, kind: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, usage, kind);
}
