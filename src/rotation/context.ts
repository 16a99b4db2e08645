/** What every function of this room needs from the process it runs in. */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Db } from '../db/db.ts';
import type { Vault } from '../vault/vault.ts';
import type { RunConnector } from './connectors/run.ts';
import type { Peers } from './peers.ts';
import type { At } from './points.ts';

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

/**
 * The times that belong together, from how many seconds a connector gets: the target ends a change after a third of that,
 * so that it is over long before the lease, twice that, runs out.
 */
export function timingFor(connectorSeconds: number): Timing {
  const connectorMs = connectorSeconds * 1000;
  return { connectorMs, leaseMs: 2 * connectorMs, targetSeconds: Math.floor(connectorSeconds / 3), pollMs: 5_000 };
}

export const usualTiming: Timing = timingFor(60);

/** What an operator may set for the whole installation. */
export interface Rules {
  /** Conflicts are resolved by logins without being asked (B-26). */
  readonly automaticResolution: boolean;
  /** Accounts in one batch of automatic resolution. */
  readonly batchLimit: number;
  /** Changes at a time: on one target, and in all. */
  readonly perTarget: number;
  readonly overall: number;
  /** A current value is tried at its target so often, in milliseconds; 0 never. */
  readonly heartbeatMs: number;
  /** When all accounts are looked at for conflicts: a cron expression on the wall clock of a zone; null never. */
  readonly discovery: { readonly cron: string; readonly zone: string } | null;
}

export const usualRules: Rules = {
  automaticResolution: true,
  batchLimit: 50,
  perTarget: 2,
  overall: 8,
  heartbeatMs: 24 * 3_600_000,
  discovery: null,
};

export interface Context {
  readonly db: Db;
  readonly vault: Vault;
  readonly log: Log;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly rules: Rules;
  readonly run: RunConnector;
  /** The folder of the operator's own programs, for the connector `script`. */
  readonly plugins: string | undefined;
  readonly peers: Peers;
  readonly at: At;
  /** This installation in the facts. */
  readonly node: string;
  /** This process in leases, for people. */
  readonly holder: string;
}
