/**
 * The stored forms of passwords in MariaDB and MySQL, computed and compared here, so that only a hash is ever sent in
 * a statement. What has no form here is refused: MySQL's `caching_sha2_password` and `sha256_password` among them.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';
import { publicKeyOf, sign, type Sha512 } from './wire/ed25519.ts';

export type PasswordPlugin = 'mysql_native_password' | 'ed25519';

export function isPasswordPlugin(plugin: string): plugin is PasswordPlugin {
  return plugin === 'mysql_native_password' || plugin === 'ed25519';
}

/** Characters that need no quoting anywhere: `*`, upper-case hex, base64. */
export function storedForm(plugin: PasswordPlugin, secret: Secret): string {
  if (plugin === 'ed25519') return Buffer.from(publicKeyOf(secret.reveal(), sha512)).toString('base64').slice(0, 43);
  const once = createHash('sha1').update(secret.reveal()).digest();
  const twice = createHash('sha1').update(once).digest('hex').toUpperCase();
  once.fill(0);
  return `*${twice}`;
}

/** Whether this password is the stored one; undefined when the plugin keeps it in a form that is not known here. */
export function isStoredAs(plugin: string, stored: string, secret: Secret): boolean | undefined {
  if (!isPasswordPlugin(plugin)) return undefined;
  const own = Buffer.from(storedForm(plugin, secret));
  const theirs = Buffer.from(plugin === 'mysql_native_password' ? stored.toUpperCase() : stored);
  return own.length === theirs.length && timingSafeEqual(own, theirs);
}

/** What the ed25519 plugin wants to see at a login: the server's nonce, signed. */
export function ed25519Proof(secret: Secret, nonce: Uint8Array): Buffer {
  return Buffer.from(sign(secret.reveal(), nonce, sha512));
}

const sha512: Sha512 = (bytes) => createHash('sha512').update(bytes).digest();
