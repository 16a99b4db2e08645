/** Conflicts that resolve themselves, on a scripted target; what is written down about them, and what never happens by itself. */
import { expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import type { Sigkey } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { addOutcome, addRandomization } from '../../src/rotation/ledger/ledger.ts';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import { first, history, reconcilesItself, rootOf, scene, settled } from './conflict-scene.ts';
import { never, operator } from './room.ts';

test('a tree conflict resolves itself when exactly one value works', async () => {
  await using stage = await scene();
  const root = await rootOf(stage);
  const one = await stage.draw('node-a-Value-1', root, 'C', 'a');
  const two = await stage.draw('node-b-Value-2', root, 'C', 'b');
  stage.target.live = 'node-b-Value-2';
  expect((await history(stage)).conflict).toBe('tree');
  await settled(stage);
  const after = await history(stage);
  expect([after.conflict, after.current]).toEqual(['none', two]);
  expect(after.versions.find((version) => version.sigkey === one)?.place).toBe('history');
});

test('a value that was uncertain and is refused goes to the failed ones, never to the history', async () => {
  await using stage = await scene();
  const cut = await stage.draw('cut-off-Value-1', await rootOf(stage), 'U');
  await settled(stage);
  const after = await history(stage);
  expect([after.conflict, after.versions.find((version) => version.sigkey === cut)?.place]).toEqual([
    'none',
    'working_history',
  ]);
});

test('each value that was tried has its row, with the eleven columns of the field', async () => {
  await using stage = await scene();
  const root = await rootOf(stage);
  const cut = await stage.draw('cut-off-Value-1', root, 'U');
  stage.target.live = 'cut-off-Value-1';
  await settled(stage);
  const rows = await stage.room.rotation.conflicts.report({ account: stage.account.id, limit: 10 });
  expect(new Map(rows.map((row) => [row.sigkey, `${row.type} ${row.retcode} ${row.actionreason}`]))).toEqual(
    new Map([
      [cut, 'U accepted A'],
      [root, 'C rejected authentication A'],
    ]),
  );
  expect(new Set(rows.map((row) => row.verificationid)).size).toBe(1);
  expect(Object.keys(rows[0] ?? {}).sort()).toEqual(
    [
      'accountguid',
      'accountname',
      'actionreason',
      'agentmessage',
      'at',
      'requesterguid',
      'requestername',
      'retcode',
      'sigkey',
      'svcid',
      'type',
      'verificationid',
    ].sort(),
  );
  await expect(
    stage.room.vault.base.db.deleteFrom('password_verification').execute(),
    'the rows stay',
  ).rejects.toThrow();
});

test('where two values work nothing is decided: in a grace period a person must wait or decide', async () => {
  await using stage = await scene();
  const root = await rootOf(stage);
  await stage.draw('second-Value-1', root, 'U');
  stage.target.accepts = () => true;
  await settled(stage);
  const [entry] = await stage.room.rotation.conflicts.list(never);
  expect(entry).toMatchObject({ state: 'manual', kind: 'incomplete' });
  expect(entry?.reason).toContain('2 of 2 values work');
  expect((await history(stage)).current).toBe(root);
});

test('a target that is silent decides nothing, and is asked again only after a while', async () => {
  await using stage = await scene();
  await stage.draw('second-Value-1', await rootOf(stage), 'U');
  stage.target.reachable = false;
  await settled(stage);
  stage.target.reachable = true;
  await settled(stage);
  expect((await history(stage)).conflict).toBe('incomplete');
  const answers: string[] = [];
  await stage.room.rotation.conflicts.resolve(
    [stage.account.id],
    operator,
    ({ answer }) => answers.push(isRefusal(answer) ? answer.code : answer.outcome),
    never,
  );
  expect(answers).toEqual(['resolved']);
});

test('an account by whose rights others are changed is left to a person', async () => {
  await using stage = await scene();
  const admin = await stage.room.again({ ...stage.account, label: 'root@box' });
  const { room } = stage;
  const sigkey = newId<Sigkey>();
  using secret = Secret.fromText('root-cut-Value-1');
  await inTransaction(room.vault.base.db, async (tx) => {
    const credential = { kind: 'password', secret } as const;
    await room.vault.vault.store(tx, { account: admin.id, sigkey, credential, origin: 'generated', actor: operator });
    const fact = { sigkey, account: admin.id, parent: admin.current, node: 'x', createdAt: Date.now() };
    await addRandomization(tx, room.vault.vault, fact);
    const outcome = {
      account: admin.id,
      sigkey,
      node: 'x',
      status: 'U',
      at: Date.now(),
      retcode: '',
      message: '',
    } as const;
    await addOutcome(tx, room.vault.vault, outcome);
  });
  await settled(stage);
  expect(await room.rotation.conflicts.list(never)).toMatchObject([
    { account: 'root@box', state: 'manual', reason: expect.stringContaining('other accounts') },
  ]);
  expect(stage.target.jobs).toEqual([]);
});

test('nodes that cannot be heard in time leave it to a person, and nothing is changed', async () => {
  const peers: Peers = { ...alone, heard: async () => 'late', unreachable: async () => ['berlin'] };
  await using stage = await scene({ peers });
  await stage.draw('one-Value-1', await rootOf(stage), 'U');
  await settled(stage);
  expect(await stage.room.rotation.conflicts.list(never)).toMatchObject([
    { state: 'manual', reason: expect.stringContaining('nodes inconsistent') },
  ]);
  expect(stage.target.jobs).toEqual([]);
});

test('a node that does not manage the policy decides nothing', async () => {
  const peers: Peers = {
    ...alone,
    mayResolve: async () => false,
    mayDecide: async () => ({ may: false, because: 'resolves-elsewhere', node: 'paris' }),
  };
  await using stage = await scene({ peers });
  const cut = await stage.draw('one-Value-1', await rootOf(stage), 'U');
  await settled(stage);
  expect(stage.target.jobs).toEqual([]);
  expect(await stage.room.rotation.conflicts.list(never)).toMatchObject([
    { state: 'waiting', reason: 'paris resolves for this policy' },
  ]);
  const told: unknown[] = [];
  await stage.room.rotation.conflicts.resolve([stage.account.id], operator, ({ answer }) => told.push(answer), never);
  expect(told).toMatchObject([{ outcome: 'waiting', words: 'paris resolves for this policy' }]);
  expect(await stage.room.rotation.conflicts.decide(stage.account.id, cut, 'reject', operator, never)).toMatchObject({
    code: 'rotation.not-managing',
    reason: expect.stringContaining('paris resolves'),
  });
});

test('a password changed by hand is found out, and an old value that works again is current again', async () => {
  await using stage = await scene();
  const root = await rootOf(stage);
  expect(await stage.room.rotation.rotate(stage.account.id, 'on-demand', operator, never)).toMatchObject({
    status: 'confirmed',
  });
  stage.target.live = first;
  expect(await stage.room.rotation.verify(stage.account.id, operator, never)).toMatchObject({
    answer: 'accepted',
    words: expect.stringContaining('a former one works'),
  });
  expect((await history(stage)).current).toBe(root);
});

test('out of sync is a state with a time, and reconciliation sets a new value by the other account', async () => {
  await using stage = await scene();
  stage.target.live = 'set-by-Hand-77';
  expect(await stage.room.rotation.verify(stage.account.id, operator, never)).toMatchObject({ answer: 'rejected' });
  expect(await stage.room.rotation.conflicts.list(never)).toMatchObject([
    { account: 'app@box', state: 'out-of-sync', since: expect.any(Date) },
  ]);
  const result = await stage.room.rotation.reconcile(stage.account.id, operator, never);
  expect(result).toMatchObject({ status: 'confirmed' });
  expect(await stage.room.value(stage.account)).toBe(stage.target.live);
  expect(await stage.room.rotation.verify(stage.account.id, operator, never)).toMatchObject({ answer: 'accepted' });
  expect(await stage.room.rotation.conflicts.list(never)).toEqual([]);
});

test('nothing is reset while a known value works, or while nobody knows', async () => {
  await using stage = await scene();
  const { rotation } = stage.room;
  expect(await rotation.reconcile(stage.account.id, operator, never)).toMatchObject({ code: 'rotation.not-lost' });
  await stage.draw('one-Value-1', await rootOf(stage), 'U');
  stage.target.accepts = () => true;
  expect(await rotation.reconcile(stage.account.id, operator, never)).toMatchObject({
    code: 'rotation.not-known-lost',
  });
  stage.target.reachable = false;
  expect(await rotation.reconcile(stage.account.id, operator, never)).toMatchObject({
    code: 'rotation.not-known-lost',
  });
  expect(stage.target.jobs).not.toContain('reconcile');
});

test('where the account says so a lost value is reconciled without being asked, and never an administrator', async () => {
  await using stage = await scene();
  const { room } = stage;
  await room.account(reconcilesItself);
  await stage.draw('one-Value-1', await rootOf(stage), 'U');
  stage.target.live = 'set-by-Hand-77';
  await settled(stage);
  const after = await history(stage);
  expect([after.conflict, await room.value(stage.account)]).toEqual(['none', stage.target.live]);
  expect(stage.target.jobs).toContain('reconcile');
  await room.account({ name: 'spare@box', kind: 'password', connector: 'linux-chpasswd' });
  const admin = await room.account({
    name: 'root@box',
    kind: 'password',
    connector: 'linux-chpasswd',
    reconcile: 'spare@box',
  });
  expect(await room.rotation.reconcile(admin.id, operator, never)).toMatchObject({
    code: 'rotation.target-administrator',
  });
});

test('120 conflicts go in batches of 50, 50 and 20, each under one verification id', async () => {
  await using stage = await scene();
  const { room } = stage;
  const ids = [];
  // Drawn just now: what is older than its policy allows would be changed as soon as it is settled.
  const at = Date.now();
  for (let number = 0; number < 120; number++) {
    const label = `many${String(number).padStart(3, '0')}@box`;
    const account = await room.account({ name: label, kind: 'password', connector: 'linux-chpasswd' });
    using secret = Secret.fromText(first);
    const sigkey = newId<Sigkey>();
    await inTransaction(room.vault.base.db, async (tx) => {
      const credential = { kind: 'password', secret } as const;
      const { vault } = room.vault;
      await vault.store(tx, { account: account.id, sigkey, credential, origin: 'generated', actor: operator });
      await addRandomization(tx, vault, { sigkey, account: account.id, parent: null, node: 'x', createdAt: at });
      const outcome = { account: account.id, sigkey, node: 'x', status: 'U', at, retcode: '', message: '' } as const;
      await addOutcome(tx, vault, outcome);
    });
    ids.push(account.id);
  }
  await settled(stage);
  const rows = await room.rotation.conflicts.report({ limit: 200 });
  const sizes = new Map<string, number>();
  for (const row of rows) sizes.set(row.verificationid, (sizes.get(row.verificationid) ?? 0) + 1);
  expect([...sizes.values()].sort((a, b) => b - a)).toEqual([50, 50, 20]);
  expect(await room.rotation.conflicts.list(never)).toEqual([]);
  expect(ids).toHaveLength(120);
}, 120_000);

test('looking for conflicts over all accounts is saved with its time', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  await stage.draw('one-Value-1', await rootOf(stage), 'U');
  const { conflicts } = stage.room.rotation;
  expect(await conflicts.lastDiscovery()).toBeUndefined();
  expect(await conflicts.discover(operator, never)).toMatchObject({ accounts: 2, found: 1 });
  expect(await conflicts.lastDiscovery()).toMatchObject({ accounts: 2, found: 1, at: expect.any(Date) });
});

test('when the budget of refused logins is spent the rest waits, and what was refused is not tried again', async () => {
  let now = Date.now();
  const clock = { now: () => now, sleep: (ms: number, signal: AbortSignal) => systemClock.sleep(ms, signal) };
  await using stage = await scene({ clock });
  const root = await rootOf(stage);
  const drawn: Sigkey[] = [];
  for (const name of ['a', 'b', 'c']) drawn.push(await stage.draw(`${name}-Value-1`, root, 'U', name));
  stage.target.live = 'a-Value-1';
  const budgets: [number, number][] = [];
  const { run } = stage.target;
  const counting = await stage.room.open({
    clock,
    watch: true,
    run: async (job, limits, signal) => {
      if (job.operation === 'adminverify') budgets.push([job.budget, job.candidates.length]);
      return run(job, limits, signal);
    },
  });
  await counting.settle();
  await counting.settle();
  expect(budgets).toEqual([[2, 4]]);
  expect(await counting.conflicts.list(never)).toMatchObject([
    { state: 'waiting', reason: expect.stringContaining('could lock the account') },
  ]);
  now += 31 * 60_000;
  await counting.settle();
  expect(budgets).toEqual([
    [2, 4],
    [2, 2],
  ]);
  expect((await history(stage)).current).toBe(drawn[0]);
});
