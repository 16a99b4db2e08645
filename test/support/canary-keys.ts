/**
 * Canaries for private keys. A key changes its clothes (OpenSSH, PKCS#8, JWK, raw), so the file alone is a poor canary:
 * what is looked for are also the numbers that make the key private, which every format holds.
 */
import { isRefusal } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import { parsePrivateKey } from '../../src/protocol/ssh/ssh.ts';
import { type Canary, canary } from './canary.ts';

/** Of a private key's file: the file itself, and its secret numbers (`d`, and the primes of RSA). */
export async function keyCanaries(name: string, file: Uint8Array): Promise<readonly Canary[]> {
  using secret = new Secret(Uint8Array.from(file));
  const parsed = await parsePrivateKey(secret, undefined, new AbortController().signal);
  if (isRefusal(parsed)) throw new Error(`${name} is no private key: ${parsed.reason}`);
  const jwk = parsed.key.export({ format: 'jwk' });
  const numbers = (['d', 'p', 'q'] as const).flatMap((part) => {
    const value = jwk[part];
    return value === undefined ? [] : [canary(`${name}, ${part}`, Buffer.from(value, 'base64url'))];
  });
  if (numbers.length === 0) throw new Error(`${name} has no secret numbers`);
  return [canary(`${name}, the file`, file), ...numbers];
}
