/** Where a session runs: what the gate around it lends to the story. */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Keeper } from '../link/link.ts';
import type { Signer } from '../protocol/ssh/types.ts';

/** A session that runs here, as the gate's register has it: for kills, and for a keeper that comes back. */
export interface RunningSession {
  readonly session: string;
  /** Blocks of its recording that are on disk. */
  blocks(): number;
  /** Ends it, with the reason that its user is shown. */
  end(reason: Error): void;
}

export interface Place {
  readonly keeper: Keeper;
  /** The folder in which recordings in the making lie. */
  readonly spool: string;
  /** The gate's own host keys; the keeper signs with them. */
  readonly hostKeys: readonly Signer[];
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds that a session goes on without an answering keeper. */
  readonly comebackMs: number;
  register(running: RunningSession): Disposable;
}

/** Who is at the other end of an accepted connection. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}
