/** Whose turn it is: caps per target and in all, the longest due first, targets in turn. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AccountId, TargetId } from '../../../src/base/ids.ts';
import { choose, type Ready, usualCaps } from '../../../src/rotation/plan/choose.ts';
import { firstTryAt } from '../../../src/rotation/plan/due.ts';
import type { Schedule } from '../../../src/rotation/plan/schedule.ts';

const one = (account: string, target: string, since: number): Ready => ({
  account: account as AccountId,
  target: target as TargetId,
  since,
});
const names = (list: readonly Ready[]): string => list.map(({ account }) => account).join(' ');

test('the longest due first, two per target, and a target with many keeps no other waiting', () => {
  const many = Array.from({ length: 20 }, (_, n) => one(`a${n}`, 'a', n));
  const ready = [...many, one('b0', 'b', 100), one('c0', 'c', 90)];
  expect(names(choose(ready, [], usualCaps))).toBe('a0 c0 b0 a1');
  expect(names(choose(ready, ['a' as TargetId], usualCaps))).toBe('c0 b0 a0');
  expect(names(choose(ready, ['a', 'a'] as TargetId[], usualCaps))).toBe('c0 b0');
});

test('in all no more than there is room for', () => {
  const ready = Array.from({ length: 20 }, (_, n) => one(`x${n}`, `t${n}`, 20 - n));
  expect(names(choose(ready, [], { perTarget: 2, overall: 3 }))).toBe('x19 x18 x17');
  expect(choose(ready, Array<TargetId>(3).fill('other' as TargetId), { perTarget: 2, overall: 3 })).toEqual([]);
  expect(choose(ready, Array<TargetId>(9).fill('other' as TargetId), { perTarget: 2, overall: 3 })).toEqual([]);
});

test('whatever is due, the caps hold, nobody is chosen twice, and no room is left while somebody could use it', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, fc.nat(50)), { maxLength: 40 }),
      fc.array(name, { maxLength: 6 }),
      fc.record({ perTarget: fc.integer({ min: 0, max: 4 }), overall: fc.integer({ min: 0, max: 9 }) }),
      (list, busy, caps) => {
        const running = busy as TargetId[];
        const ready = list.map(([target, since], n) => one(`x${n}`, target, since));
        const chosen = choose(ready, running, caps);
        expect(new Set(chosen).size).toBe(chosen.length);
        const after = [...running, ...chosen.map(({ target }) => target)];
        for (const { target } of chosen)
          expect(after.filter((at) => at === target).length).toBeLessThanOrEqual(caps.perTarget);
        if (chosen.length > 0) expect(after.length).toBeLessThanOrEqual(caps.overall);
        for (const left of ready.filter((at) => !chosen.includes(at))) {
          const full = after.filter((at) => at === left.target).length >= caps.perTarget;
          expect(full || after.length >= caps.overall).toBe(true);
          // Of its own target only who was due before it was chosen.
          for (const first of chosen.filter(({ target }) => target === left.target))
            expect(first.since).toBeLessThanOrEqual(left.since);
        }
      },
    ),
  );
});

test('a thousand accounts with jitter on fifty targets: all are served, within the caps, and no target waits for another', () => {
  const hour = 3_600_000;
  const schedule: Schedule = {
    name: 's',
    every: { days: 30 },
    zone: 'UTC',
    window: { start: '02:00', end: '06:00' },
    jitterMinutes: 30,
    retry: { count: 3, minutes: 30 },
    alertAfterSkips: 5,
  };
  const night = Date.parse('2026-05-10T02:00Z');
  // Half of all accounts are on one target.
  const all = Array.from({ length: 1000 }, (_, n) => {
    const since = firstTryAt(schedule, `x${n}`, { occurrence: night - hour, next: night + 700 * hour }, night);
    return one(`x${n}`, n % 2 === 0 ? 't0' : `t${1 + ((n >> 1) % 49)}`, since);
  });
  const waiting = new Set(all);
  const running: { readonly target: TargetId; readonly until: number }[] = [];
  const begun = new Map<string, number>();
  let [most, mostOfOne] = [0, 0];
  for (let now = night; waiting.size > 0 && now < night + 4 * hour; now += 1_000) {
    for (let n = running.length - 1; n >= 0; n--) if ((running[n]?.until ?? 0) <= now) running.splice(n, 1);
    const ready = [...waiting].filter(({ since }) => since <= now);
    for (const chosen of choose(
      ready,
      running.map(({ target }) => target),
      usualCaps,
    )) {
      waiting.delete(chosen);
      begun.set(chosen.account, now - chosen.since);
      running.push({ target: chosen.target, until: now + 10_000 });
    }
    most = Math.max(most, running.length);
    for (const [, list] of Map.groupBy(running, ({ target }) => target)) mostOfOne = Math.max(mostOfOne, list.length);
  }
  expect(waiting.size).toBe(0);
  expect([most, mostOfOne]).toEqual([8, 2]);
  const delays = all.filter(({ target }) => target !== 't0').map(({ account }) => begun.get(account) ?? Number.NaN);
  // Six of eight places are left for the others, who need them for less than the jitter: nobody waits long.
  expect(Math.max(...delays)).toBeLessThan(3 * 60_000);
});
