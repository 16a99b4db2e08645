/** Tables of the rotation room, as kysely sees them. Migrations: `db/migrations/070_rotation.ts`, `071_schedules.ts`, `073_event_sources.ts`. */
import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { AccountId, EventSourceId, Id, PolicyId, Sigkey } from '../../base/ids.ts';

export interface LedgerNodeTable {
  only: Generated<boolean>;
  /** As it stands in the facts: drawn, then `NAME`, then `NAME.2`… */
  id: Generated<string>;
  name: string | null;
  state: Generated<'single' | 'joining' | 'member' | 'asking' | 'healing' | 'set-back'>;
  card: Uint8Array | null;
  next_card: Uint8Array | null;
  invited_at: number | null;
  invites_until: number | null;
  asks_until: number | null;
  letter_at: Generated<number>;
}

export interface RandomizationTable {
  sigkey: Sigkey;
  account_id: AccountId;
  parent: Sigkey | null;
  node: string;
  created_at: Date;
  fact_hash: Uint8Array;
  /** When it came to be known here. It does not travel. */
  heard_at: Generated<Date>;
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
  /** When it came to be known here. It does not travel. */
  heard_at: Generated<Date>;
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
  result:
    | 'confirmed'
    | 'failed'
    | 'uncertain'
    | 'skipped'
    | 'skipped-active-session'
    | 'known-recorded'
    | 'verified'
    | 'resolved';
  class: string | null;
  sigkey: Sigkey | null;
  message: string;
}

export interface PasswordVerificationTable {
  id: GeneratedAlways<number>;
  svcid: string;
  accountname: string;
  accountguid: AccountId;
  type: 'P' | 'C' | 'U' | 'F';
  requestername: string;
  requesterguid: string;
  retcode: string;
  agentmessage: string;
  sigkey: Sigkey;
  verificationid: Id<'verification'>;
  actionreason: 'A' | 'F' | 'B' | 'M';
  at: Generated<Date>;
}

export interface ConflictTryTable {
  account_id: AccountId;
  digest: string;
  since: Date;
  tried_at: Date | null;
  count: Generated<number>;
  /** Written as JSON text. */
  verdict: ColumnType<unknown, string | null, string | null>;
  words: Generated<string>;
  alerted: Generated<boolean>;
}

export interface AccountSyncTable {
  account_id: AccountId;
  sigkey: Sigkey;
  state: 'in-sync' | 'out-of-sync' | 'unknown';
  class: string;
  words: string;
  checked_at: Date;
}

export interface RefusedLoginTable {
  id: GeneratedAlways<number>;
  account_id: AccountId;
  at: Date;
}

export interface ConflictDiscoveryTable {
  id: GeneratedAlways<number>;
  at: Date;
  accounts: number;
  found: number;
}

export interface RotationScheduleTable {
  name: string;
  every_days: number | null;
  cron: string | null;
  zone: string | null;
  /** Written as JSON text. */
  window: ColumnType<unknown, string | null, string | null>;
  jitter_minutes: number;
  retry_count: number;
  retry_minutes: number;
  alert_after_skips: number;
  /** Since when the occurrences are what they are. */
  times_since: Date;
  changed_at: Date;
}

export interface PolicyManagementTable {
  policy_id: PolicyId;
  schedule: string | null;
  /** Since when it is this schedule. */
  scheduled_since: Date;
  managing_node: string | null;
  local_fallback: boolean;
  automatic_resolution: boolean;
  rotate_on_checkout: 'never' | 'or-deny' | 'or-serve-current';
  changed_at: Date;
}

export interface RotationNoteTable {
  account_id: AccountId;
  what: 'skipped' | 'skips-alerted' | 'given-up-alerted';
  trigger: string;
  occurrence: Date;
  at: Date;
}

export interface RotationWishTable {
  id: GeneratedAlways<number>;
  account_id: AccountId;
  trigger: 'event' | 'bulk';
  reason: string;
  at: Date;
}

export interface EventSourceTable {
  id: EventSourceId;
  name: string;
  sealed: Uint8Array;
  reach: string[];
  made_by: string;
  made_at: Date;
  last_used_at: Date | null;
}

export interface EventTakenTable {
  source_id: EventSourceId;
  message: string;
  expires_at: Date;
}

export type RotationTables = {
  event_source: EventSourceTable;
  event_taken: EventTakenTable;
  rotation_wish: RotationWishTable;
  conflict_discovery: ConflictDiscoveryTable;
  password_verification: PasswordVerificationTable;
  conflict_try: ConflictTryTable;
  account_sync: AccountSyncTable;
  refused_login: RefusedLoginTable;
  ledger_node: LedgerNodeTable;
  randomization: RandomizationTable;
  outcome: OutcomeTable;
  resolution: ResolutionTable;
  ledger_place: LedgerPlaceTable;
  ledger_account: LedgerAccountTable;
  rotation_lease: RotationLeaseTable;
  rotation_evidence: RotationEvidenceTable;
  rotation_attempt: RotationAttemptTable;
  rotation_schedule: RotationScheduleTable;
  policy_management: PolicyManagementTable;
  rotation_note: RotationNoteTable;
};
