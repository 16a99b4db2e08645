/**
 * Wall clocks of IANA time zones, from the runtime's own tables: what access frames and change windows reckon with. It
 * knows offsets and the instants at which they change, and no rules about either.
 */

/** Local time minus UTC, in milliseconds, at an instant (ms since 1970). */
export type OffsetAt = (instant: number) => number;

const minute = 60_000;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Whether the runtime knows the zone. */
export function isZone(zone: string): boolean {
  try {
    return formatOf(zone) !== undefined;
  } catch {
    return false;
  }
}

/** The offset function of a zone. Throws RangeError for one that does not exist. */
export function zoneOffset(zone: string): OffsetAt {
  const format = formatOf(zone);
  return (instant) => {
    const part = new Map(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
    const get = (type: Intl.DateTimeFormatPartTypes): number => part.get(type) ?? 0;
    const wall = Date.UTC(get('year'), get('month') - 1, get('day'), get('hour'), get('minute'), get('second'));
    return wall - Math.floor(instant / 1000) * 1000;
  };
}

/** The minute at which the offset first differs from that at `low`; `high` lies after the change and before the next. */
export function changeBetween(low: number, high: number, offsetAt: OffsetAt): number {
  const before = offsetAt(low);
  let [a, b] = [Math.floor(low / minute), Math.ceil(high / minute)];
  while (b - a > 1) {
    const middle = Math.floor((a + b) / 2);
    if (offsetAt(middle * minute) === before) a = middle;
    else b = middle;
  }
  return b * minute;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  formats.set(zone, format);
  return format;
}
