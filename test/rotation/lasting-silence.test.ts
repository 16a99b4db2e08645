/** A target that is silent for long, and reasons against resolving that go away. */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { usualRules } from '../../src/rotation/context.ts';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import { silentTries } from '../../src/rotation/plan/resolve.ts';
import { history, rootOf, scene, settled } from './conflict-scene.ts';
import { never } from './room.ts';

const minute = 60_000;

test('a person is told once when a target stays silent, and it is found out when the target is back', async () => {
  let now = Date.now();
  const clock = { now: () => now, sleep: (ms: number, signal: AbortSignal) => systemClock.sleep(ms, signal) };
  await using stage = await scene({ clock, rules: { ...usualRules, heartbeatMs: 0 } });
  const cut = await stage.draw('cut-off-Value-1', await rootOf(stage), 'U');
  const { run } = stage.target;
  stage.target.live = 'cut-off-Value-1';
  // What was left running can be ended there; nobody says which value holds.
  const watching = await stage.room.open({
    clock,
    watch: true,
    rules: { ...usualRules, heartbeatMs: 0 },
    run: async (job, limits, signal) => {
      if (job.operation === 'adminverify' && !stage.target.reachable)
        return { outcome: 'unknown', class: 'timeout', words: 'silence' };
      return run(job, limits, signal);
    },
  });
  stage.target.reachable = false;
  const alerts = async (): Promise<number> =>
    (await stage.room.vault.events()).filter((type) => type === 'rotation.alert').length;
  for (let count = 1; count < silentTries; count++) {
    await watching.settle();
    now += minute;
  }
  expect(await alerts()).toBe(0);
  for (let count = 0; count < 4; count++) {
    await watching.settle();
    now += 61 * minute;
  }
  expect(await alerts()).toBe(1);
  expect(await watching.conflicts.list(never)).toMatchObject([{ account: 'app@box' }]);
  stage.target.reachable = true;
  await watching.settle();
  expect(await history(stage)).toMatchObject({ conflict: 'none', current: cut });
});

test('refused logins that must wait are no silence', async () => {
  let now = Date.now();
  const clock = { now: () => now, sleep: (ms: number, signal: AbortSignal) => systemClock.sleep(ms, signal) };
  await using stage = await scene({ clock, rules: { ...usualRules, heartbeatMs: 0 } });
  const root = await rootOf(stage);
  for (const name of ['a', 'b', 'c', 'd', 'e']) await stage.draw(`${name}-Value-1`, root, 'U', name);
  stage.target.live = 'none-of-them-77';
  const watching = await stage.room.open({ clock, watch: true, rules: { ...usualRules, heartbeatMs: 0 } });
  await watching.settle();
  now += 31 * minute;
  await watching.settle();
  const row = await stage.room.vault.base.db.selectFrom('conflict_try').select(['count', 'verdict']).executeTakeFirst();
  expect(row).toMatchObject({ count: 0, verdict: { kind: 'again', because: 'budget' } });
});

test('an account that a silent node had left to a person resolves itself when that node is back', async () => {
  let heard: 'here' | 'late' = 'late';
  const peers: Peers = { ...alone, heard: async () => heard };
  await using stage = await scene({ peers });
  await stage.draw('cut-off-Value-1', await rootOf(stage), 'U');
  await settled(stage);
  expect(await stage.room.rotation.conflicts.list(never)).toMatchObject([
    { state: 'manual', reason: expect.stringContaining('nodes inconsistent') },
  ]);
  heard = 'here';
  await settled(stage);
  expect(await history(stage)).toMatchObject({ conflict: 'none' });
});
