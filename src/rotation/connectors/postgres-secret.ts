/**
 * PostgreSQL's stored form of a password, computed and compared here (RFC 5802 §3, RFC 7677), so that neither a server
 * nor its log ever sees the password. Values that SASLprep would rewrite are refused: servers and clients differ there.
 */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { concat, fromHex, utf8 } from '../../base/bytes.ts';
import type { Secret } from '../../base/secret.ts';
import { formatVerifier, isRewritten, parseStored } from './wire/scram-verifier.ts';

/** As PostgreSQL's own `password_encryption = scram-sha-256` does it unless told otherwise. */
export const usualIterations = 4096;

/** Why a password cannot be set or used here, or undefined. */
export function faultOfPassword(secret: Secret): string | undefined {
  const bytes = secret.reveal();
  if (bytes.length === 0 || bytes.includes(0)) return 'a password of PostgreSQL is not empty and holds no zero byte';
  try {
    return isRewritten(secret.revealText())
      ? 'the value holds characters that clients rewrite before they use it (SASLprep); draw or enter another one'
      : undefined;
  } catch {
    return 'the value is not UTF-8, and drivers send passwords as text';
  }
}

/** The text that goes into `ALTER ROLE … PASSWORD`. `salt` is random, 16 bytes. */
export function scramVerifier(secret: Secret, salt: Uint8Array, iterations: number = usualIterations): string {
  return formatVerifier({ iterations, salt, ...keysOf(secret, salt, iterations) });
}

/**
 * Whether this password is the stored one of the role; undefined when what is stored has no form that is known here, or
 * when a server may have stored a rewritten form of it.
 */
export function isStored(secret: Secret, role: string, stored: string): boolean | undefined {
  const parsed = parseStored(stored);
  if (parsed === undefined) return undefined;
  if (parsed.kind === 'md5') {
    const digest = createHash('md5').update(secret.reveal()).update(utf8(role)).digest();
    return equal(digest, fromHex(parsed.digits) ?? new Uint8Array(0));
  }
  const { storedKey, serverKey } = keysOf(secret, parsed.salt, parsed.iterations);
  if (equal(concat([storedKey, serverKey]), concat([parsed.storedKey, parsed.serverKey]))) return true;
  return faultOfPassword(secret) === undefined ? false : undefined;
}

function keysOf(secret: Secret, salt: Uint8Array, iterations: number): { storedKey: Buffer; serverKey: Buffer } {
  const salted = pbkdf2Sync(secret.reveal(), salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const serverKey = createHmac('sha256', salted).update('Server Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest();
  salted.fill(0);
  clientKey.fill(0);
  return { storedKey, serverKey };
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
