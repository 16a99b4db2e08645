/** The audit trail and its signed heads. The hash is computed here and checked elsewhere: `src/audit/FORMAT.md`. */
import { type Kysely, sql } from 'kysely';
import { appendOnly } from '../append-only.ts';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`CREATE TABLE audit_event (
    seq bigint PRIMARY KEY CONSTRAINT seq_from_one CHECK (seq >= 1),
    at timestamptz(3) NOT NULL,
    type text NOT NULL,
    actor jsonb NOT NULL,
    about jsonb NOT NULL,
    details jsonb NOT NULL,
    previous bytea NOT NULL CONSTRAINT previous_is_sha256 CHECK (length(previous) = 32),
    hash bytea NOT NULL CONSTRAINT hash_is_sha256 CHECK (length(hash) = 32)
  )`.execute(db);
  await sql`CREATE INDEX audit_event_type ON audit_event (type, seq)`.execute(db);
  await sql`CREATE INDEX audit_event_at ON audit_event (at)`.execute(db);
  await sql`CREATE INDEX audit_event_about ON audit_event USING gin (about jsonb_path_ops)`.execute(db);
  await appendOnly(db, 'audit_event');

  await sql`CREATE TABLE audit_head (
    seq bigint NOT NULL,
    hash bytea NOT NULL CONSTRAINT hash_is_sha256 CHECK (length(hash) = 32),
    at timestamptz(3) NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (seq, at)
  )`.execute(db);
  await appendOnly(db, 'audit_head');

  // One round trip, so that the lock is held no longer than the commit takes. The lock comes before the row is read:
  // each statement of a function in a read committed transaction sees what was committed before it began.
  await sql`CREATE FUNCTION audit_append(content bytea, at timestamptz, type text, actor jsonb, about jsonb, details jsonb)
    RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE
      last record;
      number bigint;
    BEGIN
      PERFORM pg_advisory_xact_lock(hashtextextended('sallyport audit', 0));
      SELECT e.seq, e.hash INTO last FROM audit_event e ORDER BY e.seq DESC LIMIT 1;
      number := coalesce(last.seq, 0) + 1;
      last.hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
      INSERT INTO audit_event VALUES (number, at, type, actor, about, details, last.hash,
        sha256(convert_to('sallyport audit 1', 'UTF8') || '\\x00'::bytea || int8send(number) || last.hash || content));
      PERFORM pg_notify('audit', number::text);
      RETURN number;
    END $$`.execute(db);
}
