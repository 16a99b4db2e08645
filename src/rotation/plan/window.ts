/**
 * Change windows: when scheduled work may begin, on the wall clock of one zone. The start is included, the end is not; an
 * end that is not after the start lies on the next day, and the window belongs to the weekday on which it began.
 *
 * Where clocks change, the wall clock decides: what it shows twice belongs to the window both times, what it skips does
 * not come. Only a window that is skipped as a whole would be lost for that day: it opens at the next valid minute, for
 * its usual length. A window says when work may begin and nothing about what is running. Pure.
 */
import { changeBetween, type OffsetAt } from '../../base/zones.ts';

export interface Window {
  /** Wall time, `22:00`, included. */
  readonly start: string;
  /** Wall time, not included; `24:00` is the end of the day. */
  readonly end: string;
  /** 1 Monday … 7 Sunday; every day unless told. */
  readonly weekdays?: readonly number[];
}

/** One stretch of time in which work may begin: `from` included, `to` not. */
export interface Opening {
  readonly from: number;
  readonly to: number;
}

const minute = 60_000;
const day = 24 * 60 * minute;

/** Without a window there is one opening, and it is always. */
export const always: Opening = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };
/** What a window that names no day would have. */
export const never: Opening = { from: Number.POSITIVE_INFINITY, to: Number.POSITIVE_INFINITY };

/** The opening that `instant` is in, or the next one. */
export function openingFrom(window: Window, instant: number, offsetAt: OffsetAt): Opening {
  const today = Math.floor((instant + offsetAt(instant)) / day);
  // Yesterday's may go over midnight; a weekday comes back within a week, and where clocks leap over a day, in two.
  for (let at = today - 1; at < today + 16; at++) {
    if (window.weekdays?.includes(weekdayOf(at)) === false) continue;
    const found = openingsOf(window, at, offsetAt).find((opening) => opening.to > instant);
    if (found !== undefined) return found;
  }
  return never;
}

/** The stretches of the window that begins on a day, in order: none is empty, and two touch only if clocks went back. */
function openingsOf(window: Window, today: number, offsetAt: OffsetAt): Opening[] {
  const start = today * day + timeOf(window.start);
  const until = today * day + timeOf(window.end);
  const end = until > start ? until : until + day;
  const [low, high] = [(today - 1) * day, (today + 3) * day];
  const [before, after] = [offsetAt(low), offsetAt(high)];
  if (before === after) return [{ from: start - before, to: end - before }];
  const change = changeBetween(low, high, offsetAt);
  const early = { from: start - before, to: Math.min(end - before, change) };
  const late = { from: Math.max(start - after, change), to: end - after };
  const real = [early, late].filter(({ from, to }) => from < to);
  if (real.length === 0) return [{ from: change, to: change + end - start }];
  // Through a change within the window, it is one opening.
  return real.length === 2 && early.to === late.from ? [{ from: early.from, to: late.to }] : real;
}

/** Day 0, 1970-01-01, was a Thursday. */
function weekdayOf(days: number): number {
  return ((((days + 3) % 7) + 7) % 7) + 1;
}

function timeOf(text: string): number {
  const [hours, minutes] = text.split(':');
  return (Number(hours) * 60 + Number(minutes)) * minute;
}

/** What is wrong with a window, and in which of its fields; undefined if it can be used. */
export function faultOfWindow(window: Window): { readonly field: keyof Window; readonly words: string } | undefined {
  if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(window.start)) return { field: 'start', words: 'no time like 22:00' };
  if (!/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/.test(window.end)) return { field: 'end', words: 'no time like 04:00' };
  if (window.start === window.end)
    return { field: 'end', words: 'a window of no length; leave it out if work may begin at any time' };
  const days = window.weekdays;
  if (days !== undefined && (days.length === 0 || days.some((at) => !Number.isInteger(at) || at < 1 || at > 7)))
    return { field: 'weekdays', words: 'mon to sun, at least one' };
  return undefined;
}
