/** W-03, P-01: the sealed start. */
import { randomBytes } from 'node:crypto';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { RecordingId } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { newId } from '../../src/base/new-id.ts';
import { addKeyVersion, hold, openVault } from '../../src/vault/vault.ts';
import { actor, intrude, never, vaultRoom } from './room.ts';

test('after the start the root key file can go away, and what is in the vault still opens', async () => {
  await using room = await vaultRoom();
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  await room.put(account, 'Tr0ub4dor');
  await rm(room.rootKeyPath);
  await using held = await hold(room.base.db, account.id, { kind: 'session', subject: 's' });
  const opened = await room.vault.open(held, actor);
  expect('secret' in opened && opened.secret.revealText()).toBe('Tr0ub4dor');
  await expect(room.reopen()).rejects.toEqual(
    expect.objectContaining({ code: 'vault.rootkey-missing', message: expect.stringContaining(room.rootKeyPath) }),
  );
});

test('another root key is refused, and leaves everything as it was', async () => {
  await using room = await vaultRoom();
  const right = await readFile(room.rootKeyPath);
  await chmod(room.rootKeyPath, 0o600);
  await writeFile(room.rootKeyPath, randomBytes(32));
  await expect(room.reopen()).rejects.toMatchObject({ code: 'vault.rootkey-wrong' });
  await writeFile(room.rootKeyPath, right);
  await room.reopen();
});

test('two keepers that start at once on an empty database make one ring', async () => {
  await using room = await vaultRoom();
  await intrude(room.base, 'truncate vault_root, vault_kek, vault_key cascade');
  const vaults = await Promise.all([room.reopen(), room.reopen(), room.reopen(), room.reopen()]);
  const sealed = await vaults[0]?.sealBytes('x', Uint8Array.of(1, 2, 3));
  for (const vault of vaults) {
    using opened = await vault.openSealed('x', sealed ?? new Uint8Array(0));
    expect([...opened.reveal()]).toEqual([1, 2, 3]);
  }
  const { rows } = await room.base.db
    .selectFrom('vault_kek')
    .select((row) => row.fn.countAll<number>().as('rows'))
    .executeTakeFirstOrThrow();
  expect(rows).toBe(1);
});

test('the start is audited with a name of the key that is not the key', async () => {
  await using room = await vaultRoom();
  const event = await room.base.db
    .selectFrom('audit_event')
    .select('details')
    .where('type', '=', 'vault.rootkey.opened')
    .executeTakeFirstOrThrow();
  const { provider, keyId } = event.details as { provider: string; keyId: string };
  expect(provider).toBe('file');
  expect(keyId).toMatch(/^[0-9a-f]{16}$/);
  expect((await readFile(room.rootKeyPath)).toString('hex')).not.toContain(keyId);
});

test('neither arguments nor environment hold the root key', async () => {
  await using room = await vaultRoom();
  const key = await readFile(room.rootKeyPath);
  for (const file of ['environ', 'cmdline']) {
    const bytes = await readFile(`/proc/self/${file}`);
    for (const form of [key, Buffer.from(key.toString('hex')), Buffer.from(key.toString('base64'))])
      expect(bytes.includes(form)).toBe(false);
  }
});

test('a damaged ring is told from a wrong key, and audited', async () => {
  await using room = await vaultRoom();
  await intrude(room.base, 'update vault_kek set sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)');
  await expect(room.reopen()).rejects.toMatchObject({ code: 'vault.tampered' });
  expect((await room.events()).at(-1)).toBe('vault.credential.tampered');
});

test('a ring whose check value is gone is not made anew', async () => {
  await using room = await vaultRoom();
  await intrude(room.base, 'delete from vault_root');
  await expect(room.reopen()).rejects.toMatchObject({ code: 'vault.tampered' });
});

test('a new key version is used from the next start on; what older ones sealed still opens', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  const first = await room.put(account, 'first');
  expect(await addKeyVersion(db, room.rootKeyPath, room.dataDirectory)).toBe(2);
  const second = await room.put(account, 'second');
  const later = await room.reopen();
  const sealed = await later.sealBytes('x', Uint8Array.of(1));
  for (const [sigkey, value] of [[first, 'first'] as const, [second, 'second'] as const]) {
    using version = await later.openVersion(account.id, sigkey, 'test', actor);
    expect('secret' in version && version.secret.revealText()).toBe(value);
  }
  const deks = await db.selectFrom('credential_dek').select('kek_version').execute();
  expect(deks.map((row) => row.kek_version)).toEqual([1, 1]);
  expect(sealed.slice(1, 5)).toEqual(Uint8Array.of(0, 0, 0, 2));
  await expect(room.vault.openSealed('x', sealed)).rejects.toMatchObject({ code: 'vault.key-version-unknown' });
  expect(await room.events()).not.toContain('vault.credential.tampered');
});

test('a closed vault opens nothing', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const options = { db, rootKeyPath: room.rootKeyPath, dataDirectory: room.dataDirectory };
  const vault = await openVault({ ...options, log: silent, clock: systemClock }, never);
  const sealed = await vault.sealBytes('x', Uint8Array.of(1));
  await vault[Symbol.asyncDispose]();
  await expect(vault.openSealed('x', sealed)).rejects.toMatchObject({ code: 'vault.closed' });
  await expect(vault.sealBytes('x', Uint8Array.of(1))).rejects.toMatchObject({ code: 'vault.closed' });
});

test('a copy of a key that the vault hands out has a life of its own', async () => {
  await using room = await vaultRoom();
  const key = await room.vault.recordingKey(room.base.db, newId<RecordingId>());
  using copy = key.copy();
  key[Symbol.dispose]();
  expect(copy.reveal().some((byte) => byte !== 0)).toBe(true);
});
