/** Tables of the rotation room, as kysely sees them. Migrations: `db/migrations/070_rotation.ts`. */
import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { AccountId, Id, Sigkey } from '../../base/ids.ts';

export interface LedgerNodeTable {
  only: Generated<boolean>;
  id: Generated<string>;
}

export interface RandomizationTable {
  sigkey: Sigkey;
  account_id: AccountId;
  parent: Sigkey | null;
  node: string;
  created_at: Date;
  fact_hash: Uint8Array;
}

export interface OutcomeTable {
  node: string;
  node_seq: GeneratedAlways<number>;
  sigkey: Sigkey;
  status: 'C' | 'U' | 'F';
  at: Date;
  retcode: string;
  message: string;
  fact_hash: Uint8Array;
}

export interface ResolutionTable {
  node: string;
  node_seq: GeneratedAlways<number>;
  account_id: AccountId;
  action: 'A' | 'F' | 'B' | 'M';
  /** Written as JSON text. */
  decision: ColumnType<unknown, string, never>;
  tested: ColumnType<unknown, string, never>;
  requester: string;
  at: Date;
  fact_hash: Uint8Array;
}

export interface LedgerPlaceTable {
  sigkey: Sigkey;
  account_id: AccountId;
  status: 'P' | 'C' | 'U' | 'F';
  place: 'history' | 'working' | 'working_history';
  is_current: boolean;
}

export interface LedgerAccountTable {
  account_id: AccountId;
  conflict: 'none' | 'incomplete' | 'tree' | 'tree+incomplete';
  busy: boolean;
}

export interface RotationLeaseTable {
  account_id: AccountId;
  token: number;
  holder: string;
  sigkey: Sigkey | null;
  expires_at: Date;
}

export interface RotationEvidenceTable {
  id: GeneratedAlways<number>;
  account_id: AccountId;
  sigkey: Sigkey | null;
  token: number;
  what: string;
  at: Generated<Date>;
}

export interface RotationAttemptTable {
  id: Id<'attempt'>;
  account_id: AccountId;
  trigger: string;
  actor: string;
  started_at: Date;
  ended_at: Date;
  result: 'confirmed' | 'failed' | 'uncertain' | 'skipped' | 'known-recorded' | 'verified';
  class: string | null;
  sigkey: Sigkey | null;
  message: string;
}

export type RotationTables = {
  ledger_node: LedgerNodeTable;
  randomization: RandomizationTable;
  outcome: OutcomeTable;
  resolution: ResolutionTable;
  ledger_place: LedgerPlaceTable;
  ledger_account: LedgerAccountTable;
  rotation_lease: RotationLeaseTable;
  rotation_evidence: RotationEvidenceTable;
  rotation_attempt: RotationAttemptTable;
};
