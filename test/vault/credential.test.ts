/** W-06: the kinds of credential, their rotation class, and their bytes. */
import { expect, test } from 'vitest';
import fc from 'fast-check';
import { Secret } from '../../src/base/secret.ts';
import { type Credential, decodeContents, encodeContents, rotationClass } from '../../src/vault/credential.ts';

const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 });
const secret = bytes.map((value) => new Secret(value));
const credentials: fc.Arbitrary<Credential> = fc.oneof(
  fc.record({ kind: fc.constant('password' as const), secret }),
  fc.record({ kind: fc.constant('api-key' as const), secret }),
  fc.record({ kind: fc.constant('certificate' as const), privateKey: secret, certificate: bytes }),
  fc.record({ kind: fc.constant('ssh-key' as const), privateKey: secret, publicKey: bytes }),
  fc.record({ kind: fc.constant('ssh-key' as const), privateKey: secret, publicKey: bytes, passphrase: secret }),
);

/** The fields of a credential with secrets laid open, for comparison. */
function bare(credential: Credential): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(credential).map(([name, value]) => [name, value instanceof Secret ? [...value.reveal()] : value]),
  );
}

test('each kind comes back as it went in', () => {
  fc.assert(
    fc.property(credentials, (credential) => {
      using contents = encodeContents(credential);
      using back = decodeContents(credential.kind, contents.reveal());
      expect(bare(back)).toEqual(bare(credential));
    }),
  );
});

test('disposing zeroes every secret in it', () => {
  const key = { kind: 'ssh-key', privateKey: Secret.fromText('k'), passphrase: Secret.fromText('p') } as const;
  using contents = encodeContents({ ...key, publicKey: Uint8Array.of(1) });
  const back = decodeContents('ssh-key', contents.reveal());
  back[Symbol.dispose]();
  if (back.kind !== 'ssh-key') throw new Error('another kind');
  expect(() => back.privateKey.reveal()).toThrow('disposed');
  expect(() => back.passphrase?.reveal()).toThrow('disposed');
});

test('contents of one kind do not open as another', () => {
  using contents = encodeContents({ kind: 'password', secret: Secret.fromText('x') });
  for (const kind of ['ssh-key', 'certificate', 'api-key'] as const)
    expect(() => decodeContents(kind, contents.reveal())).toThrow(expect.objectContaining({ code: 'vault.tampered' }));
});

test('any other bytes are refused with one code', () => {
  const kinds = fc.constantFrom('password', 'ssh-key', 'certificate', 'api-key' as const);
  const head = fc.tuple(fc.constant(1), fc.integer({ min: 0, max: 5 }));
  fc.assert(
    fc.property(kinds, fc.option(head), fc.uint8Array({ maxLength: 64 }), (kind, start, rest) => {
      try {
        decodeContents(kind, Uint8Array.of(...(start ?? []), ...rest))[Symbol.dispose]();
      } catch (error) {
        expect(error).toMatchObject({ code: 'vault.tampered' });
      }
    }),
  );
});

test('nothing and too much are not stored', () => {
  const refused = expect.objectContaining({ code: 'vault.credential-too-long' });
  expect(() => encodeContents({ kind: 'password', secret: new Secret(new Uint8Array(0)) })).toThrow(refused);
  expect(() => encodeContents({ kind: 'password', secret: new Secret(new Uint8Array(65_537)) })).toThrow(refused);
  using most = encodeContents({ kind: 'password', secret: new Secret(new Uint8Array(65_536)) });
  expect(most.length).toBe(65_542);
});

test('passwords and ssh keys rotate by themselves, certificates within limits, api keys by hand', () => {
  expect(rotationClass).toEqual({
    password: 'automatic',
    'ssh-key': 'automatic',
    certificate: 'limited',
    'api-key': 'manual',
  });
});
