/**
 * Named schedules as rows: declaring and reading them. When something is due by them is for `plan/due.ts` to say.
 */
import type { Selectable } from 'kysely';
import { type Actor, record } from '../audit/audit.ts';
import type { Db, Tx } from '../db/db.ts';
import type { Tables } from '../db/tables.ts';
import { RotationError } from './errors.ts';
import { faultOfSchedule, type Schedule } from './plan/schedule.ts';
import type { Window } from './plan/window.ts';

/** What a declaration did to one object. */
export interface Change {
  readonly object: 'schedule' | 'management';
  /** A schedule's name, or a policy's. */
  readonly name: string;
  readonly change: 'created' | 'changed' | 'removed' | 'same';
  readonly fields?: readonly string[];
}

export interface DeclareOptions {
  readonly actor: Actor;
  /** Also removes what is there and not declared. */
  readonly prune: boolean;
}

export interface StoredSchedule {
  readonly schedule: Schedule;
  /** Since when its occurrences are what they are. */
  readonly timesSince: number;
}

/** All schedules by name. */
export async function schedules(db: Db | Tx): Promise<StoredSchedule[]> {
  return (await db.selectFrom('rotation_schedule').selectAll().orderBy('name').execute()).map(storedOf);
}

/** One schedule, or undefined. */
export async function scheduleNamed(db: Db | Tx, name: string): Promise<StoredSchedule | undefined> {
  const row = await db.selectFrom('rotation_schedule').selectAll().where('name', '=', name).executeTakeFirst();
  return row && storedOf(row);
}

function storedOf(row: Selectable<Tables['rotation_schedule']>): StoredSchedule {
  const { name, zone } = row;
  const rest = {
    name,
    zone,
    window: row.window as Window | null,
    jitterMinutes: row.jitter_minutes,
    retry: { count: row.retry_count, minutes: row.retry_minutes },
    alertAfterSkips: row.alert_after_skips,
  };
  const schedule = row.cron === null ? { ...rest, every: { days: row.every_days ?? 0 } } : { ...rest, cron: row.cron };
  if (faultOfSchedule(schedule) !== undefined)
    throw new RotationError('rotation.schedule-invalid', `the stored schedule ${name}`);
  return { schedule, timesSince: row.times_since.getTime() };
}

/**
 * Makes the schedules be as declared, in the caller's transaction, and says what changed. Changing the window or the
 * retries leaves what is due as it is; changing the times begins anew. Throws `rotation.schedule-invalid`, and
 * `rotation.schedule-in-use` where one that a policy names would vanish.
 */
export async function declareSchedules(
  tx: Tx,
  desired: readonly Schedule[],
  { actor, prune }: DeclareOptions,
): Promise<Change[]> {
  const before = new Map((await schedules(tx)).map(({ schedule }) => [schedule.name, schedule]));
  const declared = new Set<string>();
  const changes: Change[] = [];
  for (const wished of desired) {
    if (declared.has(wished.name)) throw new RotationError('rotation.schedule-invalid', `${wished.name} twice`);
    declared.add(wished.name);
    const fault = faultOfSchedule(wished);
    if (fault !== undefined)
      throw new RotationError('rotation.schedule-invalid', `${wished.name}, ${fault.path.join('.')}: ${fault.words}`);
    changes.push(await declareOne(tx, wished, before.get(wished.name), actor));
  }
  if (!prune) return changes;
  for (const name of before.keys()) {
    if (declared.has(name)) continue;
    await remove(tx, name, actor);
    changes.push({ object: 'schedule', name, change: 'removed' });
  }
  return changes;
}

async function declareOne(tx: Tx, wished: Schedule, before: Schedule | undefined, actor: Actor): Promise<Change> {
  const { name } = wished;
  const [was, after] = [before === undefined ? {} : textual(before), textual(wished)];
  const fields = [...new Set([...Object.keys(was), ...Object.keys(after)])].filter((key) => was[key] !== after[key]);
  if (before !== undefined && fields.length === 0) return { object: 'schedule', name, change: 'same' };
  const now = new Date();
  const row = {
    every_days: 'every' in wished ? wished.every.days : null,
    cron: 'cron' in wished ? wished.cron : null,
    zone: wished.zone,
    window: wished.window === null ? null : JSON.stringify(wished.window),
    jitter_minutes: wished.jitterMinutes,
    retry_count: wished.retry.count,
    retry_minutes: wished.retry.minutes,
    alert_after_skips: wished.alertAfterSkips,
    changed_at: now,
  };
  const details = { name, after };
  if (before === undefined) {
    await tx
      .insertInto('rotation_schedule')
      .values({ name, ...row, times_since: now })
      .execute();
    await record(tx, actor, { type: 'rotation.schedule.created', about: {}, details });
    return { object: 'schedule', name, change: 'created' };
  }
  const anew = fields.some((field) => ['every', 'cron', 'zone'].includes(field));
  await tx
    .updateTable('rotation_schedule')
    .set({ ...row, ...(anew ? { times_since: now } : {}) })
    .where('name', '=', name)
    .execute();
  await record(tx, actor, { type: 'rotation.schedule.changed', about: {}, details: { ...details, before: was } });
  return { object: 'schedule', name, change: 'changed', fields };
}

async function remove(tx: Tx, name: string, actor: Actor): Promise<void> {
  const user = await tx
    .selectFrom('policy_management')
    .innerJoin('policy', 'policy.id', 'policy_management.policy_id')
    .select('policy.name')
    .where('schedule', '=', name)
    .executeTakeFirst();
  if (user !== undefined) throw new RotationError('rotation.schedule-in-use', `${name}, by the policy ${user.name}`);
  await tx.deleteFrom('rotation_schedule').where('name', '=', name).execute();
  await record(tx, actor, { type: 'rotation.schedule.removed', about: {}, details: { name } });
}

/** Each field as text, in the words of the estate file; to compare, and for the audit trail. */
function textual(schedule: Schedule): Record<string, string> {
  const { name: _, window, ...fields } = schedule;
  const spelled = window && {
    start: window.start,
    end: window.end,
    weekdays: window.weekdays?.toSorted((a, b) => a - b),
  };
  return Object.fromEntries(
    Object.entries({ ...fields, window: spelled }).map(([key, at]) => [key, JSON.stringify(at)]),
  );
}
