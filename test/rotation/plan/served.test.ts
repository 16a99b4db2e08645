/**
 * Days of an account under a fake clock: whatever the schedule, the window, the failures, the uses and the hours in which
 * nobody was there, each occurrence is served once or still owed, and never outside its window.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AccountId } from '../../../src/base/ids.ts';
import { fold } from '../../../src/rotation/plan/fold.ts';
import { type Action, type Attempt, type Note, plan, type Question } from '../../../src/rotation/plan/next.ts';
import type { Schedule } from '../../../src/rotation/plan/schedule.ts';
import { facts } from './ledger-notation.ts';
import { comings, openMinutes, type Times, wallsOf } from './wall.ts';

const minute = 60_000;
const day = 24 * 60 * minute;
const days = 7;
const settled = fold(facts(['r0 C']));

interface World {
  readonly zone: string;
  readonly begin: number;
  readonly rhythm: { readonly every: { readonly days: number } } | { readonly cron: string; readonly times: Times };
  readonly window: Schedule['window'];
  readonly jitterMinutes: number;
  readonly retry: Schedule['retry'];
  readonly alertAfterSkips: number;
  readonly maxAgeDays: number | null;
  /** Minutes between two looks. */
  readonly pace: number;
  /** Stretches in which nobody looks, the target is away, the account is in use: from, and for so many minutes. */
  readonly nobody: readonly (readonly [number, number])[];
  readonly away: readonly (readonly [number, number])[];
  readonly used: readonly (readonly [number, number])[];
}

const crons: readonly { readonly cron: string; readonly times: Times }[] = [
  { cron: '30 2 * * *', times: { kind: 'at', times: ['02:30'] } },
  { cron: '0 3 * * 0', times: { kind: 'at', times: ['03:00'], weekdays: [7] } },
  { cron: '15 2,14 * * *', times: { kind: 'at', times: ['02:15', '14:15'] } },
  { cron: '0 0 * * 1-5', times: { kind: 'at', times: ['00:00'], weekdays: [1, 2, 3, 4, 5] } },
  { cron: '45 23 * * *', times: { kind: 'at', times: ['23:45'] } },
  { cron: '*/20 * * * *', times: { kind: 'every', minutes: 20 } },
];
const clock = (n: number): string =>
  `${String(Math.floor(n / 4)).padStart(2, '0')}:${String((n % 4) * 15).padStart(2, '0')}`;
const quarter = fc.integer({ min: 0, max: 95 });
const window = fc
  .tuple(
    quarter,
    quarter,
    fc.option(fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), { nil: undefined }),
  )
  // What is shorter than the longest leap may be lost as a whole, and opens later: that is in the table of windows.
  .filter(([start, end]) => (end - start + 96) % 96 > 4)
  .map(([start, end, weekdays]) => ({
    start: clock(start),
    end: clock(end),
    ...(weekdays === undefined ? {} : { weekdays }),
  }));
const stretches = fc.array(fc.tuple(fc.integer({ min: 0, max: days * 1440 }), fc.integer({ min: 1, max: 1500 })), {
  maxLength: 4,
});
const world: fc.Arbitrary<World> = fc.record({
  zone: fc.constantFrom('Europe/Paris', 'Australia/Lord_Howe', 'America/Santiago', 'Asia/Kolkata'),
  begin: fc.constantFrom(
    ...['2026-03-26', '2026-10-22', '2026-04-02', '2026-10-01', '2026-09-03'].map((at) => Date.parse(at)),
  ),
  rhythm: fc.oneof(
    fc.constantFrom(...crons),
    fc.integer({ min: 1, max: 3 }).map((n) => ({ every: { days: n } })),
  ),
  window: fc.option(window),
  jitterMinutes: fc.constantFrom(0, 10, 90, 600),
  retry: fc.record({ count: fc.integer({ min: 0, max: 4 }), minutes: fc.integer({ min: 1, max: 150 }) }),
  alertAfterSkips: fc.integer({ min: 1, max: 3 }),
  maxAgeDays: fc.option(fc.integer({ min: 1, max: 4 })),
  pace: fc.integer({ min: 5, max: 90 }),
  nobody: stretches,
  away: stretches,
  used: stretches,
});

/** The last of a rising list that is after `base` and not after `at`. */
function lastOf(list: readonly number[], base: number, at: number): number[] {
  const found = list.findLast((one) => one <= at);
  return found !== undefined && found > base ? [found] : [];
}

function live(world: World): void {
  const { zone, begin, rhythm, retry } = world;
  const walls = wallsOf(zone, begin, days + 8);
  const open = openMinutes(walls, world.window);
  const coming = 'cron' in rhythm ? comings(walls, rhythm.times) : [];
  const isOpen = (at: number): boolean => open[Math.floor((at - begin) / minute)] ?? false;
  const during = (list: World['away'], at: number): boolean =>
    list.some(([from, length]) => at >= begin + from * minute && at < begin + (from + length) * minute);
  /** The latest occurrence that a value of `base` owes at `at`. */
  const owed = (base: number, at: number): number | undefined => {
    const every = (n: number): number[] =>
      at < base + n * day ? [] : [base + Math.floor((at - base) / (n * day)) * n * day];
    const found = [
      ...('every' in rhythm ? every(rhythm.every.days) : lastOf(coming, base, at)),
      ...(world.maxAgeDays === null ? [] : every(world.maxAgeDays)),
    ];
    return found.length === 0 ? undefined : Math.max(...found);
  };
  const sleptThrough = (from: number, until: number): number | undefined => {
    for (let at = from; at < until; at += minute) if (isOpen(at) && owed(base, at) !== undefined) return at;
    return undefined;
  };
  /** Whether a stretch in which work could begin started within the jitter before `at`. */
  const lately = (at: number, since: number): boolean => {
    for (let n = 0; n <= world.jitterMinutes; n++) {
      const then = at - n * minute;
      if (then <= since || (isOpen(then) && !isOpen(then - minute))) return true;
      if (!isOpen(then)) return false;
    }
    return false;
  };
  const rest = {
    name: 's',
    zone,
    window: world.window,
    jitterMinutes: world.jitterMinutes,
    retry,
    alertAfterSkips: world.alertAfterSkips,
  };
  const schedule: Schedule = 'every' in rhythm ? { ...rest, every: rhythm.every } : { ...rest, cron: rhythm.cron };

  let base = begin;
  let attempts: Attempt[] = [];
  const notes: Note[] = [];
  const served = new Set<number>();
  for (let now = begin; now < begin + days * day; ) {
    if (during(world.nobody, now)) {
      now += world.pace * minute;
      continue;
    }
    const inUse = during(world.used, now);
    const question: Question = {
      account: 'account' as AccountId,
      fold: settled,
      settings: {
        enabled: true,
        connector: true,
        rotateAfterSession: false,
        skipWhileInUse: true,
        localFallback: true,
      },
      calendar: { schedule, since: begin, maxAgeDays: world.maxAgeDays },
      uses: inUse ? [{ kind: 'session', since: now, releasedAt: null }] : [],
      attempts,
      notes,
      currentSince: base,
      lease: null,
      demanded: false,
      wishes: [],
      here: 'yes',
      now,
    };
    const actions = plan(question);
    const occurrence = owed(base, now);
    const tries = attempts.filter(({ startedAt }) => occurrence !== undefined && startedAt >= occurrence);
    const lastTry = tries.at(-1);
    for (const action of actions) {
      if (action.kind === 'skip') {
        expect(inUse).toBe(true);
        expect(notes).not.toContainEqual({ what: 'skipped', trigger: action.trigger, occurrence: action.occurrence });
        expect(action.occurrence).toBe(occurrence);
        notes.push({ what: 'skipped', trigger: action.trigger, occurrence: action.occurrence });
      } else if (action.kind === 'alert') {
        const what = action.about === 'given-up' ? 'given-up-alerted' : 'skips-alerted';
        expect(notes).not.toContainEqual({ what, trigger: action.trigger, occurrence: action.occurrence });
        if (what === 'given-up-alerted') expect(tries).toHaveLength(retry.count + 1);
        else expect(inUse).toBe(true);
        notes.push({ what, trigger: action.trigger, occurrence: action.occurrence });
      }
    }
    const main: Action | undefined = actions.find(({ kind }) => kind === 'randomize' || kind === 'wait');
    if (main?.kind === 'randomize') {
      expect(isOpen(now)).toBe(true);
      expect(inUse).toBe(false);
      expect(main.occurrence).toBe(occurrence);
      expect(served.has(main.occurrence ?? 0)).toBe(false);
      expect(tries.length).toBeLessThanOrEqual(retry.count);
      if (lastTry !== undefined) expect(now - lastTry.at).toBeGreaterThanOrEqual(retry.minutes * minute);
      const done = !during(world.away, now);
      attempts.push({ trigger: main.trigger, startedAt: now, at: now + 20_000, done });
      if (done) {
        served.add(main.occurrence ?? 0);
        base = now + 1_000;
        attempts = [];
      }
      now += 20_000;
      continue;
    }
    if (main?.kind !== 'wait') throw new Error(`neither done nor waited for: ${JSON.stringify(actions)}`);
    expect(main.until).toBeGreaterThan(now);
    const because: Record<string, () => boolean> = {
      'not-due': () => occurrence === undefined || lately(now, occurrence),
      'outside-window': () => occurrence !== undefined && !isOpen(now),
      retrying: () =>
        lastTry !== undefined && (now < lastTry.at + retry.minutes * minute || !isOpen(now) || lately(now, lastTry.at)),
      'given-up': () => tries.length === retry.count + 1,
      'in-use': () =>
        inUse && isOpen(now) && notes.some((note) => note.what === 'skipped' && note.occurrence === occurrence),
    };
    expect(because[main.because]?.(), `${main.because} at ${new Date(now).toISOString()}`).toBe(true);
    // Nothing that comes in between is slept through.
    if (main.until < begin + days * day && main.because === 'not-due' && occurrence === undefined)
      expect(sleptThrough(now, main.until)).toBe(undefined);
    now = Math.min(main.until, now + world.pace * minute);
  }
}

test('each occurrence is served once or still owed, never twice, and never outside its window', () => {
  fc.assert(fc.property(world, live), { numRuns: 100 });
});
