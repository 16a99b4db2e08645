/** The parts of `estate.yaml` about when: schedules, and how policies are managed. Shapes, and from them declarations. */
import { type Static, Type } from 'typebox';
import { faultOfSchedule, type Schedule, usualRetry, usualSkips } from '../rotation/rotation.ts';

const Name = Type.String({ minLength: 1, maxLength: 255 });
const strict = { additionalProperties: false } as const;
const weekdayNames = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const OneOf = <const V extends readonly string[]>(values: V) => Type.Unsafe<V[number]>(Type.Enum([...values]));

export const ScheduleShape = Type.Object(
  {
    name: Name,
    every: Type.Optional(Type.Object({ days: Type.Number() }, strict)),
    cron: Type.Optional(Type.String({ maxLength: 255 })),
    zone: Type.Optional(Name),
    window: Type.Optional(
      Type.Object(
        {
          start: Type.String(),
          end: Type.String(),
          weekdays: Type.Optional(Type.Array(OneOf(weekdayNames), { maxItems: 7 })),
        },
        strict,
      ),
    ),
    jitterMinutes: Type.Optional(Type.Number()),
    retry: Type.Optional(
      Type.Object({ count: Type.Optional(Type.Number()), minutes: Type.Optional(Type.Number()) }, strict),
    ),
    alertAfterSkips: Type.Optional(Type.Number()),
  },
  strict,
);

export const ManagementShape = Type.Object(
  {
    policy: Name,
    schedule: Type.Optional(Type.Union([Type.Null(), Name])),
    managingNode: Type.Optional(Type.Union([Type.Null(), Name])),
    localFallback: Type.Optional(Type.Boolean()),
    automaticResolution: Type.Optional(Type.Boolean()),
    rotateOnCheckout: Type.Optional(OneOf(['never', 'or-deny', 'or-serve-current'])),
  },
  strict,
);

/** A schedule as declared, with what it leaves out as usual. `fail` makes the error, naming the field. */
export function scheduleOf(
  { every, cron, window, ...said }: Static<typeof ScheduleShape>,
  fail: (path: readonly string[], words: string) => Error,
): Schedule {
  const rest = {
    name: said.name,
    zone: said.zone ?? null,
    window: window === undefined ? null : windowOf(window),
    jitterMinutes: said.jitterMinutes ?? 0,
    retry: { ...usualRetry, ...said.retry },
    alertAfterSkips: said.alertAfterSkips ?? usualSkips,
  };
  if ((every === undefined) === (cron === undefined)) throw fail([], 'every or cron, and not both');
  const schedule = cron === undefined ? { ...rest, every: every ?? { days: 0 } } : { ...rest, cron };
  const fault = faultOfSchedule(schedule);
  if (fault !== undefined) throw fail(fault.path, fault.words);
  return schedule;
}

function windowOf({ weekdays, ...times }: NonNullable<Static<typeof ScheduleShape>['window']>): Schedule['window'] {
  if (weekdays === undefined) return times;
  return {
    ...times,
    weekdays: [...new Set(weekdays.map((name) => weekdayNames.indexOf(name) + 1))].toSorted((a, b) => a - b),
  };
}
