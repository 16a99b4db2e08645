/** The end of a use is news for rotation; the end of rotation's own holds is none, and there are thousands of those. */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create or replace function announce_release() returns trigger language plpgsql as $$
    begin
      if old.released_at is not null then
        raise exception 'a released hold stays released' using errcode = 'insufficient_privilege';
      end if;
      if new.released_at is not null and new.kind in ('session', 'checkout') then
        perform pg_notify('hold_released', new.account_id::text);
      end if;
      return new;
    end $$`.execute(db);
}
