/** What came to nothing leaves an attempt, so that tries are counted and an end is found; and logins that were refused count. */
import { expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declarePolicies } from '../../src/vault/vault.ts';
import { never, nowhere, operator, type RotationRoom, rotationRoom } from './room.ts';
import { ScriptedTarget } from './target.ts';

const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 600_000 };

const attempts = async ({ vault }: RotationRoom) =>
  await vault.base.db.selectFrom('rotation_attempt').select(['trigger', 'result', 'class']).orderBy('id').execute();
const refusals = async ({ vault }: RotationRoom): Promise<number> =>
  (await vault.base.db.selectFrom('refused_login').select('at').execute()).length;

test('an administrator without a value is an attempt that came to nothing', async () => {
  const target = new ScriptedTarget('first-Value-9');
  await using room = await rotationRoom({ run: target.run, timing });
  await room.target(nowhere);
  await room.account({ name: 'root@box', kind: 'password' });
  const app = { name: 'app@box', kind: 'password', connector: 'linux-chpasswd', admin: 'root@box' } as const;
  const account = await room.account(app);
  await room.seed(account, 'first-Value-9');
  const refused = await room.rotation.rotate(account.id, 'on-demand', operator, never);
  expect(refused).toMatchObject({ code: 'rotation.precheck-failed', class: 'unsupported' });
  expect(target.jobs).toEqual([]);
  expect(await attempts(room)).toContainEqual({ trigger: 'on-demand', result: 'skipped', class: 'unsupported' });
});

test('a policy that allows no value is an attempt that came to nothing, and nothing was sent', async () => {
  const target = new ScriptedTarget(':');
  await using room = await rotationRoom({ run: target.run, timing });
  await room.target(nowhere);
  // There is one value, and it may not come back.
  const classes = { uppercase: null, lowercase: null, digits: null, special: 1, specialCharacters: ':' } as const;
  const policy = { name: 'One value', rules: { length: { min: 1, max: 1 }, ...classes, history: 1 } };
  await inTransaction(room.vault.base.db, (tx) => declarePolicies(tx, [policy], { actor: operator }));
  const app = { name: 'app@box', kind: 'password', connector: 'linux-chpasswd', policy: 'One value' } as const;
  const account = await room.account(app);
  await room.seed(account, ':');
  const refused = await room.rotation.rotate(account.id, 'on-demand', operator, never);
  expect(refused).toMatchObject({ code: 'rotation.precheck-failed', class: 'policy' });
  expect(target.jobs).not.toContain('change');
  expect(await attempts(room)).toContainEqual({ trigger: 'on-demand', result: 'skipped', class: 'policy' });
});

test('whoever enters a wrong value leaves an attempt and a row in the trail, and it counts as a refused login', async () => {
  const target = new ScriptedTarget('first-Value-9');
  await using room = await rotationRoom({ run: target.run, timing });
  await room.target(nowhere);
  const account = await room.account({ name: 'app@box', kind: 'password', connector: 'linux-chpasswd' });
  using secret = Secret.fromText('guessed');
  const credential = { kind: 'password', secret } as const;
  const answer = await room.rotation.recordKnown(account.id, credential, { unverified: false }, operator, never);
  expect(answer).toMatchObject({ code: 'rotation.credential-rejected' });
  expect(await attempts(room)).toEqual([{ trigger: 'known', result: 'skipped', class: 'authentication' }]);
  expect(await room.vault.events()).toContain('rotation.skipped');
  expect(await refusals(room)).toBe(1);
});

test('an account that changes itself is refused like at any login, and that counts', async () => {
  const target = new ScriptedTarget('first-Value-9');
  await using room = await rotationRoom({
    run: async (job, limits, signal) =>
      job.operation === 'precheck'
        ? { outcome: 'unsent', class: 'authentication', words: 'no' }
        : await target.run(job, limits, signal),
    timing,
  });
  await room.target(nowhere);
  const account = await room.account({ name: 'app@box', kind: 'password', connector: 'linux-chpasswd' });
  await room.seed(account, 'first-Value-9');
  await room.rotation.rotate(account.id, 'on-demand', operator, never);
  expect(await refusals(room)).toBe(1);
});

test('a target that hangs up on an entered value has said no answer, and it counts as a refused login all the same', async () => {
  const words = 'it hung up';
  await using room = await rotationRoom({
    run: async () => ({ outcome: 'unknown', class: 'authentication', words, counts: true }),
    timing,
  });
  await room.target(nowhere);
  const account = await room.account({ name: 'app@box', kind: 'password', connector: 'linux-chpasswd' });
  using secret = Secret.fromText('guessed');
  const credential = { kind: 'password', secret } as const;
  const answer = await room.rotation.recordKnown(account.id, credential, { unverified: false }, operator, never);
  expect(answer).toMatchObject({ code: 'rotation.credential-unchecked', reason: expect.stringContaining(words) });
  expect(await refusals(room)).toBe(1);
});
