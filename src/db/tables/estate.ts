/** Tables of the estate room, as kysely sees them. Migrations: `db/migrations/015_estate.ts`. */
import type { ColumnType, Generated } from 'kysely';
import type { Id, TargetId } from '../../base/ids.ts';

export interface TargetTable {
  id: TargetId;
  name: string;
  platform: 'linux' | 'unix' | 'windows' | 'network' | 'database' | 'other';
  address: string;
  description: string;
  disabled: Generated<boolean>;
  created_at: Generated<Date>;
  changed_at: Generated<Date>;
}

export interface ServiceTable {
  id: Id<'service'>;
  target_id: TargetId;
  name: string;
  protocol: 'ssh' | 'rdp' | 'telnet' | 'postgres' | 'mysql' | 'ldap' | 'ldaps';
  port: number;
  host_key_policy: Generated<'strict' | 'first-use'>;
  /** Written as JSON text. */
  settings: ColumnType<Record<string, unknown>, string, string>;
}

export interface HostKeyTable {
  id: Id<'host-key'>;
  service_id: Id<'service'>;
  type: string;
  blob: Uint8Array;
  fingerprint: string;
  state: 'seen' | 'trusted' | 'removed';
  seen_at: Generated<Date>;
  trusted_by: string | null;
  trusted_at: Date | null;
}

export interface TargetGroupTable {
  id: Id<'target-group'>;
  name: string;
  description: Generated<string>;
}

export interface TargetGroupMemberTable {
  group_id: Id<'target-group'>;
  target_id: TargetId;
}

export type EstateTables = {
  target: TargetTable;
  service: ServiceTable;
  host_key: HostKeyTable;
  target_group: TargetGroupTable;
  target_group_member: TargetGroupMemberTable;
};
