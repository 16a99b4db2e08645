/**
 * Who may log in: users with their passwords (hashes only), keys and second factors, the groups they are in, the roles
 * they have, and one-time enrolment codes (hashes only).
 */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table users (
      id uuid primary key,
      name text not null constraint users_name_unique unique
        constraint users_name_canonical check (name = lower(name) and length(name) between 1 and 255),
      display_name text not null default '',
      disabled boolean not null default false,
      expires_at timestamptz,
      sources text[] not null default '{}',
      must_change boolean not null default false,
      password_hash text
        constraint users_password_is_argon2id check (password_hash is null or password_hash like '$argon2id$v=19$%'),
      password_changed_at timestamptz,
      failures integer not null default 0 constraint users_failures_positive check (failures >= 0),
      locked_until timestamptz,
      created_at timestamptz not null default now(),
      changed_at timestamptz not null default now()
    )`.execute(db);
  await sql`
    create table user_role (
      user_id uuid not null references users (id) on delete cascade,
      role text not null constraint user_role_known
        check (role in ('administrator', 'password-administrator', 'password-auditor', 'password-user')),
      primary key (user_id, role)
    )`.execute(db);
  await sql`
    create table user_group (
      id uuid primary key,
      name text not null constraint user_group_name_unique unique
        constraint user_group_name_canonical check (name = lower(name) and length(name) between 1 and 64),
      description text not null default ''
    )`.execute(db);
  await sql`
    create table user_group_member (
      group_id uuid not null references user_group (id) on delete cascade,
      user_id uuid not null references users (id) on delete cascade,
      primary key (group_id, user_id)
    )`.execute(db);
  await sql`create index user_group_member_user on user_group_member (user_id)`.execute(db);
  await sql`
    create table user_key (
      id uuid primary key,
      user_id uuid not null references users (id) on delete cascade,
      type text not null,
      blob bytea not null constraint user_key_size check (length(blob) between 16 and 16384),
      fingerprint text not null,
      comment text not null default '',
      expires_at timestamptz,
      added_at timestamptz not null default now(),
      constraint user_key_once unique (user_id, blob)
    )`.execute(db);
  await sql`
    create table user_totp (
      user_id uuid primary key references users (id) on delete cascade,
      sealed bytea not null,
      last_step bigint not null default 0,
      confirmed_at timestamptz,
      created_at timestamptz not null default now()
    )`.execute(db);
  await sql`
    create table user_enrolment (
      id uuid primary key,
      code_hash bytea not null constraint user_enrolment_code_unique unique,
      user_id uuid references users (id) on delete cascade,
      created_at timestamptz not null default now(),
      expires_at timestamptz not null,
      used_at timestamptz
    )`.execute(db);
}
