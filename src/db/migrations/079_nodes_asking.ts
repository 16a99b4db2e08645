/** Several nodes, continued: a node that cannot ask a peer whether it was set back, because of its password, waits to be told. */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table ledger_node
      drop constraint ledger_node_state_known,
      add constraint ledger_node_state_known
        check (state in ('single', 'joining', 'member', 'asking', 'healing', 'set-back')),
      -- Until when it waits, in milliseconds.
      add column asks_until bigint`.execute(db);
  await sql`
    create or replace function refuse_while_set_back() returns trigger language plpgsql set search_path = public as $$
    begin
      if exists (select from ledger_node where state in ('set-back', 'healing')) then
        raise exception 'the database of this node was set back: nothing is changed until it is healed (nodes.set-back)'
          using errcode = 'check_violation', constraint = 'node_is_ready';
      end if;
      if exists (select from ledger_node where state = 'asking') then
        raise exception 'another node has changed its password, and nothing is changed until it could be asked (nodes.asking)'
          using errcode = 'check_violation', constraint = 'node_is_ready';
      end if;
      return new;
    end $$`.execute(db);
}
