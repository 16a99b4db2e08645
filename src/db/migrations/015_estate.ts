/**
 * What there is: targets, their services, the groups that targets are in, and the host keys of services.
 * A host key is never deleted: `removed` keeps the memory that this key was once refused.
 */
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table target (
      id uuid primary key,
      name text not null constraint target_name_unique unique
        constraint target_name_shape check (name ~ '^[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?$'),
      platform text not null
        constraint target_platform_known check (platform in ('linux', 'unix', 'windows', 'network', 'database', 'other')),
      address text not null constraint target_address_size check (length(address) between 1 and 255),
      description text not null default '',
      disabled boolean not null default false,
      created_at timestamptz not null default now(),
      changed_at timestamptz not null default now()
    )`.execute(db);
  await sql`
    create table service (
      id uuid primary key,
      target_id uuid not null references target (id) on delete cascade,
      name text not null constraint service_name_shape check (name ~ '^[a-z0-9][a-z0-9-]{0,31}$'),
      protocol text not null constraint service_protocol_known check (protocol in ('ssh', 'rdp')),
      port integer not null constraint service_port_range check (port between 1 and 65535),
      host_key_policy text not null default 'strict'
        constraint service_host_key_policy_known check (host_key_policy in ('strict', 'first-use')),
      settings jsonb not null default '{}',
      constraint service_name_once_per_target unique (target_id, name),
      constraint service_port_once_per_target unique (target_id, port)
    )`.execute(db);
  await sql`
    create table host_key (
      id uuid primary key,
      service_id uuid not null references service (id) on delete cascade,
      type text not null,
      blob bytea not null constraint host_key_size check (length(blob) between 16 and 16384),
      fingerprint text not null,
      state text not null constraint host_key_state_known check (state in ('seen', 'trusted', 'removed')),
      seen_at timestamptz not null default now(),
      trusted_by text,
      trusted_at timestamptz,
      constraint host_key_once_per_service unique (service_id, blob),
      constraint host_key_trust_has_author
        check (state <> 'trusted' or (trusted_by is not null and trusted_at is not null))
    )`.execute(db);
  await sql`
    create table target_group (
      id uuid primary key,
      name text not null constraint target_group_name_unique unique
        constraint target_group_name_shape check (name ~ '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$'),
      description text not null default ''
    )`.execute(db);
  await sql`
    create table target_group_member (
      group_id uuid not null references target_group (id) on delete cascade,
      target_id uuid not null references target (id) on delete cascade,
      primary key (group_id, target_id)
    )`.execute(db);
  await sql`create index target_group_member_target on target_group_member (target_id)`.execute(db);
}
