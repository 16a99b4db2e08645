/** Whom an account logs in through, and who may set a new value where the present one is lost. */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table account
      add column via_account_id uuid references account (id),
      add column reconcile_account_id uuid references account (id),
      add column auto_reconcile boolean not null default false`.execute(db);
}
