/** Every table of the application, by room. A room reads and writes its own tables; foreign keys may cross. */
import type { AccessTables } from './tables/access.ts';
import type { AuditTables } from './tables/audit.ts';
import type { EstateTables } from './tables/estate.ts';
import type { IdentityTables } from './tables/identity.ts';
import type { NodeTables } from './tables/nodes.ts';
import type { RecordingTables } from './tables/recording.ts';
import type { RotationTables } from './tables/rotation.ts';
import type { VaultTables } from './tables/vault.ts';

export type Tables = AuditTables &
  EstateTables &
  VaultTables &
  IdentityTables &
  AccessTables &
  RecordingTables &
  RotationTables &
  NodeTables;
