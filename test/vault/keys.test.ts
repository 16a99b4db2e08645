/** The installation's own keys, sealed bytes and data keys of recordings; W-23: people's SSH keys. */
import { execFileSync } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { utf8 } from '../../src/base/bytes.ts';
import type { RecordingId } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import { fingerprint, formatKeyLine, generateKeyPair, verifySignature } from '../../src/protocol/ssh/ssh.ts';
import { hold, importSshKey, type SealSigner } from '../../src/vault/vault.ts';
import { actor, intrude, never, vaultRoom } from './room.ts';

function verifies(signer: SealSigner, bytes: Uint8Array, signature: Uint8Array): boolean {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(signer.publicKey).toString('base64url') };
  return verify(null, bytes, createPublicKey({ key: jwk, format: 'jwk' }), signature);
}

test.each([
  ['host-ed25519', 'ssh-ed25519', '256'],
  ['host-ecdsa-256', 'ecdsa-sha2-nistp256', '256'],
  ['host-rsa-3072', 'rsa-sha2-512', '3072'],
] as const)('%s is made once, signs, and is the same after a restart', async (name, algorithm, bits) => {
  await using room = await vaultRoom();
  const signers = await Promise.all([room.vault.signer(name), room.vault.signer(name)]);
  const later = await (await room.reopen()).signer(name);
  for (const signer of signers) expect(signer.publicKey).toEqual(later.publicKey);
  expect(later.algorithms[0]).toBe(algorithm);
  const signature = await later.sign(utf8('exchange hash'), algorithm, never);
  expect(verifySignature(later.publicKey, algorithm, utf8('exchange hash'), signature)).toBe(true);
  await using dir = await mkdtempDisposable(join(tmpdir(), 'sallyport-hostkey-'));
  const file = join(dir.path, 'host.pub');
  await writeFile(file, `${formatKeyLine(later.publicKey, 'host')}\n`);
  const seen = execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' });
  expect(seen.split(' ').slice(0, 2)).toEqual([bits, fingerprint(later.publicKey)]);
});

test('the keys for recordings and for the audit trail are two, and stay', async () => {
  await using room = await vaultRoom();
  const [seal, head] = [await room.vault.sealSigner('recording-seal'), await room.vault.sealSigner('audit-head')];
  expect(seal.publicKey.length).toBe(32);
  expect(seal.publicKey).not.toEqual(head.publicKey);
  const signature = await seal.sign(utf8('head'));
  const later = await (await room.reopen()).sealSigner('recording-seal');
  expect(verifies(later, utf8('head'), signature)).toBe(true);
  expect(verifies(head, utf8('head'), signature)).toBe(false);
});

test.each([
  ['its sealed half altered', 'sealed = set_byte(sealed, 120, get_byte(sealed, 120) # 1)'],
  ['its key version altered', 'sealed = set_byte(sealed, 4, 9)'],
  ['its public half altered', 'public_key = set_byte(public_key, 20, get_byte(public_key, 20) # 1)'],
  ['filed under another name', "name = 'audit-head'"],
])('an own key with %s stays closed and is audited', async (_, change) => {
  await using room = await vaultRoom();
  await room.vault.sealSigner('recording-seal');
  await intrude(room.base, `update vault_key set ${change} where name = 'recording-seal'`);
  const name = change.startsWith('name') ? 'audit-head' : 'recording-seal';
  await expect(room.vault.sealSigner(name)).rejects.toMatchObject({ code: 'vault.tampered' });
  expect((await room.events()).at(-1)).toBe('vault.credential.tampered');
});

test('bytes of other rooms open in their context only', async () => {
  await using room = await vaultRoom();
  const sealed = await room.vault.sealBytes('totp/ana', utf8('seed'));
  expect(Buffer.from(sealed).includes('seed')).toBe(false);
  using opened = await room.vault.openSealed('totp/ana', sealed);
  expect(opened.revealText()).toBe('seed');
  await expect(room.vault.openSealed('totp/bob', sealed)).rejects.toMatchObject({ code: 'vault.tampered' });
  expect((await room.events()).at(-1)).toBe('vault.credential.tampered');
});

test('a recording has one data key, which opens after a restart and in its own row only', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const [one, two] = [newId<RecordingId>(), newId<RecordingId>()];
  using key = await room.vault.recordingKey(db, one);
  using other = await room.vault.recordingKey(db, two);
  expect(key.length).toBe(32);
  expect(key.equals(other)).toBe(false);
  await expect(room.vault.recordingKey(db, one)).rejects.toMatchObject({ code: '23505' });
  using again = await (await room.reopen()).openRecordingKey(one);
  expect(again?.equals(key)).toBe(true);
  expect(await room.vault.openRecordingKey(newId<RecordingId>())).toBeUndefined();
  await intrude(
    room.base,
    'update recording_key mine set sealed = other.sealed from recording_key other where mine.recording_id <> other.recording_id',
  );
  await expect(room.vault.openRecordingKey(one)).rejects.toMatchObject({ code: 'vault.tampered' });
});

test('an SSH key is stored as it came, with its passphrase, and a session gets signatures of it only', async () => {
  await using room = await vaultRoom();
  await using dir = await mkdtempDisposable(join(tmpdir(), 'sallyport-key-'));
  const file = join(dir.path, 'id');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'open sesame', '-C', '', '-f', file]);
  const text = await readFile(file);
  const credential = await importSshKey(new Secret(new Uint8Array(text)), Secret.fromText('open sesame'), never);
  const [account] = await room.declare({ name: 'deploy@web-01', kind: 'ssh-key' });
  if (account === undefined) throw new Error('not declared');
  const sigkey = await room.put(account, credential);
  await using held = await hold(room.base.db, account.id, { kind: 'session', subject: 's' });
  const opened = await room.vault.open(held, actor);
  if (!('signer' in opened)) throw new Error('no signer');
  expect(Object.keys(opened).sort()).toEqual(['kind', 'publicKey', 'signer']);
  const signature = await opened.signer.sign(utf8('data'), 'ssh-ed25519', never);
  expect(verifySignature(credential.publicKey, 'ssh-ed25519', utf8('data'), signature)).toBe(true);
  using version = await room.vault.openVersion(account.id, sigkey, 'recovery', actor);
  if (version.kind !== 'ssh-key') throw new Error('no key');
  expect(version.privateKey.revealText()).toBe(text.toString());
  expect(version.passphrase?.revealText()).toBe('open sesame');
  const revealed = join(dir.path, 'revealed');
  await writeFile(revealed, version.privateKey.reveal(), { mode: 0o600 });
  const line = execFileSync('ssh-keygen', ['-y', '-P', 'open sesame', '-f', revealed], { encoding: 'utf8' }).trim();
  const stored = await room.base.db.selectFrom('credential_version').select('public_key').executeTakeFirstOrThrow();
  expect(line).toBe(formatKeyLine(stored.public_key ?? new Uint8Array(0), ''));
});

test('a key that does not belong to its public half stays closed', async () => {
  await using room = await vaultRoom();
  const { privateKeyOpenSsh } = await generateKeyPair('ed25519');
  const credential = await importSshKey(privateKeyOpenSsh, undefined, never);
  const [account] = await room.declare({ name: 'deploy@web-01', kind: 'ssh-key' });
  if (account === undefined) throw new Error('not declared');
  const sigkey = await room.put(account, credential);
  const { publicKey } = await generateKeyPair('ed25519');
  await intrude(room.base, 'update credential_version set public_key = $1', [Buffer.from(publicKey)]);
  await expect(room.vault.openVersion(account.id, sigkey, 'x', actor)).rejects.toMatchObject({
    code: 'vault.tampered',
  });
});

test('what is no key, or needs another passphrase, is refused by name', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'sallyport-key-'));
  const file = join(dir.path, 'id');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'right', '-f', file]);
  const key = (): Promise<Secret> => readFile(file).then((bytes) => new Secret(new Uint8Array(bytes)));
  const refused = (word: string) =>
    expect.objectContaining({ code: 'vault.key-unreadable', message: expect.stringContaining(word) });
  await expect(importSshKey(await key(), undefined, never)).rejects.toEqual(refused('ssh.key-encrypted'));
  await expect(importSshKey(await key(), Secret.fromText('wrong'), never)).rejects.toEqual(refused('passphrase'));
  await expect(importSshKey(Secret.fromText('hello'), undefined, never)).rejects.toEqual(refused('ssh.key-'));
});
