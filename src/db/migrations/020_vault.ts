/**
 * The vault: key ring, sealed keys, policies, accounts, credential versions, holds.
 * A credential version is never changed or deleted by the app; its data key stands in a table of its own, so that an
 * administrator's purge can destroy the key and leave the fact.
 */
import { type Kysely, sql } from 'kysely';
import { appendOnly } from '../append-only.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await keys(db);
  await policies(db);
  await accounts(db);
  await credentials(db);
  await holds(db);
}

async function keys(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table vault_root (
      "only" boolean primary key default true constraint vault_root_is_one check ("only"),
      root_check bytea not null constraint vault_root_check_size check (length(root_check) = 32),
      created_at timestamptz not null default now()
    )`.execute(db);
  await sql`
    create table vault_kek (
      version integer primary key constraint vault_kek_version_range check (version between 1 and 1000000),
      sealed bytea not null constraint vault_kek_size check (length(sealed) between 32 and 256),
      created_at timestamptz not null default now()
    )`.execute(db);
  await sql`
    create table vault_key (
      name text primary key constraint vault_key_name_shape check (name ~ '^[a-z0-9-]{1,64}$'),
      sealed bytea not null constraint vault_key_size check (length(sealed) between 64 and 16384),
      public_key bytea,
      created_at timestamptz not null default now()
    )`.execute(db);
  await sql`
    create table recording_key (
      recording_id uuid primary key,
      sealed bytea not null constraint recording_key_size check (length(sealed) between 64 and 1024),
      created_at timestamptz not null default now()
    )`.execute(db);
  for (const table of ['vault_root', 'vault_kek', 'vault_key', 'recording_key']) await appendOnly(db, table);
}

async function policies(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table policy (
      id uuid primary key,
      name text not null constraint policy_name_unique unique
        constraint policy_name_size check (length(name) between 1 and 64),
      template boolean not null default false,
      created_at timestamptz not null default now()
    )`.execute(db);
  await sql`
    create table policy_version (
      policy_id uuid not null references policy (id),
      version integer not null constraint policy_version_positive check (version > 0),
      description text not null,
      rules jsonb not null,
      created_at timestamptz not null default now(),
      primary key (policy_id, version)
    )`.execute(db);
  await appendOnly(db, 'policy_version');
  for (const [id, name, description, rules] of templates) {
    await sql`insert into policy (id, name, template) values (${id}, ${name}, true)`.execute(db);
    await sql`insert into policy_version (policy_id, version, description, rules)
      values (${id}, 1, ${description}, ${JSON.stringify({ ...usual, ...rules })}::jsonb)`.execute(db);
  }
  await sql`
    create function refuse_template_change() returns trigger language plpgsql as $$
    begin
      if tg_table_name = 'policy' then
        if old.template then raise exception 'a policy template is never changed' using errcode = 'insufficient_privilege'; end if;
        if tg_op = 'DELETE' then return old; end if;
        return new;
      end if;
      if new.version > 1 and exists (select 1 from policy where id = new.policy_id and template) then
        raise exception 'a policy template is never changed' using errcode = 'insufficient_privilege';
      end if;
      return new;
    end $$`.execute(db);
  await sql`create trigger policy_template before update or delete on policy
    for each row execute function refuse_template_change()`.execute(db);
  await sql`create trigger policy_template before insert on policy_version
    for each row execute function refuse_template_change()`.execute(db);
}

const usual = {
  specialCharacters: '!@#$%^&*()_+-=[]{}|;:,.<>?',
  noUsername: true,
  noDictionaryWords: true,
  noSequential: true,
  noRepeatedChars: 3,
  rotation: true,
};

const templates = [
  [
    '01937000-0000-7000-8000-000000000001',
    'Standard',
    'ordinary accounts',
    { length: { min: 14, max: 32 }, uppercase: 1, lowercase: 1, digits: 1, special: 1, history: 12, maxAgeDays: 90 },
  ],
  [
    '01937000-0000-7000-8000-000000000002',
    'High Security',
    'accounts that can change everything',
    { length: { min: 20, max: 64 }, uppercase: 2, lowercase: 2, digits: 2, special: 2, history: 24, maxAgeDays: 30 },
  ],
  [
    '01937000-0000-7000-8000-000000000003',
    'Network Device',
    'routers and switches, some of which take no special characters',
    {
      length: { min: 16, max: 32 },
      uppercase: 1,
      lowercase: 1,
      digits: 1,
      special: null,
      history: 12,
      maxAgeDays: 90,
    },
  ],
  [
    '01937000-0000-7000-8000-000000000004',
    'Service Account',
    'accounts that programs use',
    { length: { min: 24, max: 64 }, uppercase: 2, lowercase: 2, digits: 2, special: 2, history: 24, maxAgeDays: 365 },
  ],
] as const;

async function accounts(db: Kysely<unknown>): Promise<void> {
  // A removed account keeps its history for ever; when its target goes too, the name it had there stays.
  await sql`
    create table account (
      id uuid primary key,
      target_id uuid references target (id) on delete set null,
      target_name text not null,
      name text not null
        constraint account_name_shape check (length(name) between 1 and 256 and name !~ '[[:cntrl:]]'),
      kind text not null
        constraint account_kind_known check (kind in ('password', 'ssh-key', 'certificate', 'api-key')),
      connector text constraint account_connector_shape check (connector ~ '^[a-z0-9-]{1,64}$'),
      policy_id uuid not null references policy (id),
      admin_account_id uuid references account (id),
      rotate_after_session boolean not null default false,
      settings jsonb not null default '{}'
        constraint account_settings_object check (jsonb_typeof(settings) = 'object'),
      created_at timestamptz not null default now(),
      changed_at timestamptz not null default now(),
      removed_at timestamptz,
      constraint account_once_per_target unique (target_id, name),
      constraint account_in_use_has_target check (target_id is not null or removed_at is not null)
    )`.execute(db);
  await sql`create index account_policy on account (policy_id)`.execute(db);
  await sql`create index account_admin on account (admin_account_id)`.execute(db);
  await sql`revoke delete on account from sallyport_app`.execute(db);
}

async function credentials(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table credential_version (
      sigkey uuid primary key,
      account_id uuid not null references account (id),
      kind text not null,
      sealed bytea not null constraint credential_sealed_size check (length(sealed) between 30 and 262144),
      public_key bytea,
      history_mac bytea not null constraint credential_history_mac_size check (length(history_mac) = 32),
      created_at timestamptz not null default clock_timestamp(),
      constraint credential_of_account unique (sigkey, account_id)
    )`.execute(db);
  await sql`create index credential_version_account on credential_version (account_id, created_at desc, sigkey desc)`.execute(
    db,
  );
  await appendOnly(db, 'credential_version');
  await sql`
    create table credential_dek (
      sigkey uuid primary key references credential_version (sigkey),
      kek_version integer not null references vault_kek (version),
      wrapped bytea not null constraint credential_dek_size check (length(wrapped) = 61)
    )`.execute(db);
  // Only the owner, that is an administrator's purge, can destroy a data key and with it the value.
  await sql`revoke delete, update, truncate on credential_dek from sallyport_app`.execute(db);
  await sql`
    create table account_current (
      account_id uuid primary key references account (id),
      sigkey uuid,
      first_set_at timestamptz not null default clock_timestamp(),
      changed_at timestamptz not null default clock_timestamp(),
      constraint account_current_is_its_own foreign key (sigkey, account_id)
        references credential_version (sigkey, account_id)
    )`.execute(db);
  await sql`revoke delete, truncate on account_current from sallyport_app`.execute(db);
  await sql`
    create function keep_first_set() returns trigger language plpgsql as $$
    begin
      if new.first_set_at <> old.first_set_at or new.account_id <> old.account_id then
        raise exception 'the time of the first credential is set once' using errcode = 'insufficient_privilege';
      end if;
      return new;
    end $$`.execute(db);
  await sql`create trigger account_current_first_set before update on account_current
    for each row execute function keep_first_set()`.execute(db);
}

async function holds(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table hold (
      id uuid primary key,
      account_id uuid not null references account (id),
      kind text not null
        constraint hold_kind_known check (kind in ('session', 'checkout', 'rotation', 'verification')),
      subject text not null constraint hold_subject_size check (length(subject) between 1 and 256),
      gate_id text,
      created_at timestamptz not null default clock_timestamp(),
      released_at timestamptz
    )`.execute(db);
  await sql`create index hold_live on hold (account_id) where released_at is null`.execute(db);
  await sql`create index hold_account_released on hold (account_id, released_at)`.execute(db);
  await sql`revoke delete, truncate on hold from sallyport_app`.execute(db);
  await sql`
    create function announce_release() returns trigger language plpgsql as $$
    begin
      if old.released_at is not null then
        raise exception 'a released hold stays released' using errcode = 'insufficient_privilege';
      end if;
      if new.released_at is not null then
        perform pg_notify('hold_released', new.account_id::text);
      end if;
      return new;
    end $$`.execute(db);
  await sql`create trigger hold_released before update on hold
    for each row execute function announce_release()`.execute(db);
}
