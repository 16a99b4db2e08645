/** What version 1 of the format sealed (FORMAT.md), every later version must open: the rows of a vault of then. */
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { fromHex, hex } from '../../src/base/bytes.ts';
import type { AccountId, PolicyId, RecordingId, Sigkey, TargetId } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import { type CredentialKind, openVault } from '../../src/vault/vault.ts';
import { testDatabase } from '../support/database.ts';
import golden from './golden-v1.json' with { type: 'json' };
import { actor, never } from './room.ts';

function bytes(digits: string): Uint8Array {
  const found = fromHex(digits);
  if (found === undefined) throw new Error(`no hex: ${digits}`);
  return found;
}

test('a vault of version 1 opens whole: ring, own keys, recordings, bytes, and every kind of credential', async () => {
  await using base = await testDatabase();
  await using dir = await mkdtempDisposable(join(tmpdir(), 'sallyport-golden-'));
  const dataDirectory = join(dir.path, 'data');
  await mkdir(dataDirectory);
  const rootKeyPath = join(dir.path, 'root.key');
  await writeFile(rootKeyPath, bytes(golden.rootKey), { mode: 0o400 });
  const { db } = base;
  const { tables, expected } = golden;
  for (const row of tables.vault_root)
    await db
      .insertInto('vault_root')
      .values({ root_check: bytes(row.root_check) })
      .execute();
  for (const row of tables.vault_kek)
    await db
      .insertInto('vault_kek')
      .values({ version: row.version, sealed: bytes(row.sealed) })
      .execute();
  for (const row of tables.vault_key) {
    const public_key = row.public_key === null ? null : bytes(row.public_key);
    await db
      .insertInto('vault_key')
      .values({ name: row.name, sealed: bytes(row.sealed), public_key })
      .execute();
  }
  const recording = tables.recording_key[0]?.recording_id as RecordingId;
  await db
    .insertInto('recording_key')
    .values({ recording_id: recording, sealed: bytes(tables.recording_key[0]?.sealed ?? '') })
    .execute();
  const target_id = newId<TargetId>();
  const target = { id: target_id, name: 'web-01', platform: 'linux', address: '192.0.2.1', description: '' } as const;
  await db.insertInto('target').values(target).execute();
  const policy = await db.selectFrom('policy').select('id').where('name', '=', 'Standard').executeTakeFirstOrThrow();
  const nothing = { connector: null, admin_account_id: null, settings: '{}', removed_at: null };
  for (const row of tables.account) {
    const own = { id: row.id as AccountId, name: row.name, kind: row.kind as CredentialKind };
    const policy_id: PolicyId = policy.id;
    await db
      .insertInto('account')
      .values({ ...nothing, ...own, target_id, target_name: 'web-01', policy_id })
      .execute();
  }
  for (const row of tables.credential_version) {
    const ids = { sigkey: row.sigkey as Sigkey, account_id: row.account_id as AccountId };
    const public_key = row.public_key === null ? null : bytes(row.public_key);
    const sealed = { sealed: bytes(row.sealed), public_key, history_mac: bytes(row.history_mac) };
    await db
      .insertInto('credential_version')
      .values({ ...ids, ...sealed, kind: row.kind as CredentialKind })
      .execute();
  }
  for (const row of tables.credential_dek)
    await db
      .insertInto('credential_dek')
      .values({ sigkey: row.sigkey as Sigkey, kek_version: row.kek_version, wrapped: bytes(row.wrapped) })
      .execute();

  await using vault = await openVault({ db, rootKeyPath, dataDirectory, log: silent, clock: systemClock }, never);
  const opened: Record<string, unknown> = {};
  for (const row of tables.credential_version) {
    using version = await vault.openVersion(row.account_id as AccountId, row.sigkey as Sigkey, 'golden', actor);
    if (version.kind === 'password' || version.kind === 'api-key') opened[version.kind] = version.secret.revealText();
    if (version.kind === 'ssh-key') opened[version.kind] = hex(version.publicKey);
    if (version.kind === 'certificate')
      opened[version.kind] = [hex(version.certificate), version.privateKey.revealText()];
  }
  expect(opened).toEqual({
    password: 'correct horse battery staple',
    'api-key': 'sk_golden_1',
    'ssh-key': expected.sshPublicKey,
    certificate: ['3000', 'golden private key'],
  });
  expect(hex((await vault.sealSigner('recording-seal')).publicKey)).toBe(expected.sealPublicKey);
  using key = await vault.openRecordingKey(recording);
  expect(hex(key?.reveal() ?? new Uint8Array(0))).toBe(expected.recordingKey);
  using seed = await vault.openSealed('totp/golden', bytes(expected.sealedBytes));
  expect(seed.revealText()).toBe('golden seed');
  const password = tables.credential_version.find((row) => row.kind === 'password');
  using again = Secret.fromText('correct horse battery staple');
  const violations = await vault.violations(db, password?.account_id as AccountId, again);
  expect(violations).toContain('history');
});
