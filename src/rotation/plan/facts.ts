/**
 * The three kinds of fact in the ledger. Facts are only ever added; what an account's credential *is* follows from all of
 * them by `fold` (fold.ts). Times are milliseconds since 1970, UTC, and never decide anything that `seq` can decide:
 * clocks of two nodes differ. Pure.
 */
import type { AccountId, Sigkey } from '../../base/ids.ts';

/** Confirmed, uncertain, failed; pending is the absence of an outcome. */
export type OutcomeStatus = 'C' | 'U' | 'F';
export type Status = OutcomeStatus | 'P';

/** One value was generated (or entered) for an account, and stored, before anything was asked of the target. */
export interface RandomizationFact {
  readonly sigkey: Sigkey;
  readonly account: AccountId;
  /** What this node believed to be current when it drew the value; null for the first. */
  readonly parent: Sigkey | null;
  readonly node: string;
  readonly createdAt: number;
}

/** What became of it. The last of the site that drew the value counts (`site.ts`); another can only say that it is uncertain. */
export interface OutcomeFact {
  readonly sigkey: Sigkey;
  readonly node: string;
  /** Rises per node. */
  readonly seq: number;
  readonly status: OutcomeStatus;
  readonly at: number;
}

/** Why somebody decided: automatic verification, forced randomization, blanking, by hand. */
export type ResolutionAction = 'A' | 'F' | 'B' | 'M';

/**
 * A decision over an account in conflict. `root` decides everything it had `seen`; what it had not seen stays undecided
 * and is a conflict again. `confirm` and `reject` decide one uncertain value. Which of several decisions holds is said by
 * `over` alone, never by a clock; `decideRoot` and `decideValue` (resolve.ts) fill it in.
 */
export type Decision =
  | {
      readonly kind: 'root';
      /** The new current value; null blanks the account. */
      readonly root: Sigkey | null;
      readonly seen: readonly Sigkey[];
      /** Those of `seen` that their own node had not confirmed. If it turns out that it did, nobody weighed that: a conflict again. */
      readonly unproven?: readonly Sigkey[];
      /** The decisions, by node and number, that this one replaces. One that is not in here stands beside it. */
      readonly over?: readonly string[];
    }
  | { readonly kind: 'confirm'; readonly sigkey: Sigkey; readonly over?: readonly string[] }
  | { readonly kind: 'reject'; readonly sigkey: Sigkey; readonly over?: readonly string[] };

export interface ResolutionFact {
  readonly account: AccountId;
  readonly node: string;
  readonly seq: number;
  readonly action: ResolutionAction;
  readonly decision: Decision;
  readonly at: number;
}

/** Everything that is known of one account. The order within the lists does not matter; duplicates do no harm. */
export interface Facts {
  readonly randomizations: readonly RandomizationFact[];
  readonly outcomes: readonly OutcomeFact[];
  readonly resolutions: readonly ResolutionFact[];
}
