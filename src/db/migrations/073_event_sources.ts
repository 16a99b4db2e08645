/**
 * Who may ask for changes of credentials by a signed event, and which of its messages were taken. A message's number is
 * used once for each source: of two processes that get the same message, the one whose insert comes first takes it.
 */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table event_source (
      id uuid primary key,
      name text not null unique
        constraint event_source_name_shape check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
      -- What messages are signed with; opens for this row only.
      sealed bytea not null,
      reach text[] not null constraint event_source_reach_size check (cardinality(reach) between 1 and 100),
      made_by text not null,
      made_at timestamptz not null,
      last_used_at timestamptz
    )`.execute(db);
  // Kept until no clock that runs a little wrong can take the message for a new one.
  await sql`
    create table event_taken (
      source_id uuid not null references event_source (id) on delete cascade,
      message text not null constraint event_taken_message_size check (length(message) between 1 and 128),
      expires_at timestamptz not null,
      primary key (source_id, message)
    )`.execute(db);
  await sql`create index event_taken_expiry on event_taken (expires_at)`.execute(db);
}
