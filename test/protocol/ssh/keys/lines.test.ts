/** authorized_keys lines, public key blobs and signatures. */
import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatKeyLine, parseKeyLine, parsePublicKey } from '../../../../src/protocol/ssh/keys/lines.ts';
import { generateKeyPair, signerFromPrivateKey } from '../../../../src/protocol/ssh/keys/signer.ts';
import { verifySignature } from '../../../../src/protocol/ssh/keys/verify.ts';
import { decodePublicKey, encodePublicKey, encodeSignature } from '../../../../src/protocol/ssh/wire/keys.ts';
import { isViolation } from '../../../../src/protocol/ssh/wire/reader.ts';
import { Writer } from '../../../../src/protocol/ssh/wire/writer.ts';
import { keygen } from './ssh-keygen.ts';

const never = new AbortController().signal;

test('options of a line are kept verbatim, quotes and all', async () => {
  const { line, publicKey } = await generateKeyPair('ed25519', 'ana on her laptop');
  const options = String.raw`restrict,command="echo \"a b\" #",from="10.0.0.0/8,*.lan"`;
  const parsed = parseKeyLine(`  ${options} \t${line}\r\n`);
  expect(parsed).toMatchObject({ options, comment: 'ana on her laptop' });
  expect(formatKeyLine(publicKey, 'ana on her laptop', options)).toBe(`${options} ${line}`);
  expect(parseKeyLine(line)).toMatchObject({ options: '' });
});

test('what is no key line is refused with a reason', async () => {
  const { line } = await generateKeyPair('ed25519');
  const [, code = ''] = line.split(' ');
  const codes = (text: string): string => {
    const parsed = parseKeyLine(text);
    return 'refused' in parsed ? parsed.code : 'accepted';
  };
  expect(codes('')).toBe('ssh.key-malformed');
  expect(codes('# comment')).toBe('ssh.key-malformed');
  expect(codes('ssh-ed25519')).toBe('ssh.key-malformed');
  expect(codes(`ssh-rsa ${code}`)).toBe('ssh.key-malformed');
  expect(codes(`ssh-ed25519 ${code}\nssh-ed25519 ${code}`)).toBe('ssh.key-malformed');
  expect(codes('ssh-dss AAAA')).toBe('ssh.key-unsupported');
  expect(codes('sk-ssh-ed25519@openssh.com AAAA')).toBe('ssh.key-unsupported');
  expect(codes('ssh-rsa-cert-v01@openssh.com AAAA')).toBe('ssh.key-certificate');
  expect(() => formatKeyLine(Buffer.from(code, 'base64'), 'two\nlines')).toThrow(RangeError);
});

test('a certificate from ssh-keygen is refused by name, its nonce never taken for a key', async () => {
  await using tool = await keygen();
  await tool.run('-q', '-t', 'ed25519', '-N', '', '-f', 'ca');
  for (const [type, bits] of [
    ['ed25519', '256'],
    ['ecdsa', '256'],
    ['rsa', '2048'],
  ] as const) {
    await tool.run('-q', '-t', type, '-b', bits, '-N', '', '-f', type);
    await tool.run('-q', '-s', 'ca', '-I', 'id', '-n', 'root', `${type}.pub`);
    const line = (await tool.read(`${type}-cert.pub`)).toString();
    expect(parseKeyLine(line)).toMatchObject({ refused: true, code: 'ssh.key-certificate' });
    const blob = Buffer.from(line.split(' ')[1] ?? '', 'base64');
    expect(parsePublicKey(blob)).toMatchObject({ refused: true, code: 'ssh.key-certificate' });
    expect(verifySignature(blob, 'ssh-ed25519', Buffer.from('x'), Buffer.from('y'))).toBe(false);
  }
});

test('blobs come back as they went, and every truncation or extension is refused', async () => {
  for (const kind of ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa-2048'] as const) {
    const { publicKey } = await generateKeyPair(kind);
    const key = decodePublicKey(publicKey);
    if (isViolation(key)) throw new Error(key.violation);
    expect(Buffer.from(encodePublicKey(key)).equals(publicKey)).toBe(true);
    for (let length = 0; length < publicKey.length; length++)
      expect(isViolation(decodePublicKey(publicKey.subarray(0, length)))).toBe(true);
    expect(isViolation(decodePublicKey(Buffer.concat([publicKey, Buffer.of(0)])))).toBe(true);
  }
});

test('a point that is not on its curve verifies nothing', () => {
  const blob = encodePublicKey({
    type: 'ecdsa-sha2-nistp256',
    curve: 'nistp256',
    x: new Uint8Array(32).fill(1),
    y: new Uint8Array(32).fill(1),
  });
  const signature = encodeSignature('ecdsa-sha2-nistp256', new Uint8Array(64).fill(1));
  expect(verifySignature(blob, 'ecdsa-sha2-nistp256', Buffer.from('x'), signature)).toBe(false);
});

test('SHA-1 signatures, and a signature under another name than the one asked for, are not good', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = publicKey.export({ format: 'jwk' });
  const field = (name: 'e' | 'n'): Buffer => Buffer.from(jwk[name] ?? '', 'base64url');
  const blob = encodePublicKey({ type: 'ssh-rsa', e: field('e'), n: field('n'), bits: 2048 });
  const data = Buffer.from('data');
  const sha1 = new Writer()
    .text('ssh-rsa')
    .string(sign('sha1', data, privateKey))
    .finish();
  expect(verifySignature(blob, 'ssh-rsa', data, sha1)).toBe(false);
  const good = await signerFromPrivateKey(privateKey).sign(data, 'rsa-sha2-256', never);
  expect(verifySignature(blob, 'rsa-sha2-256', data, good)).toBe(true);
  expect(verifySignature(blob, 'rsa-sha2-512', data, good)).toBe(false);
  expect(verifySignature(blob, 'ssh-ed25519', data, good)).toBe(false);
});

test('arbitrary bytes as key, signature or line are refused and never throw', () => {
  const type = fc.constantFrom('ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp521');
  fc.assert(
    fc.property(type, fc.uint8Array({ maxLength: 400 }), fc.uint8Array({ maxLength: 200 }), (name, key, signature) => {
      const blob = new Writer().text(name).raw(key).finish();
      const framed = new Writer().text(name).string(signature).finish();
      expect(verifySignature(blob, name, key, framed)).toBe(false);
      expect(verifySignature(key, name, key, signature)).toBe(false);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect('refused' in parseKeyLine(text)).toBe(true);
    }),
  );
});
