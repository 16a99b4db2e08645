/**
 * Time frames: when a grant holds. Everything is in the wall clock of the frame's zone: a period holds while that clock
 * shows a time in it. What the clocks skip in spring does not come; what they show twice in autumn holds twice. A period
 * whose end is not after its start goes over midnight and belongs to the day on which it began.
 *
 * Pure: zones come in as a function that tells the offset at an instant.
 */
import { changeBetween, type OffsetAt } from '../../base/zones.ts';

/** Every field narrows; an empty period holds always. */
export interface Period {
  /** First and last day, `2026-11-21`, both included. */
  readonly from?: string;
  readonly to?: string;
  /** Wall time, `08:00`, included. */
  readonly start?: string;
  /** Wall time, not included; `24:00` is the end of the day. */
  readonly end?: string;
  /** 1 Monday … 7 Sunday. */
  readonly weekdays?: readonly number[];
}

/** Holds while one of its periods holds. */
export interface TimeFrame {
  /** IANA name: `Europe/Berlin`. */
  readonly zone: string;
  readonly periods: readonly Period[];
}

const minute = 60_000;
const day = 24 * 60 * minute;

/** Whether the frame holds at `instant`. */
export function inTimeFrame(frame: TimeFrame, instant: number, offsetAt: OffsetAt): boolean {
  const wall = instant + offsetAt(instant);
  return frame.periods.some((period) => inPeriod(period, wall));
}

/** The first instant after `instant` at which the frame does not hold; undefined if it holds on for ever. */
export function frameEnd(frame: TimeFrame, instant: number, offsetAt: OffsetAt): number | undefined {
  if (!inTimeFrame(frame, instant, offsetAt)) return instant;
  for (const candidate of boundaries(frame, instant, offsetAt)) {
    if (!inTimeFrame(frame, candidate, offsetAt)) return candidate;
  }
  return undefined;
}

function inPeriod(period: Period, wall: number): boolean {
  const today = Math.floor(wall / day);
  const time = wall - today * day;
  const start = timeOf(period.start ?? '00:00');
  const end = timeOf(period.end ?? '24:00');
  if (start < end) return start <= time && time < end && onDay(period, today);
  return (time >= start && onDay(period, today)) || (time < end && onDay(period, today - 1));
}

function onDay(period: Period, days: number): boolean {
  if (period.from !== undefined && days < dayOf(period.from)) return false;
  if (period.to !== undefined && days > dayOf(period.to)) return false;
  // 1970-01-01, day 0, was a Thursday.
  return period.weekdays === undefined || period.weekdays.includes(((((days + 3) % 7) + 7) % 7) + 1);
}

/**
 * Instants at which a frame can begin or stop holding, in order: starts and ends of periods and midnights, by the
 * offset before and after whatever the zone does that day, and the zone's own changes. Days repeat weekly, so a frame
 * that holds through nine days stops only at the last day of a period; those are looked at too.
 */
function boundaries(frame: TimeFrame, instant: number, offsetAt: OffsetAt): number[] {
  const first = Math.floor((instant + offsetAt(instant)) / day) - 1;
  const days = new Set<number>();
  const from = [first, ...frame.periods.flatMap((period) => (period.to === undefined ? [] : [dayOf(period.to)]))];
  for (const begin of from) for (let n = 0; n <= 10; n++) days.add(begin + n);
  const times = new Set([0]);
  for (const period of frame.periods) {
    for (const time of [period.start, period.end]) if (time !== undefined) times.add(timeOf(time));
  }
  const found = new Set<number>();
  for (const at of days) {
    const offsets = [offsetAt((at - 1) * day), offsetAt((at + 2) * day)];
    for (const time of times) for (const offset of offsets) found.add(at * day + time - offset);
    if (offsets[0] !== offsets[1]) found.add(changeBetween((at - 1) * day, (at + 2) * day, offsetAt));
  }
  return [...found].filter((candidate) => candidate > instant).sort((a, b) => a - b);
}

function timeOf(text: string): number {
  const [hours, minutes] = text.split(':');
  return (Number(hours) * 60 + Number(minutes)) * minute;
}

function dayOf(text: string): number {
  return Math.floor(Date.parse(`${text}T00:00:00Z`) / day);
}

/** What is wrong with a period, in words; undefined if it can be used. */
export function faultOfPeriod(period: Period): string | undefined {
  for (const [name, value] of [
    ['from', period.from],
    ['to', period.to],
  ] as const) {
    if (value !== undefined && !isDate(value)) return `${name} is no date like 2026-11-21`;
  }
  if (period.start !== undefined && !/^([01]\d|2[0-3]):[0-5]\d$/.test(period.start))
    return 'start is no time like 08:00';
  if (period.end !== undefined && !/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/.test(period.end))
    return 'end is no time like 18:00';
  if (period.from !== undefined && period.to !== undefined && period.to < period.from) return 'to is before from';
  const days = period.weekdays;
  if (days !== undefined && (days.length === 0 || days.some((at) => !Number.isInteger(at) || at < 1 || at > 7))) {
    return 'weekdays are 1 (Monday) to 7 (Sunday), at least one';
  }
  return undefined;
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const at = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
}
