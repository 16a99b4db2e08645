/** Accounts and policies by declaration: idempotent, listed, audited. W-10: the four templates. */
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { inTransaction } from '../../src/db/db.ts';
import {
  type AccountDeclaration,
  accountNamed,
  accountsOf,
  type Change,
  declareAccounts,
  declarePolicies,
  type PolicyDeclaration,
  policies,
  policyNamed,
  splitAccountLabel,
} from '../../src/vault/vault.ts';
import { templates } from './policy/material.ts';
import { actor, target, vaultRoom, type VaultRoom } from './room.ts';

function accounts(room: VaultRoom, desired: AccountDeclaration[], prune = false): Promise<Change[]> {
  return inTransaction(room.base.db, (tx) => declareAccounts(tx, desired, { actor, prune }));
}

function policy(room: VaultRoom, ...desired: PolicyDeclaration[]): Promise<Change[]> {
  return inTransaction(room.base.db, (tx) => declarePolicies(tx, desired, { actor }));
}

test('a fresh installation has exactly the four templates with their numbers', async () => {
  await using room = await vaultRoom();
  const found = await policies(room.base.db);
  expect(found.every((one) => one.template && one.version === 1)).toBe(true);
  expect(found.map(({ name }) => name).sort()).toEqual(Object.keys(templates).sort());
  for (const one of found) expect(one).toMatchObject(templates[one.name] ?? {});
});

test('a template is not changed: not by declaring, not by the app, not by the owner', async () => {
  await using room = await vaultRoom();
  await expect(policy(room, { name: 'Standard', rules: { history: 1 } })).rejects.toMatchObject({
    code: 'vault.policy-template',
  });
  const { id } = (await policyNamed(room.base.db, 'Standard')) ?? {};
  if (id === undefined) throw new Error('no Standard');
  const edit = { policy_id: id, version: 2, description: '', rules: '{}' };
  for (const db of [room.base.db, room.base.owner]) {
    await expect(db.insertInto('policy_version').values(edit).execute()).rejects.toThrow('never changed');
    await expect(db.updateTable('policy').set({ name: 'X' }).where('id', '=', id).execute()).rejects.toThrow('never');
    await expect(sql`update policy_version set rules = '{}'`.execute(db)).rejects.toMatchObject({ code: '42501' });
  }
});

test('a copy of a template is a policy of its own; changing it makes a new version', async () => {
  await using room = await vaultRoom();
  const copy = { name: 'Web servers', copyOf: 'High Security', description: 'web' };
  expect(await policy(room, copy)).toEqual([{ object: 'policy', name: 'Web servers', change: 'created' }]);
  expect(await policy(room, copy)).toEqual([{ object: 'policy', name: 'Web servers', change: 'same' }]);
  const changed = { ...copy, rules: { history: 30, length: { min: 24, max: 64 } } };
  const fields = ['length', 'history'];
  expect(await policy(room, changed)).toEqual([{ object: 'policy', name: 'Web servers', change: 'changed', fields }]);
  const now = await policyNamed(room.base.db, 'Web servers');
  expect(now).toMatchObject({ version: 2, history: 30, length: { min: 24 }, maxAgeDays: 30, template: false });
  const original = await policyNamed(room.base.db, 'High Security');
  expect(original).toMatchObject({ version: 1, history: 24 });
  const policyEvents = (await room.events()).filter((type) => type.startsWith('vault.policy'));
  expect(policyEvents).toEqual(['vault.policy.created', 'vault.policy.changed']);
});

test('an impossible policy is refused with its reasons, and nothing is stored', async () => {
  await using room = await vaultRoom();
  const impossible = { name: 'X', rules: { length: { min: 30, max: 10 }, uppercase: 11 } };
  await expect(policy(room, impossible)).rejects.toMatchObject({
    code: 'vault.policy-invalid',
    message: expect.stringMatching(/X: .*greater.*add up/),
  });
  await expect(policy(room, { name: 'Y', copyOf: 'Nothing' })).rejects.toMatchObject({ code: 'vault.policy-unknown' });
  expect((await policies(room.base.db)).length).toBe(4);
});

test('accounts are made, left alone, changed and removed, and each is said and audited', async () => {
  await using room = await vaultRoom();
  await target(room.base, 'web-01');
  const root: AccountDeclaration = { name: 'root@web-01', kind: 'password', connector: 'linux-chpasswd' };
  const deploy: AccountDeclaration = {
    name: 'deploy@web-01',
    kind: 'ssh-key',
    admin: 'root@web-01',
    settings: { home: '/srv', deep: { b: 1, a: [1, 2] } },
  };
  const say = (name: string, change: Change['change'], fields?: string[]): Change => ({
    object: 'account',
    name,
    change,
    ...(fields === undefined ? {} : { fields }),
  });
  // The admin is declared after the account that names it.
  expect(await accounts(room, [deploy, root])).toEqual([
    say('deploy@web-01', 'created'),
    say('root@web-01', 'created'),
  ]);
  expect(await accounts(room, [root, deploy])).toEqual([say('root@web-01', 'same'), say('deploy@web-01', 'same')]);
  const found = await accountNamed(room.base.db, 'deploy@web-01');
  expect(found).toMatchObject({
    label: 'deploy@web-01',
    kind: 'ssh-key',
    rotationClass: 'automatic',
    connector: null,
    adminAccountId: (await accountNamed(room.base.db, 'root@web-01'))?.id,
    rotateAfterSession: false,
    settings: { home: '/srv', deep: { b: 1, a: [1, 2] } },
    current: null,
  });
  const later = [
    { ...root, policy: 'High Security', rotateAfterSession: true },
    { ...deploy, admin: null },
  ];
  expect(await accounts(room, later)).toEqual([
    say('root@web-01', 'changed', ['policy', 'rotateAfterSession']),
    say('deploy@web-01', 'changed', ['admin']),
  ]);
  expect(await accounts(room, [root], true)).toEqual([
    say('root@web-01', 'changed', ['policy', 'rotateAfterSession']),
    say('deploy@web-01', 'removed'),
  ]);
  expect(await accountNamed(room.base.db, 'deploy@web-01')).toBeUndefined();
  expect((await accountsOf(room.base.db)).map(({ label }) => label)).toEqual(['root@web-01']);
  const events = (await room.events()).filter((type) => type.startsWith('vault.account'));
  expect(events).toEqual([
    'vault.account.created',
    'vault.account.created',
    'vault.account.changed',
    'vault.account.changed',
    'vault.account.changed',
    'vault.account.removed',
  ]);
});

test('a removed account keeps its history, and gets it back when it is declared again', async () => {
  await using room = await vaultRoom();
  const [before] = await room.declare('root@web-01');
  if (before === undefined) throw new Error('not declared');
  const sigkey = await room.put(before, 'kept');
  await accounts(room, [], true);
  const [after] = await room.declare('root@web-01');
  expect(after).toMatchObject({ id: before.id, current: sigkey });
});

test('a target that goes away leaves the history of its removed accounts', async () => {
  await using room = await vaultRoom();
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  await room.put(account, 'kept');
  const { db } = room.base;
  const remove = db.deleteFrom('target').where('id', '=', account.target.id);
  await expect(remove.execute()).rejects.toMatchObject({ constraint: 'account_in_use_has_target' });
  await accounts(room, [], true);
  await remove.execute();
  const row = await db.selectFrom('account').select(['target_id', 'target_name']).executeTakeFirstOrThrow();
  expect(row).toEqual({ target_id: null, target_name: 'web-01' });
  expect((await db.selectFrom('credential_version').select('sigkey').execute()).length).toBe(1);
});

test.each<[string, AccountDeclaration[], string]>([
  ['a target that is not there', [{ name: 'root@nowhere', kind: 'password' }], 'vault.target-unknown'],
  ['a policy that is not there', [{ name: 'root@web-01', kind: 'password', policy: 'X' }], 'vault.policy-unknown'],
  [
    'an admin that is not there',
    [{ name: 'root@web-01', kind: 'password', admin: 'x@web-01' }],
    'vault.account-unknown',
  ],
  ['its own admin', [{ name: 'root@web-01', kind: 'password', admin: 'root@web-01' }], 'vault.account-invalid'],
  ['no target', [{ name: 'root', kind: 'password' }], 'vault.account-invalid'],
  [
    'one twice',
    [
      { name: 'root@web-01', kind: 'password' },
      { name: 'root@web-01', kind: 'api-key' },
    ],
    'vault.account-invalid',
  ],
])('%s is refused, and nothing of the list is done', async (_, desired, code) => {
  await using room = await vaultRoom();
  await target(room.base, 'web-01');
  await expect(accounts(room, [{ name: 'good@web-01', kind: 'password' }, ...desired])).rejects.toMatchObject({ code });
  expect(await accountsOf(room.base.db)).toEqual([]);
});

test('the kind of an account stays once it has credentials', async () => {
  await using room = await vaultRoom();
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  const asKey = { name: 'root@web-01', kind: 'ssh-key' } as const;
  expect(await accounts(room, [asKey])).toMatchObject([{ change: 'changed', fields: ['kind'] }]);
  await accounts(room, [{ ...asKey, kind: 'password' }]);
  await room.put(account, 'x');
  await expect(accounts(room, [asKey])).rejects.toMatchObject({ code: 'vault.account-kind-fixed' });
});

test('a label parts at its last @', () => {
  expect(splitAccountLabel('ana@example.com@db1')).toEqual({ account: 'ana@example.com', target: 'db1' });
  expect(splitAccountLabel('EXAMPLE\\ana@db1')).toEqual({ account: 'EXAMPLE\\ana', target: 'db1' });
  for (const label of ['', '@', 'root', 'root@', '@db1']) expect(splitAccountLabel(label)).toBeUndefined();
});
