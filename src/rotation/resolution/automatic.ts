/**
 * Which of several values a target has, found out without a person (B-19 … B-24): wait until nothing can land and every
 * node was heard, try all candidates, and decide only if exactly one works and every other one is refused. Where none
 * works, every value that was ever known is tried before anything is changed on the target.
 */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import type { AccountId, Sigkey } from '../../base/ids.ts';
import { handsOf } from '../change/hands.ts';
import { fence } from '../change/landing.ts';
import { tryCandidates } from '../change/logins.ts';
import { settlePending, timeOutOthers } from '../change/pending.ts';
import { type Subject, subjectOf } from '../change/subject.ts';
import type { VerifyAnswer } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import { type Lease, takeLease } from '../ledger/lease.ts';
import {
  budgetMs,
  decideRoot,
  type ManualReason,
  retained,
  silentWaitMs,
  type Tested,
  type Verdict,
  verdictOf,
} from '../plan/resolve.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';
import { remedyOf } from '../remedies.ts';
import { type Conflict, conflictOf } from './conflict.ts';
import { noteSeen, noteTry, settleConflict } from './settle.ts';
import type { VerificationId, Verified } from './verifications.ts';

export type Resolved =
  | { readonly outcome: 'settled' }
  | { readonly outcome: 'resolved'; readonly root: Sigkey; readonly words: string }
  | { readonly outcome: 'waiting'; readonly until: number; readonly words: string; readonly remedy: string }
  | { readonly outcome: 'manual'; readonly because: ManualReason; readonly words: string; readonly remedy: string };

export interface Wish {
  /** One for a whole batch. */
  readonly verification: VerificationId;
  readonly actor: Actor;
  /** Somebody asks for it now: an earlier try does not count. */
  readonly demanded: boolean;
}

/** Resolves one account if it can be done now. Refused with `rotation.changing` while somebody else has its lease. */
export async function resolveAccount(
  context: Context,
  id: AccountId,
  wish: Wish,
  signal: AbortSignal,
): Promise<Resolved | RotationRefusal> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) return subject;
  const { holder, clock, timing } = context;
  await using lease = await takeLease(context.db, id, { holder, clock, ms: timing.leaseMs }, signal);
  if (lease === undefined) return turnDown('rotation.changing', subject.account.label);
  return await resolveUnder(context, subject, lease, wish);
}

/** The same for who has the lease already. */
export async function resolveUnder(context: Context, subject: Subject, lease: Lease, wish: Wish): Promise<Resolved> {
  const started = context.clock.now();
  await settlePending(context, subject, lease, lease.signal);
  if (await context.peers.mayResolve(subject.policy.id)) await timeOutOthers(context, subject, lease);

  const conflict = await readyConflict(context, subject, wish, lease.signal);
  const { step } = conflict;
  if (step.kind === 'settled') return { outcome: 'settled' };
  if (step.kind === 'wait') {
    await noteSeen(context, subject, conflict);
    const { node } = await context.peers.mayDecide(subject.policy.id);
    const remedy =
      step.because === 'not-managing'
        ? 'run it there; while that node is down decide by hand, here too (`sallyport conflicts`), or declare another managing node'
        : 'ask again in a while';
    return { outcome: 'waiting', until: step.until, words: waitingFor(step.because, node), remedy };
  }
  if (step.kind === 'manual') {
    const words = conflict.words === '' ? manualWords[step.because] : conflict.words;
    if (conflict.lastTry === null) await noteTry(context, subject, conflict, step, words, wish.actor);
    return manual(step.because, words);
  }

  // -- What a cut-off change left running is ended, and saved where a device must be told ---------------------------
  if (!(await endedAll(context, subject, conflict, wish.actor, lease.signal)))
    return inVain(context, subject, conflict, unended, [], wish.actor);

  // -- The candidates, newest first ---------------------------------------------------------------------------------
  const answers = await tryCandidates(context, subject, step.candidates, wish.actor, lease.signal);
  const tested = testedOf(step.candidates, answers);
  const verdict = verdictOf([...step.refused.map((sigkey) => ({ sigkey, answer: 'rejected' }) as const), ...tested]);
  const values = tested.map((one) => verified(conflict, one));
  const decide = async (root: Sigkey, words: string, touched: readonly Verified[]): Promise<Resolved> => {
    const decision = decideRoot(conflict.facts, root, conflict.fold);
    const { verification, actor } = wish;
    await settleConflict(context, subject, lease, {
      action: 'A',
      decision,
      verification,
      actor,
      started,
      values: touched,
      words,
    });
    return { outcome: 'resolved', root, words };
  };
  if (verdict.kind === 'root')
    return decide(verdict.root, `one of ${tested.length} values works and every other one was refused`, values);
  if (verdict.kind === 'again') return inVain(context, subject, conflict, verdict, tested, wish.actor);
  if (verdict.because !== 'none-accepted') {
    const words = `${tested.filter((one) => one.answer === 'accepted').length} of ${tested.length} values work, so it is not known which one holds`;
    await noteTry(context, subject, conflict, verdict, words, wish.actor);
    return manual(verdict.because, words);
  }

  // -- Every value that was ever known ------------------------------------------------------------------------------
  const before = ruledOut(conflict);
  const former = retained(conflict.facts, conflict.fold).filter((sigkey) => !before.includes(sigkey));
  const formerAnswers = await tryCandidates(context, subject, former, wish.actor, lease.signal);
  const dug = testedOf(former, formerAnswers);
  const found = verdictOf(dug);
  if (found.kind === 'root') {
    const winner = dug.filter((one) => one.sigkey === found.root).map((one) => verified(conflict, one));
    return decide(found.root, `none of ${tested.length} candidates works, but a former value does`, [
      ...values,
      ...winner,
    ]);
  }
  if (found.kind === 'again') {
    const { because } = found;
    const rejected = [...before, ...rejectedOf(tested), ...rejectedOf(dug)];
    return inVain(context, subject, conflict, { kind: 'again', because, rejected }, dug, wish.actor);
  }
  const words =
    found.because === 'none-accepted'
      ? `none of ${tested.length + before.length + dug.length} known values works`
      : `none of ${tested.length} candidates works, and several former values do`;
  await noteTry(context, subject, conflict, found, words, wish.actor);
  return manual(found.because, words);
}

const unended: Verdict = { kind: 'again', because: 'silent', rejected: [] };

/**
 * True when nothing of the uncertain values can land or be lost any more. Only an administrator is asked to see to that: the
 * account's own value may be a wrong one. Without one, the time that has passed must do.
 */
async function endedAll(
  context: Context,
  subject: Subject,
  { fold }: Conflict,
  actor: Actor,
  signal: AbortSignal,
): Promise<boolean> {
  const { connector, admin } = subject;
  if (connector?.capabilities.fence !== 'sessions' || admin === undefined) return true;
  const hands = handsOf(subject, fold.root);
  for (const sigkey of fold.working)
    if (fold.status.get(sigkey) === 'U' && !(await fence(context, subject, { hands, sigkey }, actor, signal)))
      return false;
  return true;
}

/** What was said of each value; `spared`: it was not tried, so that the account is not locked. */
export function testedOf(
  sigkeys: readonly Sigkey[],
  answers: readonly VerifyAnswer[],
): readonly ({ readonly sigkey: Sigkey; readonly spared: boolean } & VerifyAnswer)[] {
  return sigkeys.map((sigkey, at) => {
    const answer = answers[at] ?? silent;
    return { sigkey, ...answer, spared: answer.class === 'budget' };
  });
}

function rejectedOf(tested: readonly Tested[]): readonly Sigkey[] {
  return tested.filter(({ answer }) => answer === 'rejected').map(({ sigkey }) => sigkey);
}

/** What an earlier try for the same facts has ruled out, candidates and former values. */
export function ruledOut({ lastTry }: Pick<Conflict, 'lastTry'>): readonly Sigkey[] {
  return lastTry?.verdict.kind === 'again' ? lastTry.verdict.rejected : [];
}

const silent: VerifyAnswer = { answer: 'unknown', class: 'unexpected', words: 'no answer' };

/**
 * Somebody who asked does not want to come back for a change that may be landing for some more seconds. The time is that of
 * the database and ours, which agree to a millisecond, so that one wait may not be quite enough.
 */
async function readyConflict(
  context: Context,
  subject: Subject,
  { demanded }: Wish,
  signal: AbortSignal,
): Promise<Conflict> {
  for (;;) {
    const conflict = await conflictOf(context, subject, { demanded }, signal);
    const { step } = conflict;
    if (!demanded || step.kind !== 'wait' || step.because !== 'landing') return conflict;
    await context.clock.sleep(Math.max(1, step.until - context.clock.now()), signal);
  }
}

function verified({ fold }: Conflict, tested: { readonly sigkey: Sigkey } & VerifyAnswer): Verified {
  const { sigkey, answer, class: kind, words } = tested;
  const how = tested.how === 'stored' ? 'compared with what the target keeps' : 'a login';
  return {
    sigkey,
    before: fold.status.get(sigkey) ?? 'P',
    retcode: kind === 'none' ? answer : `${answer} ${kind}`,
    message: words === '' ? how : `${how}: ${words}`,
  };
}

/** The target could not be asked: it is again in a while, and after many tries a person must look. */
async function inVain(
  context: Context,
  subject: Subject,
  conflict: Conflict,
  verdict: Verdict,
  tested: readonly VerifyAnswer[],
  actor: Actor,
): Promise<Resolved> {
  const unknown = tested.find((one) => one.answer === 'unknown') ?? silent;
  const words =
    tested.length === 0
      ? 'what a cut-off change may have left running on the target could not be ended yet'
      : `the target could not be asked which of ${tested.length} values it has: ${unknown.words}`;
  const count = await noteTry(context, subject, conflict, verdict, words, actor);
  const later = context.clock.now() + (unknown.class === 'budget' ? budgetMs : silentWaitMs(count));
  return { outcome: 'waiting', until: later, words, remedy: remedyOf(unknown.class) };
}

function manual(because: ManualReason, words: string): Resolved {
  return { outcome: 'manual', because, words, remedy: manualRemedies[because] };
}

export const waitWords = {
  pending: 'a value is still pending',
  landing: 'a change that was cut off may still be landing',
  nodes: 'other nodes are being asked for what they know',
  retry: 'the target was silent and is asked again in a while',
  budget: 'one more refused login could lock the account: the rest is tried when they no longer count',
  'not-managing': 'another node resolves for this policy',
} as const;

/** The same; `node` is the one that resolves. */
export function waitingFor(because: keyof typeof waitWords, node: string | null): string {
  return because === 'not-managing' && node !== null ? `${node} resolves for this policy` : waitWords[because];
}

export const manualWords: Readonly<Record<ManualReason, string>> = {
  'switched-off': 'automatic resolution is switched off',
  'target-administrator':
    'other accounts are changed or reached by the rights of this one, so its values are not tried by machine',
  'none-accepted': 'the target refuses every value that is known',
  'several-accepted': 'the target accepts several values',
  'nodes-inconsistent': 'nodes inconsistent: another node could not be heard in time',
  'target-silent': 'the target could not be asked for long; it is asked again, at distances that grow',
  'no-connector': 'no connector can try the values of this account',
};

const byHand = 'find the value that holds on the target, then confirm, reject or set it with `sallyport conflicts`';

export const manualRemedies: Readonly<Record<ManualReason, string>> = {
  'switched-off': 'run `sallyport conflicts resolve ACCOUNT`, or decide by hand with `sallyport conflicts`',
  'target-administrator': byHand,
  'none-accepted':
    'store the value that works with `sallyport account set ACCOUNT`, or let the reconcile account set a new one: `sallyport reconcile ACCOUNT`',
  'several-accepted':
    'wait until the target has forgotten the old value, then run `sallyport conflicts resolve ACCOUNT`; or set the current one by hand',
  'nodes-inconsistent':
    'bring the silent node back (`sallyport node status`), then run `sallyport conflicts resolve ACCOUNT`',
  'target-silent': 'make the target reachable, then run `sallyport conflicts resolve ACCOUNT`',
  'no-connector': byHand,
};
