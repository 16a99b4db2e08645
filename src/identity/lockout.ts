/**
 * Lock-out over all entry points. An attempt is counted before it is judged, so that a hundred guesses sent at once are
 * not a hundred guesses: those that find no attempt left are answered like wrong ones. The count stands in the
 * database, where every gate and the API meet.
 */
import { sql } from 'kysely';
import type { UserId } from '../base/ids.ts';
import type { Db } from '../db/db.ts';

export interface LockoutPolicy {
  /** Wrong passwords or codes in a row. */
  readonly attempts: number;
  readonly lockMs: number;
}

export const usualLockout: LockoutPolicy = { attempts: 5, lockMs: 15 * 60 * 1000 };

/** An attempt that may be judged. `locks` tells that the user is locked unless it is right. */
export interface Reservation {
  readonly failures: number;
  readonly locks: boolean;
  readonly until: Date | undefined;
}

const nobody = '00000000-0000-7000-8000-000000000000' as UserId;

/** Counts an attempt; undefined when the user is locked or unknown (for whom the same statement runs). */
export async function reserveAttempt(
  db: Db,
  user: UserId | undefined,
  now: number,
  policy: LockoutPolicy,
): Promise<Reservation | undefined> {
  const at = new Date(now);
  const until = new Date(now + policy.lockMs);
  const { rows } = await sql<{ failures: number; locked_until: Date | null }>`
    update users set
      failures = case when locked_until <= ${at} then 1 else failures + 1 end,
      locked_until = case
        when (case when locked_until <= ${at} then 1 else failures + 1 end) >= ${policy.attempts} then ${until}::timestamptz
        else null end
    where id = ${user ?? nobody} and (locked_until is null or locked_until <= ${at})
    returning failures, locked_until`.execute(db);
  const row = rows[0];
  if (row === undefined) return undefined;
  return { failures: row.failures, locks: row.locked_until !== null, until: row.locked_until ?? undefined };
}

/**
 * The factor was right but the login is not complete, or it was no guess: this attempt does not count, older ones still
 * do. For nobody the same statement runs.
 */
export async function returnAttempt(
  db: Db,
  user: UserId | undefined,
  reservation: Pick<Reservation, 'locks'>,
): Promise<void> {
  await sql`
    update users set failures = greatest(failures - 1, 0),
      locked_until = case when ${reservation.locks} then null else locked_until end
    where id = ${user ?? nobody}`.execute(db);
}

/** The login is complete: nothing is held against the user any more. */
export async function forgetAttempts(db: Db, user: UserId): Promise<void> {
  await db
    .updateTable('users')
    .set({ failures: 0, locked_until: null })
    .where('id', '=', user)
    .where((eb) => eb.or([eb('failures', '>', 0), eb('locked_until', 'is not', null)]))
    .execute();
}
