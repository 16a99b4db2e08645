/** When the first try may begin: spread by the jitter, and never beyond the window. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dueOf, firstTryAt, nextTryAt } from '../../../src/rotation/plan/due.ts';
import type { Schedule } from '../../../src/rotation/plan/schedule.ts';

const at = (text: string): number => Date.parse(text);
const minute = 60_000;
const day = 24 * 60 * minute;
const weekly = {
  name: 'weekly',
  cron: '0 20 * * 0',
  zone: 'UTC',
  window: { start: '22:00', end: '04:00' },
  jitterMinutes: 60,
  retry: { count: 3, minutes: 30 },
  alertAfterSkips: 5,
} satisfies Schedule;
/** A Sunday. */
const occurrence = at('2026-05-10T20:00Z');
const due = { occurrence, next: occurrence + 7 * day };
const opens = at('2026-05-10T22:00Z');
const names = Array.from({ length: 1000 }, (_, n) => `account-${n}`);

test('a thousand accounts that are due together begin spread over the jitter, each always at the same instant', () => {
  const starts = names.map((name) => firstTryAt(weekly, name, due, occurrence));
  expect(names.map((name) => firstTryAt(weekly, name, due, opens + 30 * minute))).toEqual(starts);
  expect(Math.min(...starts)).toBeGreaterThanOrEqual(opens);
  expect(Math.max(...starts)).toBeLessThan(opens + 60 * minute);
  const perMinute = Map.groupBy(starts, (start) => Math.floor(start / minute));
  expect(perMinute.size).toBe(60);
  expect(Math.max(...[...perMinute.values()].map((list) => list.length))).toBeLessThan(60);
  const perSecond = Map.groupBy(starts, (start) => Math.floor(start / 1000));
  expect(Math.max(...[...perSecond.values()].map((list) => list.length))).toBeLessThan(10);
});

test('another occurrence spreads them anew', () => {
  const later = { occurrence: occurrence + 7 * day, next: occurrence + 14 * day };
  const order = (which: typeof due) =>
    names.toSorted((a, b) => firstTryAt(weekly, a, which, 0) - firstTryAt(weekly, b, which, 0));
  expect(order(due)).not.toEqual(order(later));
});

test('the jitter ends with the window, and half way to the next occurrence', () => {
  const anything = fc.record({
    hour: fc.integer({ min: 0, max: 23 }),
    jitterMinutes: fc.integer({ min: 0, max: 2000 }),
    next: fc.integer({ min: 1, max: 2 * 1440 }),
    late: fc.integer({ min: 0, max: 4 * 1440 }),
    name: fc.string(),
  });
  fc.assert(
    fc.property(anything, ({ hour, jitterMinutes, next, late, name }) => {
      const when = at('2026-05-10T00:00Z') + hour * 60 * minute;
      const start = firstTryAt(
        { ...weekly, jitterMinutes },
        name,
        { occurrence: when, next: when + next * minute },
        when + late * minute,
      );
      const hourOf = new Date(start).getUTCHours();
      expect(hourOf >= 22 || hourOf < 4).toBe(true);
      expect(start).toBeGreaterThanOrEqual(when);
      const begin = hour >= 22 || hour < 4 ? when : at('2026-05-10T22:00Z');
      const end = at(hour < 4 ? '2026-05-10T04:00Z' : '2026-05-11T04:00Z');
      // While that window lasts; later it is the next one's turn.
      if (when + late * minute < end) {
        expect(start).toBeLessThan(end);
        expect(start - begin).toBeLessThanOrEqual(Math.max(0, (when + next * minute - begin) / 2));
      }
    }),
  );
});

test('what was missed in its window is spread over the next one, and without a window begins at once', () => {
  const missed = occurrence + 3 * day;
  const starts = names.map((name) => firstTryAt(weekly, name, due, missed));
  expect(new Set(starts).size).toBeGreaterThan(900);
  expect(Math.min(...starts)).toBeGreaterThanOrEqual(at('2026-05-13T22:00Z'));
  expect(Math.max(...starts)).toBeLessThan(at('2026-05-13T23:00Z'));
  const anytime: Schedule = { ...weekly, window: null };
  expect(Math.max(...names.map((name) => firstTryAt(anytime, name, due, missed)))).toBeLessThanOrEqual(missed);
});

test('a try after a try comes so many minutes later, or spread over the next window', () => {
  expect(nextTryAt(weekly, 'a', opens, 30, opens + minute)).toBe(opens + 30 * minute);
  const end = at('2026-05-11T04:00Z');
  const again = nextTryAt(weekly, 'a', end - 30 * minute, 30, end - minute);
  expect(again).toBeGreaterThanOrEqual(at('2026-05-11T22:00Z'));
  expect(again).toBeLessThan(at('2026-05-11T23:00Z'));
});

test('schedule and age are one work: the latest of their occurrences counts, and the next of either', () => {
  const since = at('2026-05-09T00:00Z');
  const calendar = { schedule: weekly, since, maxAgeDays: 3 };
  expect(dueOf(calendar, since, at('2026-05-11T00:00Z'))).toEqual({
    trigger: 'scheduled',
    occurrence,
    next: since + 3 * day,
  });
  expect(dueOf(calendar, since, at('2026-05-12T00:00Z'))).toMatchObject({
    trigger: 'age',
    occurrence: since + 3 * day,
  });
  expect(dueOf({ ...calendar, schedule: null, maxAgeDays: null }, since, since)).toBeUndefined();
});
