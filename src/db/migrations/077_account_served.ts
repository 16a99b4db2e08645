/** Whose value others depend on is asked at every look at a conflict: an index for each way in which they do (020 has
 * one already). */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const column of ['reconcile_account_id', 'via_account_id'])
    await sql
      .raw(`create index account_${column} on account (${column}) where ${column} is not null and removed_at is null`)
      .execute(db);
}
