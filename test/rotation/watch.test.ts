/** W-27, W-37: after the last session of an account its credential is changed, also when the notice was missed. */
import { expect, test } from 'vitest';
import { inTransaction } from '../../src/db/db.ts';
import { declareManagement, declareSchedules } from '../../src/rotation/rotation.ts';
import { type Account, hold } from '../../src/vault/vault.ts';
import { nowhere, operator, type RotationRoom, rotationRoom } from './room.ts';
import { ScriptedTarget, yes } from './target.ts';

const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 600_000 };

async function scene(): Promise<
  { room: RotationRoom; target: ScriptedTarget; account: Account; changed: Promise<void> } & AsyncDisposable
> {
  const target = new ScriptedTarget('first-Value-9');
  const { promise: changed, resolve } = Promise.withResolvers<void>();
  target.onChange = (next) => {
    target.live = next;
    resolve();
    return yes;
  };
  const room = await rotationRoom({ run: target.run, timing });
  await room.target(nowhere);
  const account = await room.account({
    name: 'app@box',
    kind: 'password',
    connector: 'linux-chpasswd',
    rotateAfterSession: true,
  });
  await room.seed(account, 'first-Value-9');
  return { room, target, account, changed, [Symbol.asyncDispose]: () => room[Symbol.asyncDispose]() };
}

const session = (room: RotationRoom, account: Account, subject: string) =>
  hold(room.vault.base.db, account.id, { kind: 'session', subject });

test('the end of the only session changes the credential', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  const watching = await room.open({ watch: true });
  const held = await session(room, account, 's1');
  await held.release();
  await stage.changed;
  await watching.settle();
  expect(await room.value(account)).toBe(target.live);
  expect(target.live).not.toBe('first-Value-9');
  expect(target.jobs.filter((job) => job === 'change')).toHaveLength(1);
});

test('with two sessions at once only the end of the last one does', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  const watching = await room.open({ watch: true });
  const [one, two] = [await session(room, account, 's1'), await session(room, account, 's2')];
  await one.release();
  await watching.settle();
  expect(target.jobs).not.toContain('change');
  await two.release();
  await stage.changed;
});

test('a session that ended while nobody was there is noticed at the start', async () => {
  await using stage = await scene();
  const { room, account } = stage;
  await (await session(room, account, 's1')).release();
  await room.open({ watch: true });
  await stage.changed;
});

test('a session that ended before the value was set changes nothing, and neither does a conflicted account', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  const watching = await room.open({ watch: true });
  await watching.settle();
  expect(target.jobs).not.toContain('change');
  target.onChange = () => {
    target.reachable = false;
    return { outcome: 'late', class: 'timeout', words: 'too long' };
  };
  await (await session(room, account, 's1')).release();
  await watching.settle();
  target.reachable = true;
  await (await session(room, account, 's2')).release();
  await watching.settle();
  expect(target.jobs.filter((job) => job === 'change')).toHaveLength(1);
  expect(await room.rotation.history(account.id)).toMatchObject({ conflict: 'incomplete' });
});

test('a failed attempt is tried again half an hour later and not before', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  let later = 0;
  const clock = { now: () => Date.now() + later, sleep: asleep };
  const watching = await room.open({ watch: true, clock });
  target.reachable = false;
  await (await session(room, account, 's1')).release();
  await watching.settle();
  target.reachable = true;
  await watching.settle();
  expect(target.jobs).not.toContain('change');
  later = 31 * 60_000;
  await watching.settle();
  expect(target.jobs).toContain('change');
});

test('what is due while it is in use is skipped, said once, alerted after so many times, and made up when the use ends', async () => {
  const day = 86_400_000;
  const target = new ScriptedTarget('first-Value-9');
  await using room = await rotationRoom({ run: target.run, timing });
  const { db, events } = { db: room.vault.base.db, events: room.vault.events };
  await room.target(nowhere);
  const account = await room.account({ name: 'app@box', kind: 'password', connector: 'linux-chpasswd' });
  await room.seed(account, 'first-Value-9');
  const daily = { name: 'daily', every: { days: 1 }, zone: 'UTC', window: null, jitterMinutes: 0 };
  await inTransaction(db, async (tx) => {
    const declared = { actor: operator, prune: false };
    await declareSchedules(tx, [{ ...daily, retry: { count: 3, minutes: 30 }, alertAfterSkips: 2 }], declared);
    await declareManagement(tx, [{ policy: 'Standard', schedule: 'daily' }], declared);
  });
  let later = 0;
  const clock = { now: () => Date.now() + later, sleep: asleep };
  const rules = { perTarget: 4, overall: 8, heartbeatMs: 0 };
  const watching = await room.open({ watch: true, clock, rules });
  const held = await session(room, account, 's1');
  const said = async (type: string): Promise<number> => (await events()).filter((one) => one === type).length;
  later = 1.5 * day;
  await watching.settle();
  await watching.settle();
  expect(target.jobs).not.toContain('change');
  expect([await said('rotation.skipped'), await said('rotation.alert')]).toEqual([1, 0]);
  later = 2.5 * day;
  await watching.settle();
  await watching.settle();
  expect([await said('rotation.skipped'), await said('rotation.alert')]).toEqual([2, 1]);
  const attempts = await db.selectFrom('rotation_attempt').select('result').orderBy('started_at').execute();
  expect(attempts.map(({ result }) => result)).toContain('skipped-active-session');
  await held.release();
  await watching.settle();
  expect(target.jobs.filter((job) => job === 'change')).toHaveLength(1);
  expect(await room.value(account)).toBe(target.live);
});

/** A sleep that only the signal ends. */
function asleep(_: number, signal: AbortSignal): Promise<void> {
  return new Promise((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
  );
}
