/** Private key files, both ways against ssh-keygen. */
import { createPrivateKey } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isRefusal } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/base/secret.ts';
import { fingerprint, parseKeyLine } from '../../../../src/protocol/ssh/keys/lines.ts';
import { formatPrivateKey, parsePrivateKey, type PrivateKey } from '../../../../src/protocol/ssh/keys/private.ts';
import { generateKeyPair, type KeyKind, signerFromPrivateKey } from '../../../../src/protocol/ssh/keys/signer.ts';
import { verifySignature } from '../../../../src/protocol/ssh/keys/verify.ts';
import { keygen } from './ssh-keygen.ts';

const never = new AbortController().signal;
const data = Buffer.from('what is signed');

async function opened(file: Uint8Array | string, passphrase?: string): Promise<PrivateKey> {
  const secret = new Secret(typeof file === 'string' ? Buffer.from(file) : Uint8Array.from(file));
  const key = await parsePrivateKey(secret, passphrase === undefined ? undefined : Secret.fromText(passphrase), never);
  if (isRefusal(key)) throw new Error(`${key.code} ${key.reason}`);
  return key;
}

async function refusedWith(file: Uint8Array | string, passphrase?: string): Promise<string> {
  const secret = new Secret(typeof file === 'string' ? Buffer.from(file) : Uint8Array.from(file));
  const key = await parsePrivateKey(secret, passphrase === undefined ? undefined : Secret.fromText(passphrase), never);
  return isRefusal(key) ? key.code : 'accepted';
}

async function proves(key: PrivateKey, publicLine: string): Promise<void> {
  const line = parseKeyLine(publicLine);
  if ('refused' in line) throw new Error(line.reason);
  const signer = signerFromPrivateKey(key.key);
  for (const algorithm of signer.algorithms) {
    const signature = await signer.sign(data, algorithm, never);
    expect(verifySignature(line.blob, algorithm, data, signature)).toBe(true);
    expect(verifySignature(line.blob, algorithm, Buffer.from('other'), signature)).toBe(false);
  }
}

const theirs = [
  ['ed25519', '256'],
  ['ecdsa', '256'],
  ['ecdsa', '384'],
  ['ecdsa', '521'],
  ['rsa', '2048'],
] as const;

test.for(theirs)(
  'a %s key of %s bits from ssh-keygen opens, signs and is written so that ssh-keygen reads it',
  async ([type, bits]) => {
    await using tool = await keygen();
    await tool.run('-q', '-t', type, '-b', bits, '-N', '', '-C', 'ana@laptop', '-f', 'key');
    const key = await opened(await tool.read('key'));
    expect(key.comment).toBe('ana@laptop');
    const line = (await tool.read('key.pub')).toString();
    await proves(key, line);
    const again = formatPrivateKey(key.key, key.comment);
    await tool.write('again', again.reveal());
    expect(await tool.run('-y', '-f', 'again')).toBe(line);
    expect(await tool.run('-l', '-f', 'key.pub')).toContain(fingerprint(key.publicKey));
  },
);

test.for(['aes256-ctr', 'aes128-cbc'])(
  'an OpenSSH key under a passphrase and %s opens with it and with nothing else',
  async (cipher) => {
    await using tool = await keygen();
    await tool.run('-q', '-t', 'ed25519', '-N', 'correct horse', '-Z', cipher, '-a', '3', '-f', 'key');
    const file = await tool.read('key');
    await proves(await opened(file, 'correct horse'), (await tool.read('key.pub')).toString());
    expect(await refusedWith(file, 'wrong horse')).toBe('ssh.key-passphrase');
    expect(await refusedWith(file)).toBe('ssh.key-encrypted');
  },
);

test('an OpenSSH key with the default sixteen rounds, of RSA, opens with its passphrase', async () => {
  await using tool = await keygen();
  await tool.run('-q', '-t', 'rsa', '-b', '2048', '-N', 'ä longer påssphrase', '-f', 'key');
  await proves(await opened(await tool.read('key'), 'ä longer påssphrase'), (await tool.read('key.pub')).toString());
});

test.for(['PEM', 'PKCS8'])('%s files open, with and without a passphrase', async (form) => {
  await using tool = await keygen();
  for (const passphrase of ['', 'opensesame']) {
    for (const type of ['rsa', 'ecdsa']) {
      const name = `${type}${passphrase}`;
      const bits = type === 'rsa' ? '2048' : '256';
      await tool.run('-q', '-t', type, '-b', bits, '-m', form, '-N', passphrase, '-f', name);
      const file = await tool.read(name);
      expect(file.toString('latin1')).not.toContain('OPENSSH');
      const line = (await tool.read(`${name}.pub`)).toString();
      await proves(await opened(file, passphrase === '' ? undefined : passphrase), line);
      if (passphrase === '') continue;
      expect(await refusedWith(file, 'wrong')).toBe('ssh.key-passphrase');
      expect(await refusedWith(file)).toBe('ssh.key-encrypted');
    }
  }
});

const ours: readonly [KeyKind, string, string][] = [
  ['ed25519', '256', 'ED25519'],
  ['ecdsa-256', '256', 'ECDSA'],
  ['ecdsa-384', '384', 'ECDSA'],
  ['ecdsa-521', '521', 'ECDSA'],
  ['rsa-2048', '2048', 'RSA'],
  ['rsa-4096', '4096', 'RSA'],
];

test.for(ours)(
  'a generated %s key has %s bits of type %s for ssh-keygen, and -y gives its public line',
  async ([kind, bits, name]) => {
    await using tool = await keygen();
    const pair = await generateKeyPair(kind, 'svc-backup');
    await tool.write('key', pair.privateKeyOpenSsh.reveal());
    await tool.write('key.pub', `${pair.line}\n`);
    expect(await tool.run('-l', '-f', 'key.pub')).toBe(`${bits} ${fingerprint(pair.publicKey)} svc-backup (${name})\n`);
    expect(await tool.run('-y', '-f', 'key')).toBe(`${pair.line}\n`);
    await proves(await opened(pair.privateKeyOpenSsh.reveal()), pair.line);
  },
);

test('weak, foreign and mismatched keys are refused by name', async () => {
  await using tool = await keygen();
  await tool.run('-q', '-t', 'rsa', '-b', '1024', '-N', '', '-f', 'weak');
  expect(await refusedWith(await tool.read('weak'))).toBe('ssh.key-weak');
  await tool.run('-q', '-t', 'rsa', '-b', '1024', '-m', 'PEM', '-N', '', '-f', 'weakpem');
  expect(await refusedWith(await tool.read('weakpem'))).toBe('ssh.key-weak');
  await tool.run('-q', '-t', 'dsa', '-N', '', '-f', 'dsa');
  expect(await refusedWith(await tool.read('dsa'))).toBe('ssh.key-unsupported');
  expect(await refusedWith('-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n')).toBe('ssh.key-malformed');
  expect(await refusedWith('')).toBe('ssh.key-malformed');
});

test('a file whose public half belongs to another key is refused', async () => {
  const [one, two] = [await generateKeyPair('ecdsa-256'), await generateKeyPair('ecdsa-256')];
  const file = Buffer.from(one.privateKeyOpenSsh.reveal()).toString('latin1');
  const body = Buffer.from(file.replace(/-----[^-]+-----/g, ''), 'base64');
  const at = body.indexOf(one.publicKey);
  body.set(two.publicKey, at);
  const forged = `-----BEGIN OPENSSH PRIVATE KEY-----\n${body.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
  expect(await refusedWith(forged)).toBe('ssh.key-malformed');
});

test('a file that asks for a million rounds is refused before any is done', async () => {
  await using tool = await keygen();
  await tool.run('-q', '-t', 'ed25519', '-N', 'x', '-a', '1', '-f', 'key');
  const text = (await tool.read('key')).toString('latin1');
  const body = Buffer.from(text.replace(/-----[^-]+-----/g, ''), 'base64');
  const salt = body.indexOf(Buffer.from([0, 0, 0, 16]), body.indexOf('bcrypt') + 6);
  body.writeUInt32BE(1_000_000, salt + 4 + 16);
  const greedy = `-----BEGIN OPENSSH PRIVATE KEY-----\n${body.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
  expect(await refusedWith(greedy, 'x')).toBe('ssh.key-unsupported');
});

test('cut or altered files are refused or read as another key, and never throw', async () => {
  const pair = await generateKeyPair('ecdsa-256', 'c');
  const text = Buffer.from(pair.privateKeyOpenSsh.reveal()).toString('latin1');
  const body = Buffer.from(text.replace(/-----[^-]+-----/g, ''), 'base64');
  const wrap = (bytes: Uint8Array): string =>
    `-----BEGIN OPENSSH PRIVATE KEY-----\n${Buffer.from(bytes).toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
  for (let length = 1; length < body.length; length += 1)
    expect(await refusedWith(wrap(body.subarray(0, length))), `cut at ${length}`).toMatch(/^ssh\.key-/);
  const changed = fc.record({ at: fc.nat(body.length - 1), to: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(fc.array(changed, { minLength: 1, maxLength: 4 }), async (changes) => {
      const copy = Buffer.from(body);
      for (const { at, to } of changes) copy[at] = to;
      await refusedWith(wrap(copy), 'x');
    }),
    { numRuns: 300 },
  );
});

test('an unsuitable KeyObject makes no signer', () => {
  const x25519 = createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), Buffer.alloc(32, 7)]),
    format: 'der',
    type: 'pkcs8',
  });
  expect(() => signerFromPrivateKey(x25519)).toThrow(TypeError);
});
