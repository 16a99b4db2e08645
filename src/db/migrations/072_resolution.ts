/**
 * Conflicts: what was tried about them and how that ended, what every action did to every single value (B-33), whether a
 * current value still opens its account, and the refused logins that our own checks have cost.
 */
import { type Kysely, sql } from 'kysely';
import { appendOnly } from '../append-only.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  // The columns are those of the field, by their names there.
  await sql`
    create table password_verification (
      id bigint generated always as identity primary key,
      svcid text not null,
      accountname text not null,
      accountguid uuid not null references account (id),
      type text not null constraint verification_type_known check (type in ('P', 'C', 'U', 'F')),
      requestername text not null,
      requesterguid text not null,
      retcode text not null,
      agentmessage text not null,
      sigkey uuid not null,
      verificationid uuid not null,
      actionreason text not null constraint verification_reason_known check (actionreason in ('A', 'F', 'B', 'M')),
      at timestamptz not null default clock_timestamp()
    )`.execute(db);
  await sql`create index password_verification_account on password_verification (accountguid, id)`.execute(db);
  await appendOnly(db, 'password_verification');

  // The last try for the facts whose digest it names; other facts begin anew.
  await sql`
    create table conflict_try (
      account_id uuid primary key references account (id),
      digest text not null,
      since timestamptz not null,
      tried_at timestamptz,
      count integer not null default 0,
      verdict jsonb,
      words text not null default '',
      alerted boolean not null default false
    )`.execute(db);

  await sql`
    create table account_sync (
      account_id uuid primary key references account (id),
      sigkey uuid not null,
      state text not null constraint account_sync_state_known check (state in ('in-sync', 'out-of-sync', 'unknown')),
      class text not null,
      words text not null,
      checked_at timestamptz not null
    )`.execute(db);

  await sql`
    create table refused_login (
      id bigint generated always as identity primary key,
      account_id uuid not null references account (id),
      at timestamptz not null
    )`.execute(db);
  await sql`create index refused_login_account on refused_login (account_id, at)`.execute(db);
  await appendOnly(db, 'refused_login');

  // When conflicts were last looked for over all accounts, and how many there were.
  await sql`
    create table conflict_discovery (
      id bigint generated always as identity primary key,
      at timestamptz not null,
      accounts integer not null,
      found integer not null
    )`.execute(db);
  await appendOnly(db, 'conflict_discovery');

  // Changes that were asked for and that nobody waits for: kept until a value that is younger is current.
  await sql`
    create table rotation_wish (
      id bigint generated always as identity primary key,
      account_id uuid not null references account (id),
      trigger text not null constraint rotation_wish_trigger_known check (trigger in ('event', 'bulk')),
      reason text not null,
      at timestamptz not null
    )`.execute(db);
  await sql`create index rotation_wish_account on rotation_wish (account_id, at)`.execute(db);
  await appendOnly(db, 'rotation_wish');

  await sql`alter table rotation_attempt drop constraint rotation_attempt_result_known`.execute(db);
  await sql`alter table rotation_attempt add constraint rotation_attempt_result_known check (result in
    ('confirmed', 'failed', 'uncertain', 'skipped', 'skipped-active-session', 'known-recorded', 'verified', 'resolved'))`.execute(
    db,
  );
}
