/** What a desktop was opened under, so that stricter conditions of its grants are noticed while it runs. */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table session add column rdp jsonb
    constraint session_rdp_object check (jsonb_typeof(rdp) = 'object')`.execute(db);
}
