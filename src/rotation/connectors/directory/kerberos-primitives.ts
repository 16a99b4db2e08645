/** The block cipher, HMAC and PBKDF2 of Node, for `wire/kerberos-keys.ts`. */
import { createCipheriv, createDecipheriv, createHmac, pbkdf2Sync } from 'node:crypto';
import { concat } from '../../../base/bytes.ts';
import type { Primitives } from './wire/kerberos-keys.ts';

const zero = new Uint8Array(16);
const cipherOf = (key: Uint8Array): string => `aes-${key.length * 8}-cbc`;

export const primitives: Primitives = {
  pbkdf2: (password, salt, count, length) => pbkdf2Sync(password, salt, count, length, 'sha1'),
  hmac: (key, data) => createHmac('sha1', key).update(data).digest(),
  encrypt: (key, data) => {
    const cipher = createCipheriv(cipherOf(key), key, zero).setAutoPadding(false);
    return concat([cipher.update(data), cipher.final()]);
  },
  decrypt: (key, data) => {
    const cipher = createDecipheriv(cipherOf(key), key, zero).setAutoPadding(false);
    return concat([cipher.update(data), cipher.final()]);
  },
};
