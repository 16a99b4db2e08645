/** When occurrences come: intervals, cron expressions with zones, and what is missed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { faultOfSchedule, occurrences, type Schedule } from '../../../src/rotation/plan/schedule.ts';

const at = (text: string): number => Date.parse(text);
const spelled = (instant: number | null): string | null =>
  instant === null ? null : new Date(instant).toISOString().replace(':00.000Z', 'Z');
const minute = 60_000;

function around(rhythm: Parameters<typeof occurrences>[0], base: string, now: string, since = base): (string | null)[] {
  const { last, next } = occurrences(rhythm, at(base), at(since), at(now));
  return [spelled(last), spelled(next)];
}
const cron = (pattern: string, zone = 'UTC') => ({ cron: pattern, zone });
const days = (n: number) => ({ every: { days: n }, zone: null });

describe('occurrences', () => {
  test.each<readonly [string, (string | null)[], (string | null)[]]>([
    ['not yet', around(days(30), '2026-01-01T10:00Z', '2026-01-31T09:59:59.999Z'), [null, '2026-01-31T10:00Z']],
    [
      'thirty days after the success',
      around(days(30), '2026-01-01T10:00Z', '2026-01-31T10:00Z'),
      ['2026-01-31T10:00Z', '2026-03-02T10:00Z'],
    ],
    [
      'three missed: the latest',
      around(days(30), '2026-01-01T10:00Z', '2026-04-02T00:00Z'),
      ['2026-04-01T10:00Z', '2026-05-01T10:00Z'],
    ],
    [
      'overdue when the schedule comes into force: then',
      around(days(30), '2026-01-01T10:00Z', '2026-06-02T00:00Z', '2026-06-01T08:00Z'),
      ['2026-06-01T08:00Z', '2026-07-01T08:00Z'],
    ],
    [
      'Sundays at three',
      around(cron('0 3 * * 0'), '2026-05-05T00:00Z', '2026-05-10T03:00Z'),
      ['2026-05-10T03:00Z', '2026-05-17T03:00Z'],
    ],
    [
      'before the first',
      around(cron('0 3 * * 0'), '2026-05-05T00:00Z', '2026-05-10T02:59:59.999Z'),
      [null, '2026-05-10T03:00Z'],
    ],
    [
      'served at the very instant',
      around(cron('0 3 * * *'), '2026-05-05T03:00Z', '2026-05-05T03:00Z'),
      [null, '2026-05-06T03:00Z'],
    ],
    [
      'a cron schedule that came into force later owes nothing for before',
      around(cron('0 3 * * *'), '2026-05-05T00:00Z', '2026-05-09T02:00Z', '2026-05-08T04:00Z'),
      [null, '2026-05-09T03:00Z'],
    ],
    [
      'a hundred missed: the latest',
      around(cron('0 3 * * *'), '2026-01-01T00:00Z', '2026-05-09T02:00Z'),
      ['2026-05-08T03:00Z', '2026-05-09T03:00Z'],
    ],
    [
      'Paris in spring: 02:30 does not come, 03:00 does',
      around(cron('30 2 * * *', 'Europe/Paris'), '2026-03-28T12:00Z', '2026-03-29T01:00Z'),
      ['2026-03-29T01:00Z', '2026-03-30T00:30Z'],
    ],
    [
      'Paris in autumn: 02:30 the first time',
      around(cron('30 2 * * *', 'Europe/Paris'), '2026-10-24T12:00Z', '2026-10-25T00:30Z'),
      ['2026-10-25T00:30Z', '2026-10-26T01:30Z'],
    ],
    [
      'Paris in autumn: and not the second time',
      around(cron('30 2 * * *', 'Europe/Paris'), '2026-10-25T00:31Z', '2026-10-25T01:30Z'),
      [null, '2026-10-26T01:30Z'],
    ],
    [
      'a list of hours is wall time too',
      around(cron('30 2,14 * * *', 'Europe/Paris'), '2026-10-25T00:31Z', '2026-10-25T02:00Z'),
      [null, '2026-10-25T13:30Z'],
    ],
    [
      'every twenty minutes goes on through both',
      around(cron('*/20 * * * *', 'Europe/Paris'), '2026-10-25T01:00Z', '2026-10-25T01:20Z'),
      ['2026-10-25T01:20Z', '2026-10-25T01:40Z'],
    ],
    [
      'Lord Howe in spring: 02:15 does not come, 02:30 does',
      around(cron('15 2 * * *', 'Australia/Lord_Howe'), '2026-10-03T12:00Z', '2026-10-03T15:30Z'),
      ['2026-10-03T15:30Z', '2026-10-04T15:15Z'],
    ],
    [
      'Lord Howe in autumn: 01:45 once',
      around(cron('45 1 * * *', 'Australia/Lord_Howe'), '2026-04-04T14:46Z', '2026-04-04T15:15Z'),
      [null, '2026-04-05T15:15Z'],
    ],
    [
      'Santiago: a midnight that does not come, one does',
      around(cron('0 0 * * *', 'America/Santiago'), '2026-09-05T12:00Z', '2026-09-06T04:00Z'),
      ['2026-09-06T04:00Z', '2026-09-07T03:00Z'],
    ],
    [
      'Tokyo: no clock is ever changed',
      around(cron('30 2 * * *', 'Asia/Tokyo'), '2026-03-28T12:00Z', '2026-03-28T17:30Z'),
      ['2026-03-28T17:30Z', '2026-03-29T17:30Z'],
    ],
  ])('%s', (_, answer, expected) => {
    expect(answer).toEqual(expected);
  });

  test('asked in any order, the same question has the same answer', () => {
    const patterns = ['*/7 * * * *', '0 3 * * 0', '30 2 1 * *', '0 */5 * * 1-5'];
    const question = fc.record({
      pattern: fc.constantFrom(...patterns),
      base: fc.integer({ min: at('2026-01-01T00:00Z'), max: at('2026-12-01T00:00Z') }),
      later: fc.integer({ min: 0, max: 40 * 24 * 60 * minute }),
    });
    fc.assert(
      fc.property(fc.array(question, { minLength: 2, maxLength: 12 }), (questions) => {
        const ask = (list: typeof questions) =>
          list.map(({ pattern, base, later }) => occurrences(cron(pattern, 'Europe/Paris'), base, base, base + later));
        const answers = ask(questions);
        expect(ask(questions.toReversed()).toReversed()).toEqual(answers);
        for (const [n, { base, later }] of questions.entries()) {
          const { last, next } = answers[n] ?? { last: null, next: 0 };
          if (last !== null) expect(last).toBeGreaterThan(base);
          if (last !== null) expect(last).toBeLessThanOrEqual(base + later);
          expect(next).toBeGreaterThan(base + later);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('a schedule that cannot be used is refused', () => {
  const usual = {
    name: 's',
    zone: 'Europe/Paris',
    window: { start: '22:00', end: '04:00' },
    jitterMinutes: 0,
    retry: { count: 3, minutes: 30 },
    alertAfterSkips: 5,
    cron: '0 3 * * 0',
  } satisfies Schedule;
  test.each<readonly [string, Partial<typeof usual> | { zone: null }, string | undefined, RegExp]>([
    ['it can', {}, undefined, /^$/],
    ['an unknown zone', { zone: 'Mars/Olympus' }, 'zone', /no time zone Mars\/Olympus/],
    ['a window without a zone', { zone: null }, 'window', /needs a zone/],
    ['a window of no length', { window: { start: '02:00', end: '02:00' } }, 'window.end', /no length/],
    ['four fields', { cron: '0 3 * *' }, 'cron', /five fields/],
    ['a nickname', { cron: '@daily' }, 'cron', /five fields/],
    ['a date', { cron: '2026-01-01T00:00:00' }, 'cron', /five fields/],
    ['a minute that there is not', { cron: '60 3 * * *' }, 'cron', /minute: 60/],
    ['a day that never comes', { cron: '0 3 30 2 *' }, 'cron', /never comes/],
    ['a word', { cron: '0 3 * * someday' }, 'cron', /./],
    ['retries without a pause', { retry: { count: 3, minutes: 0 } }, 'retry.minutes', /1 to 1440/],
    ['less than no retries', { retry: { count: -1, minutes: 30 } }, 'retry.count', /0 to 100/],
    ['a jitter that is no number', { jitterMinutes: Number.NaN }, 'jitterMinutes', /0 to 10080/],
    ['an alert before any skip', { alertAfterSkips: 0 }, 'alertAfterSkips', /1 to 1000/],
  ])('%s', (_, change, path, words) => {
    const fault = faultOfSchedule({ ...usual, ...change });
    expect(fault?.path.join('.')).toBe(path);
    expect(fault?.words ?? '').toMatch(words);
  });

  test('an interval of no days, and a cron expression without a zone', () => {
    const { cron: _, ...rest } = usual;
    expect(faultOfSchedule({ ...rest, every: { days: 0 } })?.path).toEqual(['every', 'days']);
    expect(faultOfSchedule({ ...rest, every: { days: 1.5 } })?.path).toEqual(['every', 'days']);
    expect(faultOfSchedule({ ...rest, window: null, zone: null, every: { days: 30 } })).toBeUndefined();
    expect(faultOfSchedule({ ...usual, window: null, zone: null })?.path).toEqual(['cron']);
  });

  test('whatever text stands for a cron expression, it is one that comes, or refused in words', () => {
    const word = fc.oneof(fc.constantFrom('*', '0', '*/5', '1-5', 'MON', 'L', '#', '?', '60', ',', ' '), fc.string());
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (words) => {
        const fault = faultOfSchedule({ ...usual, cron: words.join(' ') });
        if (fault === undefined)
          expect(occurrences({ ...usual, cron: words.join(' ') }, 0, 0, 0).next).toBeGreaterThan(0);
        else expect(fault.words).not.toBe('');
      }),
      { numRuns: 500 },
    );
  });
});
