/** Stored forms of MariaDB's and MySQL's passwords: published examples, and Ed25519 against Node's own. */
import { createHash, createPrivateKey, createPublicKey, sign as nodeSign, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import { ed25519Proof, isStoredAs, storedForm } from '../../../src/rotation/connectors/mysql-secret.ts';
import { publicKeyOf, sign } from '../../../src/rotation/connectors/wire/ed25519.ts';

const sha512 = (bytes: Uint8Array): Uint8Array => createHash('sha512').update(bytes).digest();

describe('mysql_native_password', () => {
  test.for([
    // MySQL's reference manual, PASSWORD() and password hashing.
    ['mypass', '*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4'],
    ['password', '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'],
    // MariaDB's page on the plugin.
    ['mariadb', '*54958E764CE10E50764C2EECBB71D01F08549980'],
  ] as const)('of %s is %s', ([text, stored]) => {
    expect(storedForm('mysql_native_password', Secret.fromText(text))).toBe(stored);
    expect(isStoredAs('mysql_native_password', stored.toLowerCase(), Secret.fromText(text))).toBe(true);
    expect(isStoredAs('mysql_native_password', stored, Secret.fromText(`${text} `))).toBe(false);
  });

  test('an account without a password has none of ours', () => {
    for (const stored of ['', 'invalid'])
      expect(isStoredAs('mysql_native_password', stored, Secret.fromText('x'))).toBe(false);
  });
});

describe('ed25519', () => {
  test('of secret is as in the page of the plugin', () => {
    // MariaDB's page on the ed25519 authentication plugin.
    expect(storedForm('ed25519', Secret.fromText('secret'))).toBe('ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY');
    expect(isStoredAs('ed25519', 'ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY', Secret.fromText('secret'))).toBe(true);
  });

  test('is Ed25519 as in the first tests of RFC 8032', () => {
    const [seed, key, signature] = [
      new Uint8Array(Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')),
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ] as const;
    expect(Buffer.from(publicKeyOf(seed, sha512)).toString('hex')).toBe(key);
    expect(Buffer.from(sign(seed, new Uint8Array(0), sha512)).toString('hex')).toBe(signature);
  });

  test('is what Node makes of a secret of 32 bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ maxLength: 64 }),
        (seed, message) => {
          const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
          const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
          const { x } = createPublicKey(key).export({ format: 'jwk' });
          expect(Buffer.from(publicKeyOf(seed, sha512)).toString('base64url')).toBe(x);
          expect(Buffer.from(sign(seed, message, sha512))).toEqual(nodeSign(null, message, key));
        },
      ),
      { numRuns: 25 },
    );
  });

  test('a proof of a password of any length holds for its stored form', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.uint8Array({ minLength: 32, maxLength: 32 }), (text, nonce) => {
        const secret = Secret.fromText(text);
        const x = Buffer.from(`${storedForm('ed25519', secret)}=`, 'base64').toString('base64url');
        const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
        expect(verify(null, nonce, key, ed25519Proof(secret, nonce))).toBe(true);
      }),
      { numRuns: 25 },
    );
  });
});

test('a plugin whose form is not known here is no answer', () => {
  for (const plugin of ['caching_sha2_password', 'sha256_password', 'pam', 'unix_socket', ''])
    expect(isStoredAs(plugin, '$A$005$x', Secret.fromText('x')), plugin).toBeUndefined();
});
