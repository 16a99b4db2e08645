/** W-01, W-06, B-05: what opens, for whom, and what stays closed with an alarm. */
import { expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import type { Sigkey } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { type Account, hold, type Vault } from '../../src/vault/vault.ts';
import { actor, intrude, vaultRoom, type VaultRoom } from './room.ts';

async function value(vault: Vault, account: Account, sigkey: Sigkey): Promise<string> {
  using version = await vault.openVersion(account.id, sigkey, 'test', actor);
  if (!('secret' in version)) throw new Error(`a ${version.kind} has no secret`);
  return version.secret.revealText();
}

async function twoAccounts(room: VaultRoom): Promise<[Account, Account]> {
  const [one, two] = await room.declare('root@web-01', 'root@web-02');
  if (one === undefined || two === undefined) throw new Error('not declared');
  return [one, two];
}

test('who holds an account gets its current password, and that is in the audit trail first', async () => {
  await using room = await vaultRoom();
  const [account] = await twoAccounts(room);
  await room.put(account, 'older');
  const sigkey = await room.put(account, 'newer');
  const subject = newId<Sigkey>();
  await using held = await hold(room.base.db, account.id, { kind: 'session', subject });
  const opened = await room.vault.open(held, actor);
  if (isRefusal(opened) || opened.kind !== 'password') throw new Error('no password');
  expect(opened.secret.revealText()).toBe('newer');
  opened[Symbol.dispose]();
  expect(() => opened.secret.reveal()).toThrow('disposed');
  const event = await room.base.db
    .selectFrom('audit_event')
    .select(['about', 'details'])
    .where('type', '=', 'vault.credential.opened')
    .executeTakeFirstOrThrow();
  expect(event.about).toEqual({ account: account.id, sigkey, session: subject });
  expect(event.details).toEqual({ purpose: 'session', kind: 'password' });
});

test('what cannot be audited is not opened', async () => {
  await using room = await vaultRoom();
  const [account] = await twoAccounts(room);
  const sigkey = await room.put(account, 'x');
  await using held = await hold(room.base.db, account.id, { kind: 'session', subject: 's' });
  await intrude(room.base, 'alter function audit_append rename to audit_append_gone');
  await expect(room.vault.open(held, actor)).rejects.toThrow('audit_append');
  await expect(room.vault.openVersion(account.id, sigkey, 'test', actor)).rejects.toThrow('audit_append');
});

test('an account that never had a password, or was blanked, says so and gives nothing', async () => {
  await using room = await vaultRoom();
  const [account] = await twoAccounts(room);
  await using held = await hold(room.base.db, account.id, { kind: 'checkout', subject: 'c' });
  const refusal = { refused: true, code: 'vault.no-password-recorded', reason: 'No password recorded yet' };
  expect(await room.vault.open(held, actor)).toEqual(refusal);
  const sigkey = await room.put(account, 'x');
  expect(isRefusal(await room.vault.open(held, actor))).toBe(false);
  await room.vault.setCurrent(room.base.db, account.id, null);
  expect(await room.vault.open(held, actor)).toEqual(refusal);
  expect(await value(room.vault, account, sigkey)).toBe('x');
  const refused = (await room.events()).filter((type) => type === 'vault.credential.refused');
  expect(refused.length).toBe(2);
});

test('a released hold opens nothing', async () => {
  await using room = await vaultRoom();
  const [account] = await twoAccounts(room);
  await room.put(account, 'x');
  const held = await hold(room.base.db, account.id, { kind: 'session', subject: 's' });
  await held.release();
  expect(await room.vault.open(held, actor)).toMatchObject({ refused: true, code: 'vault.hold-released' });
});

test('api keys and certificates are stored, versioned and opened like the rest', async () => {
  await using room = await vaultRoom();
  const [api, tls] = await room.declare(
    { name: 'billing@api-01', kind: 'api-key' },
    { name: 'nginx@web-01', kind: 'certificate' },
  );
  if (api === undefined || tls === undefined) throw new Error('not declared');
  expect([api.rotationClass, tls.rotationClass]).toEqual(['manual', 'limited']);
  await room.put(api, { kind: 'api-key', secret: Secret.fromText('sk_live_1') });
  const certificate = Uint8Array.of(0x30, 1, 2);
  await room.put(tls, { kind: 'certificate', certificate, privateKey: Secret.fromText('-----BEGIN') });
  await using heldApi = await hold(room.base.db, api.id, { kind: 'checkout', subject: 'c' });
  await using heldTls = await hold(room.base.db, tls.id, { kind: 'checkout', subject: 'c' });
  const [one, two] = [await room.vault.open(heldApi, actor), await room.vault.open(heldTls, actor)];
  expect('secret' in one && one.secret.revealText()).toBe('sk_live_1');
  expect('certificate' in two && [...two.certificate]).toEqual([0x30, 1, 2]);
  expect('privateKey' in two && two.privateKey.revealText()).toBe('-----BEGIN');
});

test('a credential of another kind than the account is not stored', async () => {
  await using room = await vaultRoom();
  const [account] = await twoAccounts(room);
  const credential = { kind: 'api-key', secret: Secret.fromText('x') } as const;
  await expect(room.put(account, credential)).rejects.toMatchObject({ code: 'vault.credential-kind' });
  expect(await room.base.db.selectFrom('credential_version').selectAll().execute()).toEqual([]);
});

test('a version is opened only under its own account', async () => {
  await using room = await vaultRoom();
  const [one, two] = await twoAccounts(room);
  const sigkey = await room.put(one, 'x');
  await expect(value(room.vault, two, sigkey)).rejects.toMatchObject({ code: 'vault.credential-unknown' });
  await expect(room.vault.setCurrent(room.base.db, two.id, sigkey)).rejects.toMatchObject({
    constraint: 'account_current_is_its_own',
  });
});

test('ciphertexts and IVs of equal values differ', async () => {
  await using room = await vaultRoom();
  const [one, two] = await twoAccounts(room);
  for (const account of [one, one, two]) await room.put(account, 'CANARY-7f3a');
  const rows = await room.base.db.selectFrom('credential_version').select(['sealed', 'history_mac']).execute();
  const distinct = (parts: Uint8Array[]): number =>
    new Set(parts.map((part) => Buffer.from(part).toString('hex'))).size;
  expect(distinct(rows.map((row) => row.sealed.subarray(1, 13)))).toBe(3);
  expect(distinct(rows.map((row) => row.sealed.subarray(13)))).toBe(3);
  // Equal values of one account are recognised; equal values of two accounts are not linked.
  expect(distinct(rows.map((row) => row.history_mac))).toBe(2);
});

const changes: readonly (readonly [string, string])[] = [
  ['the format byte of a value', 'credential_version set sealed = set_byte(sealed, 0, 2)'],
  ['the IV of a value', 'credential_version set sealed = set_byte(sealed, 5, get_byte(sealed, 5) # 1)'],
  ['the ciphertext', 'credential_version set sealed = set_byte(sealed, 14, get_byte(sealed, 14) # 128)'],
  [
    'the tag',
    'credential_version set sealed = set_byte(sealed, length(sealed)-1, get_byte(sealed, length(sealed)-1) # 1)',
  ],
  ['the end of a value', 'credential_version set sealed = substr(sealed, 1, 30)'],
  ['the IV of a data key', 'credential_dek set wrapped = set_byte(wrapped, 3, get_byte(wrapped, 3) # 1)'],
  ['a data key', 'credential_dek set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)'],
  ['the tag of a data key', 'credential_dek set wrapped = set_byte(wrapped, 60, get_byte(wrapped, 60) # 1)'],
  ['the kind', "credential_version set kind = 'api-key'"],
];

test.each(changes)('altered in the database, %s: it stays closed and is audited', async (_, change) => {
  await using room = await vaultRoom();
  const [account, other] = await twoAccounts(room);
  await room.put(account, 'Tr0ub4dor');
  const sigkey = await room.put(other, 'untouched');
  const table = change.split(' ')[0] ?? '';
  await intrude(room.base, `update ${change} where ${table}.sigkey <> $1`, [sigkey]);
  await using held = await hold(room.base.db, account.id, { kind: 'session', subject: 's' });
  await expect(room.vault.open(held, actor)).rejects.toMatchObject({ code: 'vault.tampered' });
  expect((await room.events()).slice(-1)).toEqual(['vault.credential.tampered']);
  expect(await room.events()).not.toContain('vault.credential.opened');
  expect(await value(room.vault, other, sigkey)).toBe('untouched');
});

test.each(['credential_version.sealed', 'credential_dek.wrapped', 'both'])(
  'exchanged between two accounts or two versions of one (%s): both stay closed',
  async (what) => {
    await using room = await vaultRoom();
    const [one, two] = await twoAccounts(room);
    const sigkeys = { one: await room.put(one, 'aaaa'), two: await room.put(two, 'bbbb') };
    const later = await room.put(one, 'cccc');
    const swaps = what === 'both' ? ['credential_version.sealed', 'credential_dek.wrapped'] : [what];
    const swap = async (a: Sigkey, b: Sigkey): Promise<void> => {
      for (const each of swaps) {
        const [table, column] = each.split('.');
        await intrude(
          room.base,
          `update ${table} mine set ${column} = other.${column} from ${table} other
           where (mine.sigkey, other.sigkey) in (($1, $2), ($2, $1))`,
          [a, b],
        );
      }
    };
    await swap(sigkeys.one, sigkeys.two);
    await expect(value(room.vault, one, sigkeys.one)).rejects.toMatchObject({ code: 'vault.tampered' });
    await expect(value(room.vault, two, sigkeys.two)).rejects.toMatchObject({ code: 'vault.tampered' });
    await swap(sigkeys.one, sigkeys.two);
    expect(await value(room.vault, one, sigkeys.one)).toBe('aaaa');
    await swap(sigkeys.one, later);
    await expect(value(room.vault, one, later)).rejects.toMatchObject({ code: 'vault.tampered' });
    const alarms = (await room.events()).filter((type) => type === 'vault.credential.tampered');
    expect(alarms.length).toBe(3);
  },
);

test('a version filed under another account stays closed', async () => {
  await using room = await vaultRoom();
  const [one, two] = await twoAccounts(room);
  const sigkey = newId<Sigkey>();
  const credential = { kind: 'password', secret: Secret.fromText('aaaa') } as const;
  await inTransaction(room.base.db, (tx) =>
    room.vault.store(tx, { account: one.id, sigkey, credential, origin: 'entered', actor }),
  );
  await intrude(room.base, 'update credential_version set account_id = $1', [two.id]);
  await expect(value(room.vault, two, sigkey)).rejects.toMatchObject({ code: 'vault.tampered' });
});

test('a value whose data key was destroyed is gone, and said to be', async () => {
  await using room = await vaultRoom();
  const [account] = await twoAccounts(room);
  const sigkey = await room.put(account, 'x');
  await room.base.owner.deleteFrom('credential_dek').execute();
  await expect(value(room.vault, account, sigkey)).rejects.toMatchObject({
    code: 'vault.credential-unknown',
    message: expect.stringContaining('destroyed'),
  });
});
