/** Tables of the audit room, as kysely sees them. Migrations: `db/migrations/010_audit_trail.ts`. */
import type { ColumnType, JSONColumnType } from 'kysely';

type Kept<T> = ColumnType<T, T, never>;

export interface AuditEventTable {
  /** 1, 2, 3… without a gap. */
  seq: Kept<number>;
  at: Kept<Date>;
  type: Kept<string>;
  actor: JSONColumnType<object, string, never>;
  about: JSONColumnType<Record<string, string>, string, never>;
  details: JSONColumnType<object, string, never>;
  /** Hash of the row before; 32 zero bytes for the first. */
  previous: Kept<Buffer>;
  hash: Kept<Buffer>;
}

export interface AuditHeadTable {
  seq: Kept<number>;
  hash: Kept<Buffer>;
  at: Kept<Date>;
  signature: Kept<Buffer>;
}

export interface AuditTables {
  audit_event: AuditEventTable;
  audit_head: AuditHeadTable;
}
