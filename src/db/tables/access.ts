/** Tables of the access room, as kysely sees them. Migrations: `db/migrations/050_access.ts`, `051_rdp.ts`, `052_session_terms.ts`. */
import type { ColumnType, Generated } from 'kysely';
import type { AccountId, GrantId, GroupId, Id, RecordingId, SessionId, TargetId, UserId } from '../../base/ids.ts';

export interface AccessGrantTable {
  id: GrantId;
  name: string;
  description: Generated<string>;
  group_id: GroupId;
  subprotocols: string[];
  /** A list of time frames; written as JSON text. */
  frames: ColumnType<unknown, string, string>;
  /** Conditions of a desktop; written as JSON text. */
  rdp: ColumnType<Record<string, unknown>, string | undefined, string>;
  valid_from: Date | null;
  expires_at: Date | null;
  overtimable: Generated<boolean>;
  record_content: Generated<boolean>;
  disabled: Generated<boolean>;
  created_at: Generated<Date>;
  changed_at: Generated<Date>;
}

export interface AccessGrantAccountTable {
  grant_id: GrantId;
  account_id: AccountId;
}

export interface AccessGrantTargetTable {
  grant_id: GrantId;
  target_id: TargetId;
}

export interface AccessGrantTargetGroupTable {
  grant_id: GrantId;
  group_id: Id<'target-group'>;
}

export interface SessionTransitionTable {
  from_state: string;
  to_state: string;
}

export interface SessionTable {
  id: SessionId;
  authorization_id: Id<'authorization'>;
  user_id: UserId | null;
  user_name: string;
  account_id: AccountId | null;
  account_name: string;
  target_id: TargetId | null;
  target_name: string;
  service_id: Id<'service'> | null;
  protocol: string;
  subprotocols: string[];
  record_content: boolean;
  gate_id: string;
  peer_address: string;
  prior_state: Generated<'opening' | 'live' | 'ended'>;
  state: Generated<'opening' | 'live' | 'ended'>;
  opened_at: Date;
  live_at: Date | null;
  ended_at: Date | null;
  outcome: string | null;
  detail: string | null;
  recording_id: RecordingId | null;
  until: Date | null;
  kill_reason: string | null;
  connection_token_id: Id<'connection-token'> | null;
  /** The terms of a desktop; written as JSON text. */
  rdp: ColumnType<Record<string, unknown> | null, string | null | undefined, string | null>;
}

export type AccessTables = {
  access_grant: AccessGrantTable;
  access_grant_account: AccessGrantAccountTable;
  access_grant_target: AccessGrantTargetTable;
  access_grant_target_group: AccessGrantTargetGroupTable;
  session_transition: SessionTransitionTable;
  session: SessionTable;
};
