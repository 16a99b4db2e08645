/** What was said of an occurrence, kept so that it is said once, over restarts and by whichever process. */
import type { AccountId } from '../../base/ids.ts';
import type { Db, Tx } from '../../db/db.ts';
import type { Note, Trigger } from '../plan/next.ts';

/** Notes a thing; false if it was noted before, and then there is nothing more to say. */
export async function noteOnce(tx: Tx, account: AccountId, note: Note, now: number): Promise<boolean> {
  const { what, trigger, occurrence } = note;
  const row = await tx
    .insertInto('rotation_note')
    .values({ account_id: account, what, trigger, occurrence: new Date(occurrence), at: new Date(now) })
    .onConflict((on) => on.columns(['account_id', 'occurrence', 'what']).doNothing())
    .returning('what')
    .executeTakeFirst();
  return row !== undefined;
}

/** The notes of an account since its value is what it is: what was said before does not count any more. */
export async function notesOf(db: Db | Tx, account: AccountId, since: number): Promise<Note[]> {
  const rows = await db
    .selectFrom('rotation_note')
    .select(['what', 'trigger', 'occurrence'])
    .where('account_id', '=', account)
    .where('occurrence', '>', new Date(since))
    .execute();
  return rows.map(({ what, trigger, occurrence }) => ({
    what,
    trigger: trigger as Trigger,
    occurrence: occurrence.getTime(),
  }));
}
