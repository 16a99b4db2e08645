/** Tables of the vault room, as kysely sees them. Migrations: `db/migrations/020_vault.ts`. */
import type { ColumnType, Generated } from 'kysely';
import type { AccountId, GateId, HoldId, PolicyId, RecordingId, Sigkey, TargetId } from '../../base/ids.ts';

export interface VaultRootTable {
  only: Generated<boolean>;
  root_check: Uint8Array;
  created_at: Generated<Date>;
}

export interface VaultKekTable {
  version: number;
  sealed: Uint8Array;
  created_at: Generated<Date>;
  node: Generated<string>;
}

export interface VaultKeyTable {
  name: string;
  sealed: Uint8Array;
  public_key: Uint8Array | null;
  created_at: Generated<Date>;
}

export interface GateCertificateTable {
  name: 'authority' | 'rdp' | 'rdp-file';
  /** DER. */
  certificate: Uint8Array;
  made_at: Date;
}

export interface RecordingKeyTable {
  recording_id: RecordingId;
  sealed: Uint8Array;
  created_at: Generated<Date>;
}

export interface PolicyTable {
  id: PolicyId;
  name: string;
  template: Generated<boolean>;
  created_at: Generated<Date>;
}

export interface PolicyVersionTable {
  policy_id: PolicyId;
  version: number;
  description: string;
  /** Written as JSON text. */
  rules: ColumnType<unknown, string, never>;
  created_at: Generated<Date>;
}

export interface AccountTable {
  id: AccountId;
  target_id: TargetId | null;
  target_name: string;
  name: string;
  kind: 'password' | 'ssh-key' | 'certificate' | 'api-key';
  connector: string | null;
  policy_id: PolicyId;
  admin_account_id: AccountId | null;
  via_account_id: AccountId | null;
  reconcile_account_id: AccountId | null;
  auto_reconcile: Generated<boolean>;
  rotate_after_session: Generated<boolean>;
  /** Written as JSON text. */
  settings: ColumnType<Record<string, unknown>, string, string>;
  created_at: Generated<Date>;
  changed_at: Generated<Date>;
  removed_at: Date | null;
}

export interface CredentialVersionTable {
  sigkey: Sigkey;
  account_id: AccountId;
  kind: 'password' | 'ssh-key' | 'certificate' | 'api-key';
  sealed: Uint8Array;
  public_key: Uint8Array | null;
  history_mac: Uint8Array;
  created_at: Generated<Date>;
  node: Generated<string>;
}

export interface CredentialDekTable {
  sigkey: Sigkey;
  kek_version: number;
  wrapped: Uint8Array;
  node: Generated<string>;
}

export interface AccountCurrentTable {
  account_id: AccountId;
  sigkey: Sigkey | null;
  first_set_at: Generated<Date>;
  changed_at: Generated<Date>;
}

export interface HoldTable {
  id: HoldId;
  account_id: AccountId;
  kind: 'session' | 'checkout' | 'rotation' | 'verification';
  subject: string;
  gate_id: GateId | null;
  created_at: Generated<Date>;
  released_at: Date | null;
}

export type VaultTables = {
  vault_root: VaultRootTable;
  vault_kek: VaultKekTable;
  vault_key: VaultKeyTable;
  gate_certificate: GateCertificateTable;
  recording_key: RecordingKeyTable;
  policy: PolicyTable;
  policy_version: PolicyVersionTable;
  account: AccountTable;
  credential_version: CredentialVersionTable;
  credential_dek: CredentialDekTable;
  account_current: AccountCurrentTable;
  hold: HoldTable;
};
