/** What the keeper was composed of, as far as its answers need it. Each answer takes the few that it uses. */
import type { Actor } from '../audit/audit.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Db } from '../db/db.ts';
import type { Membership, Rotation } from '../rotation/rotation.ts';
import type { SealSigner, Vault } from '../vault/vault.ts';
import type { Gates } from './gates.ts';

export interface Rooms {
  readonly db: Db;
  /** For listening. */
  readonly url: string;
  readonly vault: Vault;
  readonly rotation: Rotation;
  readonly membership: Membership;
  readonly gates: Gates;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  readonly startedAt: Date;
  /** Signs the audit trail's heads. */
  readonly auditSigner: SealSigner;
  /** Signs sealed recordings. */
  readonly recordingSigner: SealSigner;
  readonly anchorFile: string;
  readonly spool: string;
  readonly recordings: string;
}

/** Whoever may open the keeper's socket: the user who started Sallyport, and root. */
export const operator: Actor = { kind: 'operator', name: 'local' };
