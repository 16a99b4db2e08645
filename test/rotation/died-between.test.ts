/** What a process that dies between two steps of a decision leaves, and that the next one goes on from there. */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Sigkey } from '../../src/base/ids.ts';
import { takeLease } from '../../src/rotation/ledger/lease.ts';
import type { Point } from '../../src/rotation/points.ts';
import { holdExclusively, holdsOf } from '../../src/vault/vault.ts';
import { history, reconcilesItself, rootOf, type Scene, scene, settled } from './conflict-scene.ts';
import { never, operator } from './room.ts';
import { yes } from './target.ts';

/** As far as the world can see, the process ends there. */
const dies = (at: Point) => ({
  at: (point: Point) => {
    if (point === at) throw new Error('the process is gone');
  },
});

async function lose({ room }: Scene): Promise<void> {
  await room.account(reconcilesItself);
}

test('forcing is decided together with the new value: who dies before has decided nothing', async () => {
  await using stage = await scene();
  const { room } = stage;
  await stage.draw('second-Value-1', await rootOf(stage), 'U');
  const dying = await room.open({ rules: { automaticResolution: false }, ...dies('before intent') });
  await expect(dying.conflicts.force(stage.account.id, operator, never)).rejects.toThrow('gone');
  expect(await history(stage)).toMatchObject({ conflict: 'incomplete', versions: [{ status: 'C' }, { status: 'U' }] });
});

test('nobody comes in while a forced change is made', async () => {
  await using stage = await scene();
  const { room, target, account } = stage;
  await stage.draw('second-Value-1', await rootOf(stage), 'U');
  const held: string[] = [];
  target.onChange = async (next) => {
    held.push(...(await holdsOf(room.vault.base.db, account.id)).map((hold) => hold.kind));
    target.live = next;
    return yes;
  };
  const byHand = await room.open({ rules: { automaticResolution: false } });
  expect(await byHand.conflicts.force(account.id, operator, never)).toMatchObject({ status: 'confirmed' });
  expect(held).toEqual(['rotation']);
});

test('a conflict is given up together with the value that the reconcile account sets', async () => {
  await using stage = await scene();
  const { room, target } = stage;
  await lose(stage);
  await stage.draw('second-Value-1', await rootOf(stage), 'U');
  target.live = 'set-by-Hand-77';
  const dying = await room.open(dies('before intent'));
  await expect(dying.reconcile(stage.account.id, operator, never)).rejects.toThrow('gone');
  expect((await history(stage)).conflict).toBe('incomplete');
});

test('a value that was found lost is replaced after the start, if whoever found it did not live to do it', async () => {
  await using stage = await scene();
  const { room, target } = stage;
  await lose(stage);
  await stage.draw('second-Value-1', await rootOf(stage), 'U');
  target.live = 'set-by-Hand-77';
  const dying = await room.open({ watch: true, ...dies('before intent') });
  await dying.settle();
  expect((await history(stage)).conflict).toBe('incomplete');
  await dying[Symbol.asyncDispose]();
  await settled(stage);
  expect(await history(stage)).toMatchObject({ conflict: 'none' });
  expect(await room.value(stage.account)).toBe(target.live);
});

test('the hold of a dead process ends with its lease, and not before', async () => {
  await using stage = await scene();
  const { room, account } = stage;
  const { db } = room.vault.base;
  const lease = await takeLease(db, account.id, { holder: 'another', ms: 60_000, clock: systemClock }, never);
  await holdExclusively(db, account.id, { kind: 'rotation', subject: `rotation of ${account.id}` });
  await settled(stage);
  expect(await holdsOf(db, account.id)).toHaveLength(1);
  await lease?.[Symbol.asyncDispose]();
  await settled(stage);
  expect(await holdsOf(db, account.id)).toEqual([]);
});

/** Time as the test says. */
function told(): { readonly clock: typeof systemClock; pass: (ms: number) => void } {
  let ahead = 0;
  return {
    clock: { now: () => Date.now() + ahead, sleep: (ms, signal) => systemClock.sleep(ms, signal) },
    pass: (ms) => {
      ahead += ms;
    },
  };
}
const halfAnHour = 31 * 60_000;

test('a former value behind a spent budget is found when refused logins no longer count, and nothing is reset before', async () => {
  const { clock, pass } = told();
  await using stage = await scene({ clock });
  const { target } = stage;
  await lose(stage);
  const first = await rootOf(stage);
  const second = await stage.draw('second-Value-1', first, 'C');
  await stage.draw('third-Value-2', second, 'U');
  await settled(stage);
  expect(await history(stage)).toMatchObject({ conflict: 'incomplete', current: second });
  expect(target.jobs).not.toContain('reconcile');
  pass(halfAnHour);
  await settled(stage);
  expect(await history(stage)).toMatchObject({ conflict: 'none', current: first });
});

test('an account that is out of sync is lost only when every former value was tried, two in half an hour', async () => {
  const { clock, pass } = told();
  await using stage = await scene({ clock });
  const { room, target, account } = stage;
  await lose(stage);
  const first = await rootOf(stage);
  let last: Sigkey = first;
  for (const name of ['second', 'third', 'fourth']) last = await stage.draw(`${name}-Value-1`, last, 'C');
  expect(await room.rotation.verify(account.id, operator, never)).toMatchObject({
    answer: 'rejected',
    class: 'budget',
  });
  expect(await room.rotation.reconcile(account.id, operator, never)).toMatchObject({ code: 'rotation.not-known-lost' });
  for (const wait of [25 * 3_600_000, halfAnHour]) {
    expect(await history(stage)).toMatchObject({ current: last });
    pass(wait);
    await settled(stage);
  }
  expect(await history(stage)).toMatchObject({ conflict: 'none', current: first });
  expect(target.jobs).not.toContain('reconcile');
});
