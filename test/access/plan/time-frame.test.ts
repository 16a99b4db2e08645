/** Time frames over midnight, over the changes of clocks, and their ends. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  faultOfPeriod,
  frameEnd,
  inTimeFrame,
  type Period,
  type TimeFrame,
} from '../../../src/access/plan/time-frame.ts';
import { zoneOffset } from '../../../src/base/zones.ts';

const at = (text: string): number => Date.parse(text);
const berlin = zoneOffset('Europe/Berlin');
const utc = zoneOffset('UTC');
const frame = (zone: string, ...periods: Period[]): TimeFrame => ({ zone, periods });
const office = frame('Europe/Berlin', { start: '08:00', end: '18:00', weekdays: [1, 2, 3, 4, 5] });
const night = frame('Europe/Berlin', { start: '22:00', end: '06:00', weekdays: [5] });

describe('a time frame holds', () => {
  test.each<readonly [string, TimeFrame, string, boolean]>([
    ['in office hours', office, '2026-11-20T09:00:00+01:00', true],
    ['from its first minute', office, '2026-11-20T08:00:00+01:00', true],
    ['not before it', office, '2026-11-20T07:59:59.999+01:00', false],
    ['until before its end', office, '2026-11-20T17:59:59.999+01:00', true],
    ['not at its end', office, '2026-11-20T18:00:00+01:00', false],
    ['not on a Saturday', office, '2026-11-21T09:00:00+01:00', false],
    ['by the wall clock in summer too', office, '2026-07-10T08:00:00+02:00', true],
    ['by the wall clock in summer too, not before', office, '2026-07-10T07:30:00+02:00', false],
    ['on the evening it begins', night, '2026-11-20T23:00:00+01:00', true],
    ['after midnight of that evening', night, '2026-11-21T05:59:00+01:00', true],
    ['not at the end of the night', night, '2026-11-21T06:00:00+01:00', false],
    ['not on the morning before', night, '2026-11-20T05:00:00+01:00', false],
    ['not on the evening after', night, '2026-11-21T23:00:00+01:00', false],
    [
      'on the first day of its dates',
      frame('UTC', { from: '2026-11-21', to: '2026-11-22' }),
      '2026-11-21T00:00:00Z',
      true,
    ],
    ['through the last day', frame('UTC', { from: '2026-11-21', to: '2026-11-22' }), '2026-11-22T23:59:59Z', true],
    ['not after the last day', frame('UTC', { from: '2026-11-21', to: '2026-11-22' }), '2026-11-23T00:00:00Z', false],
    [
      'past the last date when it goes over midnight',
      frame('UTC', { to: '2026-11-22', start: '22:00', end: '02:00' }),
      '2026-11-23T01:00:00Z',
      true,
    ],
    ['always when nothing narrows it', frame('UTC', {}), '1969-12-31T23:59:59Z', true],
    ['never without periods', frame('UTC'), '2026-11-21T00:00:00Z', false],
  ])('%s', (_, which, when, expected) => {
    expect(inTimeFrame(which, at(when), zoneOffset(which.zone))).toBe(expected);
  });

  const small = frame('Europe/Berlin', { start: '02:15', end: '02:45' });

  test('not at all on the night whose clocks skip it', () => {
    for (let minute = 0; minute < 240; minute++) {
      expect(inTimeFrame(small, at('2026-03-29T00:00:00+01:00') + minute * 60_000, berlin)).toBe(false);
    }
  });

  test('twice on the night whose clocks show it twice', () => {
    const minutes = Array.from({ length: 300 }, (_, minute) => at('2026-10-25T00:00:00+02:00') + minute * 60_000);
    expect(minutes.filter((instant) => inTimeFrame(small, instant, berlin))).toHaveLength(60);
    expect(inTimeFrame(small, at('2026-10-25T02:30:00+02:00'), berlin)).toBe(true);
    expect(inTimeFrame(small, at('2026-10-25T02:30:00+01:00'), berlin)).toBe(true);
    expect(inTimeFrame(small, at('2026-10-25T02:50:00+02:00'), berlin)).toBe(false);
  });
});

describe('a time frame ends', () => {
  test.each<readonly [string, TimeFrame, string, string | undefined]>([
    ['at its hour', office, '2026-11-20T09:00:00+01:00', '2026-11-20T18:00:00+01:00'],
    ['in the morning after', night, '2026-11-20T23:00:00+01:00', '2026-11-21T06:00:00+01:00'],
    [
      'an hour sooner in the night of spring',
      frame('Europe/Berlin', { start: '22:00', end: '06:00' }),
      '2026-03-28T22:00:00+01:00',
      '2026-03-29T06:00:00+02:00',
    ],
    [
      'an hour later in the night of autumn',
      frame('Europe/Berlin', { start: '22:00', end: '06:00' }),
      '2026-10-24T22:00:00+02:00',
      '2026-10-25T06:00:00+01:00',
    ],
    [
      'where the clocks jump over its end',
      frame('Europe/Berlin', { start: '22:00', end: '02:30' }),
      '2026-03-29T01:00:00+01:00',
      '2026-03-29T03:00:00+02:00',
    ],
    [
      'at the first of two ends',
      frame('Europe/Berlin', { start: '22:00', end: '02:30' }),
      '2026-10-25T01:00:00+02:00',
      '2026-10-25T02:30:00+02:00',
    ],
    [
      'where periods that touch end',
      frame('UTC', { start: '08:00', end: '12:00' }, { start: '12:00', end: '20:00' }),
      '2026-11-20T09:00:00Z',
      '2026-11-20T20:00:00Z',
    ],
    [
      'at midnight before the weekend',
      frame('UTC', { weekdays: [1, 2, 3, 4, 5] }),
      '2026-11-18T09:00:00Z',
      '2026-11-21T00:00:00Z',
    ],
    [
      'with its last day, months away',
      frame('UTC', { to: '2027-06-30' }),
      '2026-11-18T09:00:00Z',
      '2027-07-01T00:00:00Z',
    ],
    ['never, when it always holds', frame('UTC', {}), '2026-11-18T09:00:00Z', undefined],
    ['now, when it does not hold', office, '2026-11-21T09:00:00+01:00', '2026-11-21T09:00:00+01:00'],
  ])('%s', (_, which, when, expected) => {
    expect(frameEnd(which, at(when), zoneOffset(which.zone))).toBe(expected === undefined ? undefined : at(expected));
  });

  test('exactly where minute by minute looking says', () => {
    const time = fc
      .tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom('00', '30'))
      .map(([h, m]) => `${String(h).padStart(2, '0')}:${m}`);
    const period = fc.record(
      { start: time, end: time, weekdays: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }) },
      { requiredKeys: [] },
    );
    // Half hours around both changes of clocks and one ordinary week.
    const begin = fc.constantFrom(at('2026-03-27T12:00:00Z'), at('2026-10-23T12:00:00Z'), at('2026-11-20T12:00:00Z'));
    fc.assert(
      fc.property(fc.array(period, { minLength: 1, maxLength: 3 }), begin, fc.nat(100), (periods, from, halfHours) => {
        const which = frame('Europe/Berlin', ...(periods as Period[]));
        const instant = from + halfHours * 1_800_000;
        const end = frameEnd(which, instant, berlin);
        let expected: number | undefined = instant;
        while (expected !== undefined && inTimeFrame(which, expected, berlin)) {
          expected += 1_800_000;
          if (expected > instant + 9 * 86_400_000) expected = undefined;
        }
        expect(end).toBe(expected);
      }),
      { numRuns: 150 },
    );
  });
});

test('a period that cannot be read is named', () => {
  expect(faultOfPeriod({ start: '8:00' })).toMatch(/start/);
  expect(faultOfPeriod({ end: '24:01' })).toMatch(/end/);
  expect(faultOfPeriod({ from: '2026-02-30' })).toMatch(/from/);
  expect(faultOfPeriod({ from: '2026-02-03', to: '2026-02-02' })).toMatch(/before/);
  expect(faultOfPeriod({ weekdays: [0] })).toMatch(/weekdays/);
  expect(faultOfPeriod({ weekdays: [] })).toMatch(/weekdays/);
  expect(
    faultOfPeriod({ from: '2026-02-02', to: '2026-02-02', start: '22:00', end: '24:00', weekdays: [7] }),
  ).toBeUndefined();
});

test('offsets are those of the zone', () => {
  expect(utc(at('2026-11-20T12:00:00Z'))).toBe(0);
  expect(berlin(at('2026-03-29T00:59:59Z'))).toBe(3_600_000);
  expect(berlin(at('2026-03-29T01:00:00Z'))).toBe(7_200_000);
  expect(zoneOffset('Asia/Kolkata')(at('2026-11-20T12:00:00Z'))).toBe(19_800_000);
});
