/**
 * The ledger of randomizations. Facts (`randomization`, `outcome`, `resolution`) are only ever inserted; `ledger_place`
 * and `ledger_account` are what the fold over all facts says, rewritten in the transaction that adds a fact. The four
 * `password_*` views are the projection in the field's own words. The values themselves are in the vault, by sigkey.
 */
import { type Kysely, sql } from 'kysely';
import { appendOnly } from '../append-only.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table ledger_node (
      "only" boolean primary key default true constraint ledger_node_one check ("only"),
      id text not null default gen_random_uuid()::text
    )`.execute(db);
  await sql`insert into ledger_node default values`.execute(db);
  await sql`
    create table randomization (
      sigkey uuid primary key,
      account_id uuid not null references account (id),
      parent uuid,
      node text not null,
      created_at timestamptz not null,
      fact_hash bytea not null,
      constraint randomization_not_its_own_parent check (parent <> sigkey)
    )`.execute(db);
  await sql`create index randomization_account on randomization (account_id)`.execute(db);
  await sql`
    create table outcome (
      node text not null,
      node_seq bigint generated always as identity,
      sigkey uuid not null references randomization (sigkey),
      status text not null constraint outcome_status_known check (status in ('C', 'U', 'F')),
      at timestamptz not null,
      retcode text not null,
      message text not null,
      fact_hash bytea not null,
      primary key (node, node_seq)
    )`.execute(db);
  await sql`create index outcome_sigkey on outcome (sigkey)`.execute(db);
  await sql`
    create table resolution (
      node text not null,
      node_seq bigint generated always as identity,
      account_id uuid not null references account (id),
      action text not null constraint resolution_action_known check (action in ('A', 'F', 'B', 'M')),
      decision jsonb not null,
      tested jsonb not null,
      requester text not null,
      at timestamptz not null,
      fact_hash bytea not null,
      primary key (node, node_seq)
    )`.execute(db);
  await sql`create index resolution_account on resolution (account_id)`.execute(db);
  for (const table of ['randomization', 'outcome', 'resolution']) await appendOnly(db, table);

  await sql`
    create table ledger_place (
      sigkey uuid primary key references randomization (sigkey),
      account_id uuid not null references account (id),
      status text not null constraint ledger_place_status_known check (status in ('P', 'C', 'U', 'F')),
      place text not null constraint ledger_place_known check (place in ('history', 'working', 'working_history')),
      is_current boolean not null,
      constraint ledger_current_is_confirmed check (not is_current or (status = 'C' and place = 'history')),
      constraint ledger_history_is_confirmed check (place <> 'history' or status = 'C')
    )`.execute(db);
  await sql`create unique index ledger_one_current on ledger_place (account_id) where is_current`.execute(db);
  await sql`create index ledger_place_account on ledger_place (account_id)`.execute(db);
  await sql`
    create table ledger_account (
      account_id uuid primary key references account (id),
      conflict text not null
        constraint ledger_conflict_known check (conflict in ('none', 'incomplete', 'tree', 'tree+incomplete')),
      busy boolean not null
    )`.execute(db);
  await views(db);

  // Who may change an account's credential on its target just now. The token only rises; a stale one writes nothing.
  await sql`
    create table rotation_lease (
      account_id uuid primary key references account (id),
      token bigint not null,
      holder text not null,
      sigkey uuid,
      expires_at timestamptz not null
    )`.execute(db);
  await sql`
    create table rotation_evidence (
      id bigint generated always as identity primary key,
      account_id uuid not null references account (id),
      sigkey uuid,
      token bigint not null,
      what text not null,
      at timestamptz not null default now()
    )`.execute(db);
  await sql`
    create table rotation_attempt (
      id uuid primary key,
      account_id uuid not null references account (id),
      trigger text not null,
      actor text not null,
      started_at timestamptz not null,
      ended_at timestamptz not null,
      result text not null constraint rotation_attempt_result_known
        check (result in ('confirmed', 'failed', 'uncertain', 'skipped', 'known-recorded', 'verified')),
      class text,
      sigkey uuid,
      message text not null
    )`.execute(db);
  await sql`create index rotation_attempt_account on rotation_attempt (account_id, started_at)`.execute(db);
  for (const table of ['rotation_evidence', 'rotation_attempt']) await appendOnly(db, table);
}

/** B-01 and B-02: the four tables of the field, over the projection. */
async function views(db: Kysely<unknown>): Promise<void> {
  await sql`
    create view password_current as
      select place.account_id, place.sigkey,
        (select min(first.created_at) from randomization first where first.account_id = place.account_id)
          as first_randomized_at
      from ledger_place place where place.is_current`.execute(db);
  for (const [view, place] of [
    ['password_history', 'history'],
    ['password_working', 'working'],
    ['password_working_history', 'working_history'],
  ] as const) {
    await sql`
      create view ${sql.table(view)} as
        select fact.sigkey, fact.account_id, fact.parent, place.status, fact.node,
          parent.node as parent_node, fact.created_at
        from ledger_place place
        join randomization fact using (sigkey)
        left join randomization parent on parent.sigkey = fact.parent
        where place.place = ${sql.lit(place)}`.execute(db);
  }
}
