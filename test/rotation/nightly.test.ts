/** B-39: every night all accounts are looked at for conflicts, once, whoever is there; what was missed is made up once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tail } from '../../src/audit/audit.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { RotationOptions } from '../../src/rotation/rotation.ts';
import { nowhere, type RotationRoom, rotationRoom } from './room.ts';

const discovery = { cron: '0 3 * * *', zone: 'Europe/Paris' };
const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 600_000 };
let now = Date.parse('2026-05-04T12:00Z');
const clock = { now: () => now, sleep: (ms: number, signal: AbortSignal) => systemClock.sleep(ms, signal) };
const watched: Partial<RotationOptions> = { watch: true, clock, timing, rules: { discovery } };
let room: RotationRoom;

beforeAll(async () => {
  room = await rotationRoom({ clock });
  await room.target(nowhere);
  await room.account({ name: 'root@box', kind: 'password' });
});
afterAll(async () => await room[Symbol.asyncDispose]());

/** When runs were saved, in order, as the trail has them. */
async function runs(): Promise<number> {
  const rows = await tail(room.vault.base.db, { after: 0, limit: 1000, type: 'rotation.discovered' });
  for (const { actor, details } of rows) {
    expect(actor).toEqual({ kind: 'system', part: 'rotation' });
    expect(details).toEqual({ accounts: 1, found: 0 });
  }
  return rows.length;
}

test('no night is looked at where none is wanted', async () => {
  const watching = await room.open({ ...watched, rules: { discovery: null } });
  await watching.settle();
  expect(await runs()).toBe(0);
});

test('what was never done is done at once, and then at three in the morning by the clock of the zone', async () => {
  let folded = 0;
  const count = (point: string): void => {
    if (point === 'before arrival') folded++;
  };
  const watching = await room.open({ ...watched, at: count });
  await watching.settle();
  expect(await runs()).toBe(1);
  const at = async (when: string): Promise<number> => {
    now = Date.parse(when);
    await watching.settle();
    return await runs();
  };
  expect(await at('2026-05-05T00:59Z')).toBe(1);
  expect(await at('2026-05-05T01:00Z')).toBe(2);
  expect(await at('2026-05-05T23:59Z')).toBe(2);
  expect(folded).toBe(2);
  expect(await room.rotation.conflicts.lastDiscovery()).toMatchObject({ at: new Date('2026-05-05T01:00Z') });
});

test('nights in which nobody was there are made up once, and of several processes one saves it', async () => {
  now = Date.parse('2026-05-20T12:00Z');
  const before = await runs();
  const several = await Promise.all([1, 2, 3].map(() => room.open(watched)));
  await Promise.all(several.map((one) => one.settle()));
  expect(await runs()).toBe(before + 1);
});
