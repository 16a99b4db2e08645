/** Tables of the identity room, as kysely sees them. Migrations: `db/migrations/030_identity.ts`, `051_rdp.ts`. */
import type { ColumnType, Generated } from 'kysely';
import type { AccountId, GroupId, Id, TargetId, UserId } from '../../base/ids.ts';

export interface UsersTable {
  id: UserId;
  /** Canonical lower case. */
  name: string;
  display_name: Generated<string>;
  disabled: Generated<boolean>;
  expires_at: Date | null;
  /** CIDR blocks or single addresses; empty means anywhere. */
  sources: Generated<string[]>;
  must_change: Generated<boolean>;
  /** PHC string, or null: no password. */
  password_hash: string | null;
  password_changed_at: Date | null;
  failures: Generated<number>;
  locked_until: Date | null;
  created_at: Generated<Date>;
  changed_at: Generated<Date>;
}

export interface UserRoleTable {
  user_id: UserId;
  role: 'administrator' | 'password-administrator' | 'password-auditor' | 'password-user';
}

export interface UserGroupTable {
  id: GroupId;
  name: string;
  description: Generated<string>;
}

export interface UserGroupMemberTable {
  group_id: GroupId;
  user_id: UserId;
}

export interface UserKeyTable {
  id: Id<'user-key'>;
  user_id: UserId;
  type: string;
  blob: Uint8Array;
  fingerprint: string;
  comment: Generated<string>;
  expires_at: Date | null;
  added_at: Generated<Date>;
}

export interface UserTotpTable {
  user_id: UserId;
  sealed: Uint8Array;
  /** Number of the last 30-second step whose code was taken. */
  last_step: ColumnType<number | string | bigint, number | undefined, number>;
  confirmed_at: Date | null;
  created_at: Generated<Date>;
}

export interface UserEnrolmentTable {
  id: Id<'enrolment'>;
  code_hash: Uint8Array;
  /** Null: the code makes the first administrator. */
  user_id: UserId | null;
  created_at: Generated<Date>;
  expires_at: Date;
  used_at: Date | null;
}

export interface ConnectionTokenTable {
  id: Id<'connection-token'>;
  user_id: UserId;
  target_id: TargetId;
  account_id: AccountId;
  service_id: Id<'service'>;
  /** SHA-256 of the token's letters. */
  lookup: Uint8Array;
  /** Sealed. */
  nt_hash: Uint8Array;
  /** The only address that it may be used from; null: any. */
  source: string | null;
  created_at: Date;
  expires_at: Date;
  consumed_at: Date | null;
  consumed_from: string | null;
}

export type IdentityTables = {
  users: UsersTable;
  user_role: UserRoleTable;
  user_group: UserGroupTable;
  user_group_member: UserGroupMemberTable;
  user_key: UserKeyTable;
  user_totp: UserTotpTable;
  user_enrolment: UserEnrolmentTable;
  connection_token: ConnectionTokenTable;
};
