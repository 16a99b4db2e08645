/**
 * Several nodes, continued: what is still to be done with each of the others stands in the database, so that joining and
 * parting go on where a process ended; who was forgotten; and what was put aside can be settled.
 */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table node_peer
      -- Whether it must still be told that we hear it, and by which card we are reached.
      add column greet boolean not null default false,
      -- Whether all that it has is being fetched since it is in doubt.
      add column fetching boolean not null default false,
      -- When its last letter was written that was obeyed, by its clock in milliseconds.
      add column letter_at bigint not null default 0`.execute(db);
  await sql`
    alter table ledger_node
      -- The card that others are being told; it counts when each of them has been.
      add column next_card bytea,
      -- When the invitation was made by which this node joined, in milliseconds.
      add column invited_at bigint,
      -- Until when an invitation of this node's is good; then its password becomes another one.
      add column invites_until bigint,
      -- No two letters of this node are of the same time, and none of an earlier time than one before.
      add column letter_at bigint not null default 0`.execute(db);
  await sql`
    create table node_forgotten (
      name text primary key,
      at timestamptz not null default clock_timestamp()
    )`.execute(db);
  await sql`revoke insert, update, delete, truncate on node_forgotten from sallyport_app`.execute(db);
  await sql`alter table ledger_quarantine add column acknowledged_at timestamptz`.execute(db);
  await sql`grant update (acknowledged_at) on ledger_quarantine to sallyport_app`.execute(db);
}
