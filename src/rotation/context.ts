/** What every function of this room needs from the process it runs in. */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Db } from '../db/db.ts';
import type { Vault } from '../vault/vault.ts';
import type { RunConnector } from './connectors/run.ts';

/** Times in milliseconds unless named otherwise. `connectorMs` < `leaseMs`. */
export interface Timing {
  /** A connector process is killed after this. */
  readonly connectorMs: number;
  /** A lease lasts so long after its last heartbeat; only then is a value that was left pending looked into. */
  readonly leaseMs: number;
  /** Seconds after which the target itself ends a change (`timeout -k 1`). */
  readonly targetSeconds: number;
  /** Besides notifications, everything is looked at again so often. */
  readonly pollMs: number;
}

export const usualTiming: Timing = { connectorMs: 60_000, leaseMs: 120_000, targetSeconds: 20, pollMs: 5_000 };

export interface Context {
  readonly db: Db;
  readonly vault: Vault;
  readonly log: Log;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly run: RunConnector;
  /** This installation in the facts. */
  readonly node: string;
  /** This process in leases, for people. */
  readonly holder: string;
}
