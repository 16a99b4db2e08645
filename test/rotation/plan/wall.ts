/**
 * An oracle for times: minute by minute what the clock on the wall shows, asked of the runtime. It imports nothing of
 * `plan` and reckons with no offsets, so that the two can disagree.
 */
import type { Window } from '../../../src/rotation/plan/window.ts';

const minute = 60_000;

/** Wall times (hours and minutes), or every so many minutes. */
export type Times =
  | { readonly kind: 'at'; readonly times: readonly string[]; readonly weekdays?: readonly number[] }
  | { readonly kind: 'every'; readonly minutes: number };

interface Wall {
  readonly weekday: number;
  /** Minute of the day. */
  readonly time: number;
  /** The day, and whether the same wall time was shown before on it. */
  readonly again: boolean;
}

export interface Walls {
  readonly begin: number;
  readonly minutes: readonly Wall[];
}

const known = new Map<string, Walls>();

/** What a zone's clock shows at each minute of some days. */
export function wallsOf(zone: string, begin: number, days: number): Walls {
  const name = `${zone} ${begin} ${days}`;
  const found = known.get(name) ?? readWalls(zone, begin, days);
  known.set(name, found);
  return found;
}

function readWalls(zone: string, begin: number, days: number): Walls {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    weekday: 'short',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const names = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
  const seen = new Set<string>();
  const minutes: Wall[] = [];
  for (let n = 0; n < days * 24 * 60; n++) {
    const text = format.format(begin + n * minute);
    const [hours = 0, past = 0] = (/(\d\d):(\d\d)$/.exec(text) ?? []).slice(1).map(Number);
    minutes.push({ weekday: names.indexOf(text.slice(0, 3)) + 1, time: hours * 60 + past, again: seen.has(text) });
    seen.add(text);
  }
  return { begin, minutes };
}

/** Whether a window is open in each minute. */
export function openMinutes({ minutes }: Walls, window: Window | null): boolean[] {
  if (window === null) return minutes.map(() => true);
  const { weekdays } = window;
  const [start, end] = [minuteOf(window.start), minuteOf(window.end)];
  const on = (weekday: number): boolean => weekdays === undefined || weekdays.includes(weekday);
  return minutes.map(({ weekday, time }) =>
    start < end
      ? time >= start && time < end && on(weekday)
      : (time >= start && on(weekday)) || (time < end && on(weekday === 1 ? 7 : weekday - 1)),
  );
}

/** The instants at which times come: what is skipped at the next valid minute, what is shown twice the first time. */
export function comings({ begin, minutes }: Walls, times: Times): number[] {
  return minutes.flatMap((wall, n) => {
    if (times.kind === 'every') return wall.time % times.minutes === 0 ? [begin + n * minute] : [];
    const on = (weekday: number): boolean => times.weekdays === undefined || times.weekdays.includes(weekday);
    const before = minutes[n - 1];
    const leap = before === undefined ? 0 : (wall.time - before.time + 1440) % 1440;
    const skipped = leap > 1 && leap < 720 ? leap - 1 : 0;
    const shows = times.times.some((text) => {
      const late = (wall.time - minuteOf(text) + 1440) % 1440;
      return late <= skipped && on(wall.weekday);
    });
    return shows && !wall.again ? [begin + n * minute] : [];
  });
}

function minuteOf(text: string): number {
  const [hours, minutes] = text.split(':').map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
}
