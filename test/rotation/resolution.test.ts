/** Conflicts on a scripted target: what resolves itself, what a person may do, and what is written down about it. */
import { expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import type { Sigkey } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { inTransaction } from '../../src/db/db.ts';
import { addOutcome, addRandomization } from '../../src/rotation/ledger/ledger.ts';
import type { OutcomeStatus } from '../../src/rotation/plan/facts.ts';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import type { RotationOptions } from '../../src/rotation/rotation.ts';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secret.ts';
import type { Account } from '../../src/vault/vault.ts';
import { never, nowhere, operator, type RotationRoom, rotationRoom } from './room.ts';
import { ScriptedTarget } from './target.ts';

const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 600_000 };
const first = 'first-Value-9';

interface Scene extends AsyncDisposable {
  readonly room: RotationRoom;
  readonly target: ScriptedTarget;
  readonly account: Account;
  /** A further value in the ledger, drawn by another node or cut off; its value is its name. */
  readonly draw: (value: string, parent: Sigkey | null, status: OutcomeStatus, node?: string) => Promise<Sigkey>;
}

async function scene(options: Partial<RotationOptions> = {}): Promise<Scene> {
  const target = new ScriptedTarget(first);
  const room = await rotationRoom({ run: target.run, timing, ...options });
  await room.target(nowhere);
  const admin = await room.account({ name: 'root@box', kind: 'password', connector: 'linux-chpasswd' });
  await room.seed(admin, 'root-Value-9');
  const account = await room.account({
    name: 'app@box',
    kind: 'password',
    connector: 'linux-chpasswd',
    admin: 'root@box',
    reconcile: 'root@box',
  });
  await room.seed(account, first);
  const { db } = room.vault.base;
  const draw: Scene['draw'] = async (value, parent, status, node = 'another') => {
    const sigkey = newId<Sigkey>();
    using secret = Secret.fromText(value);
    await inTransaction(db, async (tx) => {
      const { vault } = room.vault;
      const at = Date.now();
      await vault.store(tx, {
        account: account.id,
        sigkey,
        credential: { kind: 'password', secret },
        origin: 'generated',
        actor: operator,
      });
      await addRandomization(tx, vault, { sigkey, account: account.id, parent, node, createdAt: at });
      await addOutcome(tx, vault, { account: account.id, sigkey, node, status, at, retcode: 'none', message: '' });
    });
    return sigkey;
  };
  return { room, target, account, draw, [Symbol.asyncDispose]: () => room[Symbol.asyncDispose]() };
}

async function rootOf({ room, account }: Scene): Promise<Sigkey> {
  const { current } = await room.again(account);
  if (current === null) throw new Error('nothing is current');
  return current;
}

async function settled({ room }: Scene): Promise<void> {
  const watching = await room.open({ watch: true });
  await watching.settle();
  await watching[Symbol.asyncDispose]();
}

async function history({ room, account }: Scene) {
  const found = await room.rotation.history(account.id);
  if (isRefusal(found)) throw new Error(found.reason);
  return found;
}

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
  expect(rows.map((row) => [row.sigkey, row.type, row.retcode, row.actionreason]).sort()).toEqual(
    [
      [cut, 'U', 'accepted', 'A'],
      [root, 'C', 'rejected authentication', 'A'],
    ].sort(),
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

test('when it is switched off nothing is tried, and a person may decide at once', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const cut = await stage.draw('second-Value-1', await rootOf(stage), 'U');
  await settled(stage);
  expect(stage.target.jobs).toEqual([]);
  const decided = await stage.room.rotation.conflicts.decide(stage.account.id, cut, 'confirm', operator, never);
  expect(decided).toMatchObject({ conflict: 'none', current: cut });
});

test('a person is refused while automatic resolution has not finished', async () => {
  await using stage = await scene();
  const cut = await stage.draw('second-Value-1', await rootOf(stage), 'U');
  const { conflicts } = stage.room.rotation;
  for (const what of ['confirm', 'reject', 'set-current'] as const)
    expect(await conflicts.decide(stage.account.id, cut, what, operator, never)).toMatchObject({
      code: 'rotation.resolving',
    });
  expect(await conflicts.force(stage.account.id, operator, never)).toMatchObject({ code: 'rotation.resolving' });
  expect((await history(stage)).conflict).toBe('incomplete');
});

test('confirm and reject decide one uncertain value each, and the tree is looked at again', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  const one = await stage.draw('one-Value-1', root, 'U');
  const two = await stage.draw('two-Value-2', root, 'U');
  const { conflicts } = stage.room.rotation;
  expect((await history(stage)).conflict).toBe('tree+incomplete');
  expect(await conflicts.decide(stage.account.id, one, 'set-current', operator, never)).toMatchObject({
    code: 'rotation.incomplete-first',
  });
  expect(await conflicts.decide(stage.account.id, one, 'reject', operator, never)).toMatchObject({
    conflict: 'incomplete',
  });
  expect(await conflicts.decide(stage.account.id, one, 'reject', operator, never)).toMatchObject({
    code: 'rotation.not-uncertain',
  });
  expect(await conflicts.decide(stage.account.id, two, 'reject', operator, never)).toMatchObject({
    conflict: 'none',
    current: root,
  });
  const rows = await conflicts.report({ account: stage.account.id, limit: 10 });
  expect(rows.map((row) => [row.sigkey, row.retcode, row.actionreason])).toEqual([
    [two, 'ACVerifyFailed', 'M'],
    [one, 'ACVerifyFailed', 'M'],
  ]);
  expect(new Set(rows.map((row) => row.verificationid)).size, 'each action by hand has its own').toBe(2);
});

test('one candidate of a tree is set as current, and the others go to the history', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  const one = await stage.draw('one-Value-1', root, 'C', 'a');
  const two = await stage.draw('two-Value-2', root, 'C', 'b');
  const { conflicts } = stage.room.rotation;
  expect(await conflicts.decide(stage.account.id, root, 'set-current', operator, never)).toMatchObject({
    code: 'rotation.no-candidate',
  });
  expect(await conflicts.decide(stage.account.id, one, 'set-current', operator, never)).toMatchObject({
    conflict: 'none',
    current: one,
  });
  expect((await history(stage)).versions.find((version) => version.sigkey === two)?.place).toBe('history');
});

test('forcing presumes the newest confirmed value and randomizes at once', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  const old = await stage.draw('one-Value-1', root, 'C', 'a');
  const newest = await stage.draw('two-Value-2', root, 'C', 'b');
  const cut = await stage.draw('three-Value-3', newest, 'U', 'b');
  stage.target.live = 'somebody-elses-1';
  const result = await stage.room.rotation.conflicts.force(stage.account.id, operator, never);
  expect(result).toMatchObject({ status: 'confirmed' });
  const after = await history(stage);
  const placeOf = (sigkey: Sigkey) => after.versions.find((version) => version.sigkey === sigkey)?.place;
  expect([after.conflict, placeOf(old), placeOf(newest), placeOf(cut)]).toEqual([
    'none',
    'history',
    'history',
    'working_history',
  ]);
  expect(await stage.room.value(stage.account)).toBe(stage.target.live);
  expect(after.versions.find((version) => version.current)?.parent).toBe(newest);
});

test('forcing is refused without any change where it could not be finished', async () => {
  const peers: Peers = { ...alone, heard: async () => 'late', unreachable: async () => ['berlin'] };
  await using stage = await scene({ peers });
  await stage.draw('one-Value-1', await rootOf(stage), 'U');
  const before = await history(stage);
  expect(await stage.room.rotation.conflicts.force(stage.account.id, operator, never)).toMatchObject({
    code: 'rotation.nodes-unreachable',
    reason: expect.stringContaining('berlin'),
  });
  expect(await history(stage)).toEqual(before);
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
  const peers: Peers = { ...alone, mayResolve: async () => false };
  await using stage = await scene({ peers });
  const cut = await stage.draw('one-Value-1', await rootOf(stage), 'U');
  await settled(stage);
  expect(stage.target.jobs).toEqual([]);
  expect(await stage.room.rotation.conflicts.list(never)).toMatchObject([{ state: 'waiting' }]);
  expect(await stage.room.rotation.conflicts.decide(stage.account.id, cut, 'reject', operator, never)).toMatchObject({
    code: 'rotation.not-managing',
  });
});

test('a blanked account has no current value, and every value is kept', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  const one = await stage.draw('one-Value-1', root, 'C', 'a');
  const two = await stage.draw('two-Value-2', root, 'C', 'b');
  const decided = await stage.room.rotation.conflicts.blank(stage.account.id, operator, never);
  expect(decided).toMatchObject({ conflict: 'none', current: null });
  const after = await history(stage);
  expect(after.versions.filter((version) => version.place === 'history').map((version) => version.sigkey)).toEqual([
    root,
    one,
    two,
  ]);
  expect(await stage.room.rotation.verify(stage.account.id, operator, never)).toMatchObject({
    code: 'rotation.nothing-recorded',
  });
  const rotated = await stage.room.rotation.rotate(stage.account.id, 'on-demand', operator, never);
  expect(rotated).toMatchObject({ status: 'confirmed' });
});

test('blanking works while another process holds the account, whose word is evidence only afterwards', async () => {
  await using stage = await scene();
  const { promise: changing, resolve: reached } = Promise.withResolvers<void>();
  const { promise: go, resolve: proceed } = Promise.withResolvers<void>();
  stage.target.onChange = async (next) => {
    reached();
    await go;
    stage.target.live = next;
    return { outcome: 'confirmed', class: 'none', words: '' };
  };
  const rotating = stage.room.rotation.rotate(stage.account.id, 'on-demand', operator, never);
  await changing;
  const other = await stage.room.open();
  expect(await other.conflicts.blank(stage.account.id, operator, never)).toMatchObject({ current: null });
  proceed();
  expect(await rotating).toMatchObject({ status: 'uncertain' });
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
  await room.account({
    name: 'app@box',
    kind: 'password',
    connector: 'linux-chpasswd',
    admin: 'root@box',
    reconcile: 'root@box',
    autoReconcile: true,
  });
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
  for (let at = 0; at < 120; at++) {
    const label = `many${String(at).padStart(3, '0')}@box`;
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
});

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
  const clock = { now: () => now, sleep: systemClock.sleep };
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
