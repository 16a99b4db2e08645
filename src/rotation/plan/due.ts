/**
 * When an account falls due by its schedule or its age, and when the change may begin: within the window, spread by the
 * jitter, tries a set time apart. Both together are *planned* work, and one success serves both.
 *
 * INVARIANT: planned work begins only inside an opening of the window, retries too; what did not begin in one opening
 * begins in the next. Of all that was missed only the latest occurrence counts. Pure.
 */
import { zoneOffset } from '../../base/zones.ts';
import { dayMs, occurrences, type Schedule } from './schedule.ts';
import { always, never, type Opening, openingFrom, type Window } from './window.ts';

export type PlannedTrigger = 'scheduled' | 'age';

/** What an account's policy says about when. */
export interface Calendar {
  readonly schedule: Schedule | null;
  /** When the schedule came into force for the policy, or changed its times; what would have been due before is not. */
  readonly since: number;
  /** A value that is older is due by itself; null allows any age. */
  readonly maxAgeDays: number | null;
}

export interface Due {
  readonly trigger: PlannedTrigger;
  /** The latest occurrence that has come and was not served; null while nothing is due. */
  readonly occurrence: number | null;
  /** The occurrence after it. */
  readonly next: number;
}

/** What is due of a value that is from `base`; undefined when neither schedule nor age ever makes it so. */
export function dueOf({ schedule, since, maxAgeDays }: Calendar, base: number, now: number): Due | undefined {
  const found: Due[] = [];
  if (schedule !== null) found.push(dueBy('scheduled', occurrences(schedule, base, since, now)));
  if (maxAgeDays !== null)
    found.push(dueBy('age', occurrences({ every: { days: maxAgeDays }, zone: null }, base, base, now)));
  const [latest] = found.toSorted(
    (a, b) =>
      (b.occurrence ?? Number.NEGATIVE_INFINITY) - (a.occurrence ?? Number.NEGATIVE_INFINITY) || a.next - b.next,
  );
  return latest === undefined ? undefined : { ...latest, next: Math.min(...found.map(({ next }) => next)) };
}

function dueBy(trigger: PlannedTrigger, { last, next }: ReturnType<typeof occurrences>): Due {
  return { trigger, occurrence: last, next };
}

/** From when on the first try of an occurrence may begin. `now` counts only where an opening was missed. */
export function firstTryAt(
  schedule: Schedule | null,
  account: string,
  { occurrence, next }: { readonly occurrence: number; readonly next: number },
  now: number,
): number {
  const opening = openingOf(schedule, occurrence);
  if (now >= opening.to) return spread(schedule, account, openingOf(schedule, now));
  const begin = Math.max(opening.from, occurrence);
  // Half the way to the next occurrence at most, so that jitter never makes one occurrence run into another.
  return spread(schedule, account, { from: begin, to: Math.min(opening.to, begin + Math.max(0, next - begin) / 2) });
}

/** From when on there may be another try after one that ended at `last`. */
export function nextTryAt(
  schedule: Schedule | null,
  account: string,
  last: number,
  minutes: number,
  now: number,
): number {
  const again = last + minutes * 60_000;
  const opening = openingOf(schedule, again);
  if (now >= opening.to) return spread(schedule, account, openingOf(schedule, now));
  return opening.from <= again ? again : spread(schedule, account, opening);
}

/** When planned work may begin at the earliest, `instant` itself if the window is open then. */
export function opensAfter(schedule: Schedule | null, instant: number): number {
  return Math.max(instant, openingOf(schedule, instant).from);
}

/** The openings of each schedule by day of UTC: the same for all of its accounts, and thousands may ask. */
const known = new WeakMap<Schedule, Map<number, readonly Opening[]>>();

function openingOf(schedule: Schedule | null, instant: number): Opening {
  if (schedule === null || schedule.window === null) return always;
  if (!Number.isFinite(instant)) return never;
  const days = known.get(schedule) ?? new Map<number, readonly Opening[]>();
  known.set(schedule, days);
  const today = Math.floor(instant / dayMs);
  const openings = days.get(today) ?? openingsThrough(schedule.window, schedule.zone, today * dayMs);
  days.set(today, openings);
  return openings.find(({ to }) => to > instant) ?? never;
}

/** Those that an instant of the day can be in, or have before it as the next. */
function openingsThrough(window: Window, zone: string | null, begin: number): Opening[] {
  const offsetAt = zoneOffset(zone ?? 'UTC');
  const found = [openingFrom(window, begin, offsetAt)];
  for (let last = found[0]; last !== undefined && last.to < begin + dayMs; last = found.at(-1))
    found.push(openingFrom(window, last.to, offsetAt));
  return found;
}

/** The account's own place in an opening: always the same one, within the jitter and before the end. */
function spread(schedule: Schedule | null, account: string, { from, to }: Opening): number {
  const width = Math.min((schedule?.jitterMinutes ?? 0) * 60_000, to - from);
  // Not after an opening that is always: whoever was missed there begins at once.
  return width > 0 && Number.isFinite(from) ? from + Math.floor((hash(`${account} ${from}`) / 2 ** 32) * width) : from;
}

/** FNV-1a, and a finish that lets every bit of the text reach the high ones. Spreads; it hides nothing. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
