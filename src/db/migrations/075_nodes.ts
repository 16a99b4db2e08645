/**
 * Several nodes: each has its own PostgreSQL, and the facts of the ledger travel by logical replication (insert only).
 *
 * What holds for a row that arrives: the apply worker fires no ordinary trigger and no foreign key, so facts between
 * tables that travel have none; it runs with an empty search path, so every function here sets its own. A row that is
 * here already is dropped when it is the same and put into `ledger_quarantine` when it is not: an error would stop
 * everything behind it. Each fact that came leaves a line in `ledger_arrival`, in its own transaction and without a lock
 * on anything that local work needs; `account_state` shows from then on what the account may have become.
 */
import { type Kysely, sql } from 'kysely';
import { appendOnly } from '../append-only.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await identity(db);
  await travelling(db);
  await looseEnds(db);
  await arrivals(db);
  await guards(db);
  await barriers(db);
  await neighbours(db);
  await state(db);
}

/** Who this node is, and was: after a return from a backup it goes on under a new name, because its numbers start again. */
async function identity(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table ledger_node
      add column name text constraint ledger_node_name_shape check (name ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$' and length(name) <= 24),
      add column state text not null default 'single'
        constraint ledger_node_state_known check (state in ('single', 'joining', 'member', 'healing', 'set-back')),
      -- How other nodes reach this one, sealed.
      add column card bytea`.execute(db);
  await sql`
    create table ledger_incarnation (
      id text primary key,
      since timestamptz not null default clock_timestamp()
    )`.execute(db);
  await sql`insert into ledger_incarnation (id) select id from ledger_node`.execute(db);
  await sql`revoke insert, update, delete, truncate on ledger_node, ledger_incarnation from sallyport_app`.execute(db);
  await sql`create function ledger_own_node() returns text stable language sql set search_path = public
    as 'select id from ledger_node'`.execute(db);
  // Every keeper of this database starts again under the new name.
  await sql`
    create function announce_node() returns trigger language plpgsql as $$
    begin
      perform pg_notify('node_changed', new.id);
      return null;
    end $$`.execute(db);
  await sql`create trigger node_changed after update on ledger_node
    for each row when (old.id <> new.id) execute function announce_node()`.execute(db);
}

async function travelling(db: Kysely<unknown>): Promise<void> {
  for (const table of ['credential_version', 'credential_dek', 'vault_kek'])
    await sql`alter table ${sql.table(table)} add column node text not null default ledger_own_node()`.execute(db);
  // What a node took for current, each time it was sure: nodes may disagree although they hold the same facts.
  await sql`
    create table advance (
      node text not null default ledger_own_node(),
      node_seq bigint generated always as identity,
      account_id uuid not null,
      root uuid,
      at timestamptz not null default clock_timestamp(),
      primary key (node, node_seq)
    )`.execute(db);
  await sql`create index advance_account on advance (account_id)`.execute(db);
  await appendOnly(db, 'advance');
  await sql`
    create table barrier (
      ask uuid not null,
      kind text not null constraint barrier_kind_known check (kind in ('ask', 'answer')),
      node text not null default ledger_own_node(),
      at timestamptz not null default clock_timestamp(),
      primary key (ask, kind, node)
    )`.execute(db);
}

/** Facts of several nodes arrive in any order, so none of them waits for another. */
async function looseEnds(db: Kysely<unknown>): Promise<void> {
  for (const [table, constraint] of [
    ['randomization', 'randomization_account_id_fkey'],
    ['outcome', 'outcome_sigkey_fkey'],
    ['resolution', 'resolution_account_id_fkey'],
    ['credential_version', 'credential_version_account_id_fkey'],
    ['credential_dek', 'credential_dek_sigkey_fkey'],
    ['credential_dek', 'credential_dek_kek_version_fkey'],
  ] as const)
    await sql`alter table ${sql.table(table)} drop constraint ${sql.id(constraint)}`.execute(db);
}

/** Table, its key, when two rows of one key are the same, and whose arrival is noted: an account's, or a value's. */
const facts = [
  ['randomization', ['sigkey'], 'known.fact_hash = new.fact_hash', 'new.account_id', 'null'],
  ['outcome', ['node', 'node_seq'], 'known.fact_hash = new.fact_hash', 'null', 'new.sigkey'],
  ['resolution', ['node', 'node_seq'], 'known.fact_hash = new.fact_hash', 'new.account_id', 'null'],
  [
    'credential_version',
    ['sigkey'],
    '(known.account_id, known.kind, known.sealed) = (new.account_id, new.kind, new.sealed)',
    'new.account_id',
    'null',
  ],
  // A data key that was wrapped anew under a younger key is still the same data key.
  [
    'credential_dek',
    ['sigkey'],
    'known.kek_version <> new.kek_version or known.wrapped = new.wrapped',
    'null',
    'new.sigkey',
  ],
  ['advance', ['node', 'node_seq'], '(known.account_id, known.root) is not distinct from (new.account_id, new.root)'],
  ['barrier', ['ask', 'kind', 'node'], 'true'],
  ['vault_kek', ['version'], 'known.sealed = new.sealed'],
] as const;

async function arrivals(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table ledger_quarantine (
      id bigint generated always as identity primary key,
      table_name text not null,
      row jsonb not null,
      at timestamptz not null default clock_timestamp()
    )`.execute(db);
  await sql`create unique index ledger_quarantine_once on ledger_quarantine (table_name, md5(row::text))`.execute(db);
  await sql`revoke update, truncate on ledger_quarantine from sallyport_app`.execute(db);
  await sql`
    create table ledger_arrival (
      id bigint generated always as identity primary key,
      account_id uuid,
      sigkey uuid,
      at timestamptz not null default clock_timestamp(),
      constraint ledger_arrival_of_something check (account_id is not null or sigkey is not null)
    )`.execute(db);
  await sql`create index ledger_arrival_account on ledger_arrival (account_id)`.execute(db);
  for (const [table, key, same, account, sigkey] of facts) {
    const where = key.map((column) => `known.${column} = new.${column}`).join(' and ');
    await sql
      .raw(`
      create function ${table}_repeats() returns trigger language plpgsql set search_path = public as $$
      declare
        equal boolean;
      begin
        select ${same} into equal from ${table} known where ${where};
        if not found then return new; end if;
        if not equal then
          insert into ledger_quarantine (table_name, row) values ('${table}', to_jsonb(new)) on conflict do nothing;
          perform pg_notify('ledger_quarantine', '${table}');
        end if;
        return null;
      end $$`)
      .execute(db);
    await sql
      .raw(`create trigger fact_repeats before insert on ${table} for each row execute function ${table}_repeats()`)
      .execute(db);
    await sql.raw(`alter table ${table} enable replica trigger fact_repeats`).execute(db);
    if (account === undefined) continue;
    await sql
      .raw(`
      create function ${table}_arrives() returns trigger language plpgsql set search_path = public as $$
      begin
        insert into ledger_arrival (account_id, sigkey) values (${account}, ${sigkey});
        perform pg_notify('ledger', coalesce((${account})::text, ''));
        return null;
      end $$`)
      .execute(db);
    await sql
      .raw(`create trigger fact_arrives after insert on ${table} for each row execute function ${table}_arrives()`)
      .execute(db);
    await sql.raw(`alter table ${table} enable replica trigger fact_arrives`).execute(db);
  }
  // Facts may come before the account is declared here; they are looked at when it is.
  await sql`
    create function announce_account() returns trigger language plpgsql as $$
    begin
      perform pg_notify('ledger', new.id::text);
      return null;
    end $$`.execute(db);
  await sql`create trigger account_declared after insert on account
    for each row execute function announce_account()`.execute(db);
}

/**
 * What is written here is written under this node's own name, and not while its database is older than what others heard
 * from it: its numbers would be those of other facts.
 */
async function guards(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function refuse_foreign_fact() returns trigger language plpgsql set search_path = public as $$
    begin
      if new.node <> ledger_own_node() then
        raise exception 'this node is %, and the fact is of %', ledger_own_node(), new.node
          using errcode = 'check_violation', constraint = 'fact_is_own';
      end if;
      return new;
    end $$`.execute(db);
  await sql`
    create function refuse_while_set_back() returns trigger language plpgsql set search_path = public as $$
    begin
      if exists (select from ledger_node where state in ('set-back', 'healing')) then
        raise exception 'the database of this node was set back: nothing is changed until it is healed (nodes.set-back)'
          using errcode = 'check_violation', constraint = 'node_is_ready';
      end if;
      return new;
    end $$`.execute(db);
  for (const table of ['randomization', 'outcome', 'resolution', 'advance', 'credential_version'])
    await sql`create trigger node_is_ready before insert on ${sql.table(table)}
      for each row execute function refuse_while_set_back()`.execute(db);
  for (const [table] of facts)
    await sql`create trigger fact_is_own before insert on ${sql.table(table)}
      for each row execute function refuse_foreign_fact()`.execute(db);
  await sql`
    create function refuse_loose_outcome() returns trigger language plpgsql set search_path = public as $$
    begin
      if not exists (select from randomization where sigkey = new.sigkey) then
        raise exception 'there is no value %', new.sigkey
          using errcode = 'foreign_key_violation', constraint = 'outcome_of_value';
      end if;
      return new;
    end $$`.execute(db);
  await sql`create trigger outcome_of_value before insert on outcome
    for each row execute function refuse_loose_outcome()`.execute(db);
}

/**
 * The question "have I everything that you have?" is answered by the server itself, in the transaction that brings the
 * question: whatever was committed there before stands before the answer in its log, and is applied here before it.
 */
async function barriers(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function barrier_answers() returns trigger language plpgsql set search_path = public as $$
    begin
      if new.kind = 'ask' and new.at > clock_timestamp() - interval '1 day' then
        insert into barrier (ask, kind) values (new.ask, 'answer');
      end if;
      if new.kind = 'answer' then perform pg_notify('barrier', new.ask::text); end if;
      return null;
    end $$`.execute(db);
  await sql`create trigger barrier_answers after insert on barrier
    for each row execute function barrier_answers()`.execute(db);
  await sql`alter table barrier enable replica trigger barrier_answers`.execute(db);
}

/** The other nodes: how they are reached (sealed), and what they have left in our letter box. */
async function neighbours(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table node_peer (
      name text primary key constraint node_peer_name_shape check (name ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$' and length(name) <= 24),
      card bytea not null,
      added_at timestamptz not null default clock_timestamp(),
      -- What the peer must still be told: that it is to copy our side anew.
      renew boolean not null default false,
      -- Whether what was heard of the peer so far is in doubt: then everything is fetched from it anew.
      doubt boolean not null default false
    )`.execute(db);
  await sql`
    create table node_knock (
      id bigint generated always as identity primary key,
      letter bytea not null constraint node_knock_size check (length(letter) between 64 and 16384),
      at timestamptz not null default clock_timestamp()
    )`.execute(db);
  await sql`revoke insert, update, delete, truncate on node_peer from sallyport_app`.execute(db);
  // What a node that joins must have to know a value again that was used before; the other keys are a node's own.
  await sql`create view ledger_ring_history as select sealed from vault_key where name = 'history'`.execute(db);
  // The only thing that a peer can write: a sealed letter that only somebody with the same key ring can have made.
  await sql`
    create function node_knock(letter bytea) returns void language plpgsql security definer set search_path = public as $$
    begin
      if (select count(*) from node_knock) >= 1000 then
        raise exception 'the letter box is full' using errcode = 'program_limit_exceeded';
      end if;
      insert into node_knock (letter) values (letter);
      perform pg_notify('node_knock', '');
    end $$`.execute(db);
  await sql`revoke execute on function node_knock(bytea) from public`.execute(db);
}

/**
 * An account as readers should take it: while facts that have come are not folded yet, what they may mean. Computed from
 * the facts when it is read, so that it holds from the very commit that brings one.
 */
async function state(db: Kysely<unknown>): Promise<void> {
  await sql`
    create view ledger_unfolded as
      select coalesce(arrival.account_id, fact.account_id, version.account_id) as account_id, arrival.id, arrival.at
      from ledger_arrival arrival
      left join randomization fact on arrival.account_id is null and fact.sigkey = arrival.sigkey
      left join credential_version version on arrival.account_id is null and version.sigkey = arrival.sigkey`.execute(
    db,
  );
  await sql`
    create function ledger_suspicion(account uuid, out conflict text, out busy boolean)
    stable language sql set search_path = public as $$
      with open as (
        select fact.sigkey, fact.parent, coalesce((
          select outcome.status from outcome where outcome.sigkey = fact.sigkey
          order by outcome.at desc, outcome.node_seq desc limit 1), 'P') as status
        from randomization fact left join ledger_place place using (sigkey)
        where fact.account_id = account and coalesce(place.place, 'working') = 'working'
      ), live as (select * from open where status <> 'F'),
      root as (select place.sigkey from ledger_place place where place.account_id = account and place.is_current),
      found as (
        select
          exists (select from live group by parent having count(*) > 1)
          or exists (select from live where parent is distinct from (select sigkey from root)
            and not exists (select from live other where other.sigkey = live.parent)) as tree,
          exists (select from live where status = 'U') as incomplete,
          exists (select from live where status = 'P') as busy
      )
      select case when tree and incomplete then 'tree+incomplete' when tree then 'tree'
        when incomplete then 'incomplete' else 'none' end, busy from found
    $$`.execute(db);
  await sql`
    create view account_state as
      select account.id as account_id, unfolded.account_id is not null as stale,
        case when unfolded.account_id is null then coalesce(known.conflict, 'none') else suspicion.conflict end as conflict,
        case when unfolded.account_id is null then coalesce(known.busy, false) else suspicion.busy end as busy
      from account
      left join ledger_account known on known.account_id = account.id
      left join (select distinct account_id from ledger_unfolded) unfolded on unfolded.account_id = account.id
      left join lateral ledger_suspicion(account.id) suspicion on unfolded.account_id is not null`.execute(db);
}
