/** Change windows on the wall clock: over midnight, and over the changes of clocks. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { zoneOffset } from '../../../src/base/zones.ts';
import { faultOfWindow, openingFrom, type Window } from '../../../src/rotation/plan/window.ts';
import { openMinutes, wallsOf } from './wall.ts';

const minute = 60_000;
const at = (text: string): number => Date.parse(text);
const from = (window: Window, zone: string, when: string): string[] => {
  const { from: begin, to } = openingFrom(window, at(when), zoneOffset(zone));
  return [begin, to].map((instant) => new Date(instant).toISOString().replace(':00.000Z', 'Z'));
};
const late: Window = { start: '22:00', end: '04:00' };

describe('a window opens', () => {
  test.each<readonly [string, Window, string, string, readonly [string, string]]>([
    ['today', { start: '02:00', end: '06:00' }, 'UTC', '2026-05-04T00:00Z', ['2026-05-04T02:00Z', '2026-05-04T06:00Z']],
    ['and is open at its start', late, 'UTC', '2026-05-04T22:00Z', ['2026-05-04T22:00Z', '2026-05-05T04:00Z']],
    ['and is open after midnight', late, 'UTC', '2026-05-05T03:59:59.999Z', ['2026-05-04T22:00Z', '2026-05-05T04:00Z']],
    ['and is not open at its end', late, 'UTC', '2026-05-05T04:00Z', ['2026-05-05T22:00Z', '2026-05-06T04:00Z']],
    [
      'to the end of the day',
      { start: '00:00', end: '24:00' },
      'UTC',
      '2026-05-04T12:00Z',
      ['2026-05-04T00:00Z', '2026-05-05T00:00Z'],
    ],
    [
      'on the morning after its weekday, which is the one it began on',
      { ...late, weekdays: [5] },
      'UTC',
      '2026-05-09T03:00Z',
      ['2026-05-08T22:00Z', '2026-05-09T04:00Z'],
    ],
    [
      'not on the morning of its weekday',
      { ...late, weekdays: [5] },
      'UTC',
      '2026-05-08T03:00Z',
      ['2026-05-08T22:00Z', '2026-05-09T04:00Z'],
    ],
    ['by the clock of its zone', late, 'Europe/Paris', '2026-07-01T12:00Z', ['2026-07-01T20:00Z', '2026-07-02T02:00Z']],
    [
      'Paris in spring: from 02:30, which does not come, at 03:00',
      { start: '02:30', end: '06:00' },
      'Europe/Paris',
      '2026-03-29T00:00Z',
      ['2026-03-29T01:00Z', '2026-03-29T04:00Z'],
    ],
    [
      'Paris in spring: until 02:30, which does not come, until 03:00',
      { start: '22:00', end: '02:30' },
      'Europe/Paris',
      '2026-03-29T00:00Z',
      ['2026-03-28T21:00Z', '2026-03-29T01:00Z'],
    ],
    [
      'Paris in spring: what is skipped as a whole comes at 03:00 for its length',
      { start: '02:15', end: '02:45' },
      'Europe/Paris',
      '2026-03-29T00:00Z',
      ['2026-03-29T01:00Z', '2026-03-29T01:30Z'],
    ],
    [
      'Paris in autumn: from 02:30 to 02:30 at the second time',
      { start: '02:30', end: '03:00' },
      'Europe/Paris',
      '2026-10-25T00:00Z',
      ['2026-10-25T00:30Z', '2026-10-25T01:00Z'],
    ],
    [
      'Paris in autumn: and again when 02:30 comes again',
      { start: '02:30', end: '03:00' },
      'Europe/Paris',
      '2026-10-25T01:00Z',
      ['2026-10-25T01:30Z', '2026-10-25T02:00Z'],
    ],
    [
      'Paris in autumn: the hour that comes twice is all its own',
      { start: '02:00', end: '03:00' },
      'Europe/Paris',
      '2026-10-25T00:00Z',
      ['2026-10-25T00:00Z', '2026-10-25T02:00Z'],
    ],
    [
      'Lord Howe in spring: half an hour is skipped',
      { start: '02:15', end: '03:00' },
      'Australia/Lord_Howe',
      '2026-10-03T15:00Z',
      ['2026-10-03T15:30Z', '2026-10-03T16:00Z'],
    ],
    [
      'Lord Howe in autumn: half an hour comes twice',
      { start: '01:00', end: '02:00' },
      'Australia/Lord_Howe',
      '2026-04-04T14:00Z',
      ['2026-04-04T14:00Z', '2026-04-04T15:30Z'],
    ],
    [
      'Santiago: a midnight that is skipped',
      { start: '00:00', end: '00:30' },
      'America/Santiago',
      '2026-09-06T03:00Z',
      ['2026-09-06T04:00Z', '2026-09-06T04:30Z'],
    ],
    [
      'Kolkata: the clock is never changed',
      late,
      'Asia/Kolkata',
      '2026-03-29T12:00Z',
      ['2026-03-29T16:30Z', '2026-03-29T22:30Z'],
    ],
    [
      'Apia: on a Friday that was skipped, at the next valid minute',
      { start: '02:00', end: '03:00', weekdays: [5] },
      'Pacific/Apia',
      '2011-12-29T20:00Z',
      ['2011-12-30T10:00Z', '2011-12-30T11:00Z'],
    ],
  ])('%s', (_, window, zone, when, expected) => {
    expect(from(window, zone, when)).toEqual(expected);
  });
});

test('minute by minute, it is open exactly while the clock on the wall says so, except where it would be lost', () => {
  const quarter = fc.integer({ min: 0, max: 95 });
  const clock = (n: number): string =>
    `${String(Math.floor(n / 4)).padStart(2, '0')}:${String((n % 4) * 15).padStart(2, '0')}`;
  fc.assert(
    fc.property(
      fc.constantFrom('Europe/Paris', 'Australia/Lord_Howe', 'America/Santiago', 'Asia/Kolkata', 'UTC'),
      fc.constantFrom('2026-03-28', '2026-10-24', '2026-04-03', '2026-10-03', '2026-09-05'),
      quarter,
      quarter,
      fc.option(fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), { nil: undefined }),
      (zone, begin, start, end, weekdays) => {
        // A window shorter than the leap may be lost as a whole; the table above has those.
        fc.pre((end - start + 96) % 96 > 4);
        const window: Window = {
          start: clock(start),
          end: clock(end),
          ...(weekdays === undefined ? {} : { weekdays }),
        };
        const offset = zoneOffset(zone);
        const expected = openMinutes(wallsOf(zone, at(begin), 3), window);
        const wrong = expected.flatMap((isOpen, n) => {
          const instant = at(begin) + n * minute;
          if (n % 15 !== 0) return [];
          const opening = openingFrom(window, instant, offset);
          return opening.from <= instant === isOpen && opening.to > instant ? [] : [new Date(instant).toISOString()];
        });
        expect(wrong).toEqual([]);
      },
    ),
    { numRuns: 150 },
  );
});

test.each<readonly [Window, string | undefined]>([
  [{ start: '22:00', end: '04:00' }, undefined],
  [{ start: '00:00', end: '24:00', weekdays: [1, 7] }, undefined],
  [{ start: '24:00', end: '04:00' }, 'start'],
  [{ start: '2:00', end: '04:00' }, 'start'],
  [{ start: '02:00', end: '25:00' }, 'end'],
  [{ start: '02:00', end: '02:00' }, 'end'],
  [{ start: '02:00', end: '03:00', weekdays: [] }, 'weekdays'],
  [{ start: '02:00', end: '03:00', weekdays: [8] }, 'weekdays'],
])('%j is refused for its %s', (window, field) => {
  expect(faultOfWindow(window)?.field).toBe(field);
});
