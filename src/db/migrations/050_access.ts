/**
 * Who may go where: grants with their accounts, targets and conditions, and the sessions that came of them. The machine
 * of a session's states is stored too (`session_transition`), so that no process and no hand-typed update can skip one.
 */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table access_grant (
      id uuid primary key,
      name text not null constraint access_grant_name_unique unique
        constraint access_grant_name_size check (length(name) between 1 and 128),
      description text not null default '',
      group_id uuid not null references user_group (id) on delete cascade,
      subprotocols text[] not null constraint access_grant_subprotocols_some check (cardinality(subprotocols) > 0),
      frames jsonb not null default '[]',
      valid_from timestamptz,
      expires_at timestamptz,
      overtimable boolean not null default false,
      record_content boolean not null default false,
      disabled boolean not null default false,
      created_at timestamptz not null default now(),
      changed_at timestamptz not null default now(),
      constraint access_grant_validity_ordered check (valid_from is null or expires_at is null or valid_from < expires_at)
    )`.execute(db);
  await sql`create index access_grant_group on access_grant (group_id)`.execute(db);
  await sql`
    create table access_grant_account (
      grant_id uuid not null references access_grant (id) on delete cascade,
      account_id uuid not null references account (id) on delete cascade,
      primary key (grant_id, account_id)
    )`.execute(db);
  await sql`
    create table access_grant_target (
      grant_id uuid not null references access_grant (id) on delete cascade,
      target_id uuid not null references target (id) on delete cascade,
      primary key (grant_id, target_id)
    )`.execute(db);
  await sql`
    create table access_grant_target_group (
      grant_id uuid not null references access_grant (id) on delete cascade,
      group_id uuid not null references target_group (id) on delete cascade,
      primary key (grant_id, group_id)
    )`.execute(db);
  await sql`
    create table session_transition (
      from_state text not null,
      to_state text not null,
      primary key (from_state, to_state)
    )`.execute(db);
  await sql`
    insert into session_transition values
      ('opening', 'opening'), ('opening', 'live'), ('opening', 'ended'), ('live', 'ended')`.execute(db);
  await sql`
    create table session (
      id uuid primary key,
      authorization_id uuid not null constraint session_opened_once unique,
      user_id uuid references users (id) on delete set null,
      user_name text not null,
      account_id uuid references account (id) on delete set null,
      account_name text not null,
      target_id uuid references target (id) on delete set null,
      target_name text not null,
      service_id uuid references service (id) on delete set null,
      protocol text not null,
      subprotocols text[] not null,
      record_content boolean not null,
      gate_id text not null,
      peer_address text not null,
      prior_state text not null default 'opening',
      state text not null default 'opening',
      opened_at timestamptz not null,
      live_at timestamptz,
      ended_at timestamptz,
      outcome text,
      detail text,
      recording_id uuid,
      until timestamptz,
      kill_reason text,
      constraint session_transition_allowed foreign key (prior_state, state)
        references session_transition (from_state, to_state),
      constraint session_live_has_time check (state <> 'live' or live_at is not null),
      constraint session_ended_has_outcome
        check ((state = 'ended') = (ended_at is not null) and (state = 'ended') = (outcome is not null))
    )`.execute(db);
  await sql`create index session_running on session (gate_id) where state <> 'ended'`.execute(db);
  await sql`create index session_of_user on session (user_id, opened_at)`.execute(db);
  await sql`
    create function session_remember_prior_state() returns trigger language plpgsql as $$
    begin
      if new.state is distinct from old.state then new.prior_state := old.state; end if;
      return new;
    end $$`.execute(db);
  await sql`
    create trigger session_prior_state before update on session
      for each row execute function session_remember_prior_state()`.execute(db);
  // An ended session is history: only its foreign keys may still be emptied.
  await sql`
    create function session_ended_is_history() returns trigger language plpgsql as $$
    begin
      if new.state is distinct from old.state or new.outcome is distinct from old.outcome
        or new.ended_at is distinct from old.ended_at or new.user_name <> old.user_name
        or new.account_name <> old.account_name or new.target_name <> old.target_name
      then raise exception 'session % has ended and does not change any more', old.id using errcode = 'check_violation';
      end if;
      return new;
    end $$`.execute(db);
  await sql`
    create trigger session_history before update on session
      for each row when (old.state = 'ended') execute function session_ended_is_history()`.execute(db);
}
