/**
 * Passwords in the forms that IOS keeps: type 9 (scrypt, N=16384 r=1 p=1) and type 8 (PBKDF2-HMAC-SHA-256, 20 000 rounds),
 * each with a salt of 14 characters and 32 bytes, in base64 without padding over the alphabet of crypt(3). With them the
 * value itself never comes near the device's configuration or its log of commands.
 */
import { pbkdf2, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import type { Secret } from '../../../base/secret.ts';

const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const derive = {
  8: (value: Uint8Array, salt: string) => promisify(pbkdf2)(value, salt, 20_000, 32, 'sha256'),
  9: (value: Uint8Array, salt: string) =>
    new Promise<Buffer>((resolve, reject) => {
      scrypt(value, salt, 32, { N: 16_384, r: 1, p: 1 }, (error, key) => (error ? reject(error) : resolve(key)));
    }),
} as const;

/** `$9$salt$hash` or `$8$salt$hash`, as it stands in a configuration. */
export async function ciscoSecret(type: 8 | 9, value: Secret, salt: string = newSalt()): Promise<string> {
  return `$${type}$${salt}$${encode(await derive[type](value.reveal(), salt))}`;
}

/** Fourteen characters of six random bits each. */
function newSalt(): string {
  return Array.from(randomBytes(14), (byte) => alphabet[byte & 63]).join('');
}

/** Base64 by another alphabet (RFC 4648 order of bits, no padding). */
function encode(bytes: Uint8Array): string {
  let out = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const group = (a << 16) | (b << 8) | c;
    const digits = Math.min(bytes.length - at, 3) + 1;
    for (let digit = 0; digit < digits; digit++) out += alphabet[(group >> (18 - 6 * digit)) & 63];
  }
  return out;
}
