/**
 * Schedules: how often a value is changed, and how patiently. An *occurrence* is an instant at which a change falls due;
 * it is not yet when the change begins, for which see `due.ts`.
 *
 * Days are days of 24 hours after the last success. A cron expression is read on the wall clock of the zone: a time that
 * the clocks skip comes at the next valid minute, one that they show twice comes once; only expressions that mean "every
 * so many minutes" (`*` or a step in minute or hour) go on through both. Pure: croner is used as a function of instants,
 * without its timers.
 */
import { Cron } from 'croner';
import { isZone } from '../../base/zones.ts';
import { faultOfWindow, type Window } from './window.ts';

export type Rhythm = { readonly every: { readonly days: number } } | { readonly cron: string };

export type Schedule = Rhythm & {
  readonly name: string;
  /** IANA name, of the cron expression and of the window; null where there is neither. */
  readonly zone: string | null;
  /** Null: work may begin at any time. */
  readonly window: Window | null;
  /** Accounts that are due together begin spread over so many minutes. */
  readonly jitterMinutes: number;
  /** So many tries after the first, so many minutes apart. */
  readonly retry: { readonly count: number; readonly minutes: number };
  /** An alert after so many occurrences in a row were skipped because the account was in use. */
  readonly alertAfterSkips: number;
};

/** W-38: after a failure three more tries, half an hour apart. */
export const usualRetry = { count: 3, minutes: 30 } as const;
export const usualSkips = 5;

export const dayMs = 24 * 60 * 60_000;

/** The latest occurrence that has come, null if none has, and the next one. */
export interface Occurrences {
  readonly last: number | null;
  readonly next: number;
}

/**
 * The occurrences around `now` of an account whose value is from `base`, under a schedule that is in force since `since`.
 * However many were missed, there is one `last`: they are made up once.
 */
export function occurrences(
  rhythm: Rhythm & { readonly zone: string | null },
  base: number,
  since: number,
  now: number,
): Occurrences {
  if ('every' in rhythm) return everyDays(rhythm.every.days, base, since, now);
  const begin = Math.max(base, since);
  const { last, next } = aroundNow(rhythm.cron, rhythm.zone ?? 'UTC', Math.max(now, begin));
  return { last: last > begin && last <= now ? last : null, next };
}

function everyDays(days: number, base: number, since: number, now: number): Occurrences {
  const first = Math.max(base + days * dayMs, since);
  if (now < first) return { last: null, next: first };
  const last = first + Math.floor((now - first) / (days * dayMs)) * days * dayMs;
  return { last, next: last + days * dayMs };
}

interface Known {
  readonly cron: Cron;
  around: { readonly last: number; readonly next: number };
}

/** Parsed expressions, each with its last answer: between two occurrences it is the same for every account. */
const known = new Map<string, Known>();

function aroundNow(pattern: string, zone: string, now: number): { last: number; next: number } {
  const name = `${zone} ${pattern}`;
  let entry = known.get(name);
  if (entry === undefined) {
    entry = { cron: cronOf(pattern, zone), around: { last: Number.POSITIVE_INFINITY, next: Number.NEGATIVE_INFINITY } };
    known.set(name, entry);
  }
  const { last, next } = entry.around;
  if (last <= now && now < next) return entry.around;
  // An occurrence at `now` itself has come.
  entry.around = {
    last: entry.cron.previousRuns(1, new Date(now + 1))[0]?.getTime() ?? Number.NEGATIVE_INFINITY,
    next: entry.cron.nextRun(new Date(now))?.getTime() ?? Number.POSITIVE_INFINITY,
  };
  return entry.around;
}

function cronOf(pattern: string, zone: string): Cron {
  return new Cron(pattern, { paused: true, timezone: zone, mode: '5-part', fixedTimeRule: 'no-wildcard' });
}

export interface Fault {
  /** Where it is in the declaration: `['window', 'end']`. */
  readonly path: readonly string[];
  readonly words: string;
}

/** What is wrong with a schedule, in words; undefined if it can be used. */
export function faultOfSchedule(schedule: Schedule): Fault | undefined {
  const { zone, window, jitterMinutes, retry, alertAfterSkips } = schedule;
  if (zone !== null && !isZone(zone)) return { path: ['zone'], words: `there is no time zone ${zone}` };
  if (zone === null && window !== null)
    return { path: ['window'], words: 'a window needs a zone: Europe/Paris, or UTC' };
  if ('cron' in schedule) {
    if (zone === null) return { path: ['cron'], words: 'a cron expression needs a zone: Europe/Paris, or UTC' };
    const words = faultOfCron(schedule.cron, zone);
    if (words !== undefined) return { path: ['cron'], words };
  } else if (!isWhole(schedule.every.days, 1, 3650)) {
    return { path: ['every', 'days'], words: 'a whole number of days, 1 to 3650' };
  }
  const fault = window === null ? undefined : faultOfWindow(window);
  if (fault !== undefined) return { path: ['window', fault.field], words: fault.words };
  if (!isWhole(jitterMinutes, 0, 7 * 24 * 60)) return { path: ['jitterMinutes'], words: '0 to 10080, which is a week' };
  if (!isWhole(retry.count, 0, 100)) return { path: ['retry', 'count'], words: '0 to 100' };
  if (!isWhole(retry.minutes, 1, 24 * 60)) return { path: ['retry', 'minutes'], words: '1 to 1440, which is a day' };
  if (!isWhole(alertAfterSkips, 1, 1000)) return { path: ['alertAfterSkips'], words: '1 to 1000' };
  return undefined;
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

/** From here on an expression must come at least once. A leap day comes within eight years. */
const anyInstant = Date.UTC(2026, 0, 1);

function faultOfCron(pattern: string, zone: string): string | undefined {
  // Croner would read a date or a nickname too; here there is one spelling.
  if (!/^[\d*A-Za-z,/#?+-]+( [\d*A-Za-z,/#?+-]+){4}$/.test(pattern) || pattern.length > 255)
    return 'five fields with one space between: minute hour day month weekday, as in 0 3 * * 0';
  try {
    if (cronOf(pattern, zone).nextRun(new Date(anyInstant)) === null) return 'it never comes';
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^CronPattern: /, '') : 'no cron expression';
  }
  return undefined;
}
