/**
 * When accounts are changed: named schedules, how each policy is managed, and what was said once of an occurrence (so
 * that a restart does not say it again). Policies themselves, with their rules, are the vault's.
 */
import { type Kysely, sql } from 'kysely';
import { appendOnly } from '../append-only.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table rotation_schedule (
      name text primary key constraint rotation_schedule_name_size check (length(name) between 1 and 255),
      every_days integer,
      cron text,
      zone text,
      "window" jsonb,
      jitter_minutes integer not null,
      retry_count integer not null,
      retry_minutes integer not null,
      alert_after_skips integer not null,
      times_since timestamptz not null,
      changed_at timestamptz not null,
      constraint rotation_schedule_one_rhythm check ((every_days is null) <> (cron is null)),
      constraint rotation_schedule_days check (every_days > 0),
      constraint rotation_schedule_zoned check (zone is not null or (cron is null and "window" is null))
    )`.execute(db);
  await sql`
    create table policy_management (
      policy_id uuid primary key references policy (id),
      schedule text references rotation_schedule (name),
      scheduled_since timestamptz not null,
      managing_node text,
      local_fallback boolean not null,
      automatic_resolution boolean not null,
      rotate_on_checkout text not null constraint policy_management_on_checkout_known
        check (rotate_on_checkout in ('never', 'or-deny', 'or-serve-current')),
      changed_at timestamptz not null
    )`.execute(db);
  await sql`
    create table rotation_note (
      account_id uuid not null references account (id),
      what text not null constraint rotation_note_known check (what in ('skipped', 'skips-alerted', 'given-up-alerted')),
      trigger text not null,
      occurrence timestamptz not null,
      at timestamptz not null,
      primary key (account_id, occurrence, what)
    )`.execute(db);
  await appendOnly(db, 'rotation_note');
}
