/**
 * What is to be done about a conflict, and what the answers of a target decide. INVARIANT: a value becomes current by
 * itself only if it is the only one of all candidates that the target accepts and every other one was refused; two that
 * work are as good as none, and one that could not be asked leaves everything as it is. Nothing is decided while a
 * change may still land, or while another node may know more. Pure.
 */
import type { Sigkey } from '../../base/ids.ts';
import type { Decision, Facts } from './facts.ts';
import { type Fold, fold as foldFacts } from './fold.ts';
import { nameOf, rootsOf, standing, wordsOf } from './standing.ts';
import type { Verification } from './verdict.ts';

/** Why a person must decide. */
export type ManualReason =
  /** Automatic resolution is switched off for the policy. */
  | 'switched-off'
  /** Other accounts are changed by this one's rights: trying its values could break them (B-24). */
  | 'target-administrator'
  /** The target refuses every value that is known. */
  | 'none-accepted'
  /** The target accepts several: within a grace period, or because a value was entered twice. */
  | 'several-accepted'
  /** Another node could not be heard in time. */
  | 'nodes-inconsistent'
  /** The target could not be asked, many times. It is asked again all the same. */
  | 'target-silent'
  /** No connector of this account can try a value. */
  | 'no-connector';

export type ResolutionStep =
  | { readonly kind: 'settled' }
  | {
      readonly kind: 'wait';
      readonly until: number;
      readonly because: 'pending' | 'landing' | 'nodes' | 'retry' | 'budget' | 'not-managing';
    }
  /**
   * Try these, newest first: the newest is the likeliest, and refused logins are dear. `refused`: candidates that an
   * earlier try for the same facts has ruled out.
   */
  | { readonly kind: 'verify'; readonly candidates: readonly Sigkey[]; readonly refused: readonly Sigkey[] }
  | { readonly kind: 'manual'; readonly because: ManualReason };

export interface ConflictQuestion {
  readonly facts: Facts;
  readonly fold: Fold;
  /** Global and policy's switch together. */
  readonly automatic: boolean;
  readonly targetAdministrator: boolean;
  /** Whether this node resolves for the account's policy. */
  readonly managing: boolean;
  /** Whether everything that other nodes had said by now is here. `late`: they were waited for long enough. */
  readonly nodes: 'here' | 'waiting' | 'late';
  /** Until then a change that was cut off may still land on the target; it was fenced, or its own time is over. */
  readonly quietUntil: number;
  /** The last try for exactly these facts, if there was one. `count`: how many found the target silent. */
  readonly lastTry: { readonly at: number; readonly verdict: Verdict; readonly count: number } | null;
  readonly now: number;
}

/** A target that was silent is asked again after this, in milliseconds; after so many tries a person is told. */
export const retryMs = 30_000;
export const silentTries = 10;
const longestMs = 3_600_000;

/** How long after so many silent tries the next one is: from then on, twice as long each time, an hour at most. */
export function silentWaitMs(count: number): number {
  return Math.min(longestMs, retryMs * 2 ** Math.min(20, Math.max(0, count - silentTries)));
}

/** Refused logins count so long on most targets, and in our own budget. */
export const budgetMs = 30 * 60_000;

/** What to do now. A question whose facts have changed since the last try starts anew (`lastTry` is null then). */
export function resolutionStep(question: ConflictQuestion): ResolutionStep {
  const { fold, lastTry, now } = question;
  if (fold.conflict === 'none') return { kind: 'settled' };
  if (!question.managing) return { kind: 'wait', until: Number.POSITIVE_INFINITY, because: 'not-managing' };
  if (!question.automatic) return { kind: 'manual', because: 'switched-off' };
  if (question.targetAdministrator) return { kind: 'manual', because: 'target-administrator' };
  if (question.nodes === 'late') return { kind: 'manual', because: 'nodes-inconsistent' };
  if (fold.busy) return { kind: 'wait', until: now, because: 'pending' };
  if (question.nodes === 'waiting' || fold.missing.length > 0) return { kind: 'wait', until: now, because: 'nodes' };
  if (question.quietUntil > now) return { kind: 'wait', until: question.quietUntil, because: 'landing' };
  if (lastTry !== null) {
    const { verdict, at, count } = lastTry;
    // What the target said holds for these facts; what lay with us (a switch, a node) was looked at above, as it is now.
    if (verdict.kind === 'manual' && (verdict.because === 'none-accepted' || verdict.because === 'several-accepted'))
      return verdict;
    if (verdict.kind === 'again' && verdict.because === 'budget') {
      if (at + budgetMs > now) return { kind: 'wait', until: at + budgetMs, because: 'budget' };
    } else if (verdict.kind === 'again') {
      const until = at + silentWaitMs(count);
      // Between two tries that are far apart a person may decide.
      if (until > now && count >= silentTries) return { kind: 'manual', because: 'target-silent' };
      if (until > now) return { kind: 'wait', until, because: 'retry' };
    }
  }
  const before = lastTry?.verdict.kind === 'again' ? lastTry.verdict.rejected : [];
  const refused = fold.candidates.filter((sigkey) => before.includes(sigkey));
  const candidates = fold.candidates.filter((sigkey) => !refused.includes(sigkey)).toReversed();
  return { kind: 'verify', candidates, refused };
}

/**
 * Whether a person may decide now: a machine has nothing to do about it. Where this node only stands in, no machine tries
 * anything here, but the other nodes are waited for as usual, and so is a change that may be landing.
 */
export function mayDecideNow(step: ResolutionStep, standIn: boolean): boolean {
  if (step.kind === 'manual') return true;
  if (!standIn) return false;
  return step.kind === 'verify' || (step.kind === 'wait' && (step.because === 'retry' || step.because === 'budget'));
}

export type Verdict =
  | { readonly kind: 'root'; readonly root: Sigkey }
  | { readonly kind: 'manual'; readonly because: ManualReason }
  /**
   * The target could not be asked about at least one: nothing is known. `budget`: because one more refused login could
   * lock the account. Those that were refused need not be tried again while the facts are the same.
   */
  | { readonly kind: 'again'; readonly because: 'silent' | 'budget'; readonly rejected: readonly Sigkey[] };

export interface Tested {
  readonly sigkey: Sigkey;
  readonly answer: Verification;
  /** Not asked, because one more refused login could lock the account. */
  readonly spared?: boolean;
}

/** The exactly-one rule (B-21). */
export function verdictOf(tested: readonly Tested[]): Verdict {
  const accepted = tested.filter(({ answer }) => answer === 'accepted');
  if (accepted.length > 1) return { kind: 'manual', because: 'several-accepted' };
  const unknown = tested.filter(({ answer }) => answer === 'unknown');
  if (unknown.length > 0) {
    const rejected = tested.filter(({ answer }) => answer === 'rejected').map(({ sigkey }) => sigkey);
    return { kind: 'again', because: unknown.every(({ spared }) => spared === true) ? 'budget' : 'silent', rejected };
  }
  const [winner] = accepted;
  return winner === undefined ? { kind: 'manual', because: 'none-accepted' } : { kind: 'root', root: winner.sigkey };
}

/**
 * A decision for `root` over everything that is known now, except what is still pending. `fold` is what the decision
 * rests on: facts that came after it are not taken for seen.
 */
export function decideRoot(facts: Facts, root: Sigkey | null, fold: Fold = foldFacts(facts)): Decision {
  const words = wordsOf(facts);
  const seen = facts.randomizations
    .map((fact) => fact.sigkey)
    .filter((sigkey) => (fold.status.get(sigkey) ?? 'P') !== 'P');
  const unproven = seen.filter((sigkey) => words.get(sigkey) !== 'C');
  return { kind: 'root', root, seen, unproven, over: standing(rootsOf(facts)).map(nameOf) };
}

/** A person's word on one uncertain value; it replaces what was said of that value before. */
export function decideValue(facts: Facts, kind: 'confirm' | 'reject', sigkey: Sigkey): Decision {
  const before = facts.resolutions.filter(({ decision }) => decision.kind !== 'root' && decision.sigkey === sigkey);
  return { kind, sigkey, over: standing(before).map(nameOf) };
}

/**
 * Forcing (B-27): every uncertain value is presumed to have failed, and of the confirmed ones the one that was drawn last
 * is presumed to hold. Null where nothing was ever confirmed. Nobody has asked the target: the randomization that
 * follows is what makes it true.
 */
export function forcedRoot(facts: Facts, fold: Fold): Sigkey | null {
  const age = new Map(facts.randomizations.map((fact) => [fact.sigkey, fact.createdAt]));
  const confirmed = [...(fold.root === null ? [] : [fold.root]), ...fold.working].filter(
    (sigkey) => fold.status.get(sigkey) === 'C',
  );
  const newest = confirmed.toSorted((a, b) => (age.get(a) ?? 0) - (age.get(b) ?? 0) || (a < b ? -1 : a > b ? 1 : 0));
  return newest.at(-1) ?? null;
}

/**
 * Every other value that was ever known, for when no candidate works: somebody may have put an old one back, or a value
 * that was given up may have landed. Newest first, candidates left out.
 */
export function retained(facts: Facts, fold: Fold): readonly Sigkey[] {
  const tried = new Set(fold.candidates);
  return facts.randomizations
    .filter((fact) => !tried.has(fact.sigkey) && fold.status.get(fact.sigkey) !== 'P')
    .toSorted((a, b) => b.createdAt - a.createdAt || (a.sigkey < b.sigkey ? 1 : -1))
    .map((fact) => fact.sigkey);
}
