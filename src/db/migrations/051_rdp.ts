/**
 * What RDP needs: the conditions of a grant, connection tokens (hashes only, the NT hash sealed), which session a token
 * opened, and the certificates of the gate's own authority. Their keys stand sealed in `vault_key`.
 */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table access_grant add column rdp jsonb not null default '{}'
    constraint access_grant_rdp_object check (jsonb_typeof(rdp) = 'object')`.execute(db);
  await sql`update access_grant set subprotocols = array_replace(subprotocols, 'desktop', 'rdp')`.execute(db);
  // As a function, because each word is looked at by itself.
  await sql`
    create function subprotocols_known(words text[]) returns boolean immutable language sql as $$
      select not exists (
        select 1 from unnest(words) as word where word is null or word !~ ('^(shell|exec|sftp|scp-up|scp-down|rdp'
          || '|clipboard-up|clipboard-down|clipboard-files-up|clipboard-files-down|drives|drives-read|printers|ports'
          || '|smartcards|usb|audio-out|audio-in|camera|display-control|dynamic:[A-Za-z0-9_.:-]{1,128}'
          || '|static:[A-Za-z0-9_]{1,7})$'))
    $$`.execute(db);
  await sql`alter table access_grant add constraint access_grant_subprotocols_known
    check (subprotocols_known(subprotocols))`.execute(db);
  await sql`
    create table connection_token (
      id uuid primary key,
      user_id uuid not null references users (id) on delete cascade,
      target_id uuid not null references target (id) on delete cascade,
      account_id uuid not null references account (id) on delete cascade,
      service_id uuid not null references service (id) on delete cascade,
      lookup bytea not null constraint connection_token_lookup_unique unique
        constraint connection_token_lookup_is_sha256 check (length(lookup) = 32),
      nt_hash bytea not null,
      source text,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      consumed_at timestamptz,
      consumed_from text,
      constraint connection_token_life check
        (expires_at > created_at and expires_at <= created_at + interval '60 minutes'),
      constraint connection_token_consumed_from_somewhere check ((consumed_at is null) = (consumed_from is null))
    )`.execute(db);
  await sql`create index connection_token_of_user on connection_token (user_id, created_at)`.execute(db);
  await sql`alter table session add column connection_token_id uuid
    references connection_token (id) on delete set null`.execute(db);
  await sql`create index session_of_token on session (connection_token_id)
    where connection_token_id is not null`.execute(db);
  await sql`
    create table gate_certificate (
      name text primary key constraint gate_certificate_known check (name in ('authority', 'rdp', 'rdp-file')),
      certificate bytea not null constraint gate_certificate_size check (length(certificate) between 64 and 16384),
      made_at timestamptz not null
    )`.execute(db);
}
