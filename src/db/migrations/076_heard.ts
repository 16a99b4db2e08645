/**
 * When a fact came to be known here, by this node's clock: what is waited for is counted from that, because the times
 * within facts are of other nodes' clocks. The column does not travel; for a row that arrives the database fills it in.
 * A row that is put aside is the same row whenever it came.
 */
import { type Kysely, sql } from 'kysely';

const keys = { randomization: ['sigkey'], outcome: ['node', 'node_seq'] } as const;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [table, key] of Object.entries(keys)) {
    // What is here already counts as heard now: waiting longer does no harm.
    await sql`alter table ${sql.table(table)}
      add column heard_at timestamptz not null default clock_timestamp()`.execute(db);
    const where = key.map((column) => `known.${column} = new.${column}`).join(' and ');
    await sql
      .raw(`
      create or replace function ${table}_repeats() returns trigger language plpgsql set search_path = public as $$
      declare
        equal boolean;
      begin
        select known.fact_hash = new.fact_hash into equal from ${table} known where ${where};
        if not found then return new; end if;
        if not equal then
          insert into ledger_quarantine (table_name, row) values ('${table}', to_jsonb(new) - 'heard_at')
            on conflict do nothing;
          perform pg_notify('ledger_quarantine', '${table}');
        end if;
        return null;
      end $$`)
      .execute(db);
  }
}
