/** W-09, Q-18, B-01: reuse, versions, the current pointer. */
import { expect, test } from 'vitest';
import type { Sigkey } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { check, currentOf, declarePolicies, policyById, versionsOf } from '../../src/vault/vault.ts';
import { actor, vaultRoom } from './room.ts';

test('the last 24 values may not come back, the 25th may, and nothing is opened to know it', async () => {
  await using room = await vaultRoom();
  const [account] = await room.declare({ name: 'root@web-01', kind: 'password', policy: 'High Security' });
  if (account === undefined) throw new Error('not declared');
  const values = Array.from({ length: 25 }, (_, n) => `value number ${n}`);
  for (const value of values) await room.put(account, value);
  // Without data keys nothing can be opened, by anybody.
  await room.base.owner.deleteFrom('credential_dek').execute();
  const reused: boolean[] = [];
  for (const value of values) {
    using candidate = Secret.fromText(value);
    reused.push((await room.vault.violations(room.base.db, account.id, candidate)).includes('history'));
  }
  expect(reused).toEqual([false, ...Array.from({ length: 24 }, () => true)]);
  expect((await versionsOf(room.base.db, account.id)).length).toBe(25);
  expect(await room.events()).not.toContain('vault.credential.opened');
});

test('a value that was only tried, and never current, counts as used', async () => {
  await using room = await vaultRoom();
  const [account, other] = await room.declare('root@web-01', 'root@web-02');
  if (account === undefined || other === undefined) throw new Error('not declared');
  const credential = { kind: 'password', secret: Secret.fromText('tried') } as const;
  const request = { account: account.id, sigkey: newId<Sigkey>(), credential, origin: 'generated', actor } as const;
  await inTransaction(room.base.db, (tx) => room.vault.store(tx, request));
  const violations = await room.vault.violations(room.base.db, account.id, credential.secret);
  expect(violations).toContain('history');
  expect(await room.vault.violations(room.base.db, other.id, credential.secret)).not.toContain('history');
});

test('a generated password keeps the policy of the account and is not in its history', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  await inTransaction(db, (tx) => {
    const rules = { length: { min: 1, max: 1 }, uppercase: null, lowercase: null, digits: 1, special: null } as const;
    return declarePolicies(tx, [{ name: 'One digit', rules: { ...rules, history: 9 } }], { actor });
  });
  const [account, root] = await room.declare(
    { name: 'pin@door-01', kind: 'password', policy: 'One digit' },
    { name: 'root@web-01', kind: 'password', policy: 'Service Account' },
  );
  if (account === undefined || root === undefined) throw new Error('not declared');
  const drawn: string[] = [];
  for (let n = 0; n < 20; n++) {
    using password = await room.vault.generatePassword(db, account.id, '');
    drawn.push(password.revealText());
    await room.put(account, password.revealText());
  }
  // Ten digits and a history of nine: every draw is the only one left, so each ten hold all digits.
  for (const ten of [drawn.slice(0, 10), drawn.slice(10)]) expect([...ten].sort().join('')).toBe('0123456789');
  await expect(room.vault.generatePassword(db, account.id, '0123456789')).rejects.toMatchObject({
    code: 'vault.policy-impossible',
  });
  using password = await room.vault.generatePassword(db, root.id, '?$');
  const policy = await policyById(db, root.policyId);
  if (policy === undefined) throw new Error('no policy');
  expect(check(policy, password.reveal(), { username: 'root', forbidden: '?$' })).toEqual([]);
});

test('there is one current value, the time of the first is set once, and a sigkey is used once', async () => {
  await using room = await vaultRoom();
  const { db, owner } = room.base;
  const [account, other] = await room.declare('root@web-01', 'root@web-02');
  if (account === undefined || other === undefined) throw new Error('not declared');
  expect(await currentOf(db, account.id)).toBeUndefined();
  const first = await room.put(account, 'a');
  const began = await currentOf(db, account.id);
  expect(began?.sigkey).toBe(first);
  const second = await room.put(account, 'b');
  const now = await currentOf(db, account.id);
  expect(now).toMatchObject({ sigkey: second, firstSetAt: began?.firstSetAt });
  const versions = await versionsOf(db, account.id);
  expect(versions.map(({ sigkey, current }) => [sigkey, current])).toEqual([
    [second, true],
    [first, false],
  ]);
  const twice = { account_id: account.id, sigkey: first };
  await expect(db.insertInto('account_current').values(twice).execute()).rejects.toMatchObject({ code: '23505' });
  const backdate = owner.updateTable('account_current').set({ first_set_at: new Date(0) });
  await expect(backdate.execute()).rejects.toThrow('set once');
  const credential = { kind: 'password', secret: Secret.fromText('c') } as const;
  const again = { account: other.id, sigkey: first, credential, origin: 'entered', actor } as const;
  await expect(inTransaction(db, (tx) => room.vault.store(tx, again))).rejects.toMatchObject({ code: '23505' });
});
