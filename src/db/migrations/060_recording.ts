/**
 * Recordings and the keeper's own record of their blocks. A block's row is never changed or deleted: it is what a gate
 * is held to. `session_id` and the data key's table have no foreign key here, because a recording is kept longer than
 * the rows of its session may be.
 */
import { type Kysely, sql } from 'kysely';
import { appendOnly } from '../append-only.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table recording (
      id uuid primary key,
      session_id uuid not null constraint recording_session_unique unique,
      gate_id text not null,
      protocol text not null constraint recording_protocol_known check (protocol in ('ssh', 'rdp')),
      user_name text not null,
      account_name text not null,
      target_name text not null,
      client text not null,
      started_at timestamptz not null,
      state text not null default 'open'
        constraint recording_state_known check (state in ('open', 'sealed', 'interrupted', 'broken')),
      blocks bigint not null default 0 constraint recording_blocks_range check (blocks between 0 and 4294967295),
      size bigint not null default 0,
      until_us bigint not null default 0,
      header_hash bytea constraint recording_header_hash_size check (length(header_hash) = 32),
      head_hash bytea constraint recording_head_hash_size check (length(head_hash) = 32),
      sealed_at timestamptz,
      file text,
      reason text,
      constraint recording_head_with_blocks check ((blocks = 0) = (head_hash is null)),
      constraint recording_sealed_when_not_open check ((state = 'open') = (sealed_at is null))
    )`.execute(db);
  await sql`create index recording_started on recording (started_at desc)`.execute(db);
  await sql`create index recording_open on recording (gate_id) where state = 'open'`.execute(db);
  await sql`
    create table recording_block (
      recording_id uuid not null references recording (id),
      number bigint not null,
      "offset" bigint not null,
      length bigint not null constraint recording_block_length_range check (length between 1 and 2097152),
      hash bytea not null constraint recording_block_hash_size check (length(hash) = 32),
      events bigint not null,
      until_us bigint not null,
      witnessed boolean not null,
      reported_at timestamptz not null default now(),
      primary key (recording_id, number)
    )`.execute(db);
  await appendOnly(db, 'recording_block');
  // What is over stays as it was ended: a state never leads back.
  await sql`
    create function recording_over() returns trigger language plpgsql as $$
    begin
      raise exception 'recording % is over', old.id using errcode = 'integrity_constraint_violation';
    end $$`.execute(db);
  await sql`
    create trigger recording_over before update on recording
    for each row when (old.state <> 'open') execute function recording_over()`.execute(db);
  await sql`revoke delete, truncate on recording from sallyport_app`.execute(db);
}
