/**
 * SHA-512 crypt, the `$6$` form of crypt(5), after Drepper's "Unix crypt using SHA-256 and SHA-512" (version 0.6). Every
 * Linux machine takes it, whatever ENCRYPT_METHOD its own passwd would use. It hashes and compares nothing.
 */
import { createHash, randomInt } from 'node:crypto';
import { concat, utf8 } from '../../base/bytes.ts';

/** crypt's own order of 64 characters; not that of base64. */
const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const usualRounds = 5_000;
const longestSalt = 16;
/** Bounds of the rounds, of the specification. */
export const rounds = { least: 1_000, most: 999_999_999 } as const;

/** A new salt of 16 characters, 96 bits of chance. */
export function newSalt(): string {
  return Array.from({ length: longestSalt }, () => alphabet[randomInt(64)]).join('');
}

/** `$6$salt$hash`, or `$6$rounds=N$salt$hash` where `times` is given. The salt holds no `$`, `:` or line end. */
export function sha512Crypt(password: Uint8Array, salt: string, times?: number): string {
  const grains = utf8(salt).subarray(0, longestSalt);
  const count = Math.min(Math.max(times ?? usualRounds, rounds.least), rounds.most);
  const inner = digest([password, grains, password]);
  const lengthBits = password.length.toString(2).split('').toReversed();
  const bits = password.length === 0 ? [] : lengthBits.map((bit) => (bit === '1' ? inner : password));
  const start = digest([password, grains, stretch(inner, password.length), ...bits]);
  const keys = stretch(digest(Array.from(password, () => password)), password.length);
  const salts = stretch(digest(Array.from({ length: 16 + (start[0] ?? 0) }, () => grains)), grains.length);

  let sum = start;
  for (let round = 0; round < count; round++) {
    const odd = round % 2 === 1;
    const parts = [odd ? keys : sum];
    if (round % 3 !== 0) parts.push(salts);
    if (round % 7 !== 0) parts.push(keys);
    parts.push(odd ? sum : keys);
    sum = digest(parts);
  }
  for (const bytes of [inner, start, keys, salts]) bytes.fill(0);
  const given = times === undefined ? '' : `rounds=${count}$`;
  return `$6$${given}${new TextDecoder().decode(grains)}$${encode(sum)}`;
}

function digest(parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** A digest, repeated and cut to a length. */
function stretch(bytes: Uint8Array, length: number): Uint8Array {
  const whole = concat(Array.from({ length: Math.ceil(length / bytes.length) }, () => bytes));
  return whole.slice(0, length);
}

/**
 * 64 bytes as 86 characters: groups of three bytes that lie 21 apart, the first place going round, six bits at a time
 * from the lowest; the last byte stands alone.
 */
function encode(sum: Uint8Array): string {
  const at = (index: number): number => sum[index] ?? 0;
  let out = '';
  for (let group = 0; group < 21; group++) {
    const places = [group, group + 21, group + 42];
    const turn = group % 3;
    const [high, middle, low] = [0, 1, 2].map((place) => at(places[(place + turn) % 3] ?? 0));
    out += characters(((high ?? 0) << 16) | ((middle ?? 0) << 8) | (low ?? 0), 4);
  }
  return out + characters(at(63), 2);
}

function characters(value: number, count: number): string {
  return Array.from({ length: count }, (_, place) => alphabet[(value >> (6 * place)) & 63]).join('');
}
