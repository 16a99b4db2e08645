/**
 * What a person decides about a conflict: confirm or reject an uncertain value, set the current one, force a new
 * randomization, or as the last resort blank the account. Each is a fact that reaches every node; none throws a value away.
 * Refused while automatic resolution has not finished, because two deciders are one too many; blanking alone asks nothing.
 * On the node that resolves, and on every other one while that one is down: what it says later opens the conflict again.
 */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import type { AccountId, Sigkey } from '../../base/ids.ts';
import { newId } from '../../base/new-id.ts';
import type { Tx } from '../../db/db.ts';
import { holdIfFree, randomize, refuseChecked } from '../change/engine.ts';
import { clearToDraw, untilLanded } from '../change/landing.ts';
import { settlePending, timeOutOthers } from '../change/pending.ts';
import { type Subject, subjectOf } from '../change/subject.ts';
import type { Context } from '../context.ts';
import { type Lease, takeLease } from '../ledger/lease.ts';
import { foldOf } from '../ledger/ledger.ts';
import { managementOf } from '../management.ts';
import type { Decision, ResolutionAction } from '../plan/facts.ts';
import { decideRoot, decideValue as wordOn, forcedRoot, mayDecideNow } from '../plan/resolve.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';
import type { RotationResult } from '../result.ts';
import { waitWords } from './automatic.ts';
import { type Conflict, conflictOf, servesOthers } from './conflict.ts';
import { settleConflict, writeSettled } from './settle.ts';
import type { VerificationId, Verified } from './verifications.ts';

/** What a decision by hand came to. */
export interface Decided {
  readonly conflict: string;
  readonly current: Sigkey | null;
  readonly words: string;
}

type Answer<T> = Promise<T | RotationRefusal>;

/** Confirm or reject one uncertain value (B-28). The tree is looked at again afterwards. */
export async function decideValue(
  context: Context,
  id: AccountId,
  sigkey: Sigkey,
  what: 'confirm' | 'reject',
  actor: Actor,
  signal: AbortSignal,
): Answer<Decided> {
  return underLease(context, id, actor, signal, async (subject, lease, conflict) => {
    if (conflict.fold.status.get(sigkey) !== 'U' || !conflict.fold.working.includes(sigkey))
      return turnDown('rotation.not-uncertain', `${subject.account.label}: ${sigkey}`);
    const yes = what === 'confirm';
    const values = [value(conflict, sigkey, yes, yes ? 'Forced confirmation.' : 'Forced rejection.')];
    const words = yes ? 'confirmed by hand' : 'rejected by hand';
    const decision = wordOn(conflict.facts, what, sigkey);
    return settle(context, subject, lease, { action: 'M', decision, values, words, actor });
  });
}

/** Makes one candidate of a tree conflict current (B-29). Uncertain values must have been decided before. */
export async function setCurrentValue(
  context: Context,
  id: AccountId,
  sigkey: Sigkey,
  actor: Actor,
  signal: AbortSignal,
): Answer<Decided> {
  return underLease(context, id, actor, signal, async (subject, lease, conflict) => {
    const { fold, facts } = conflict;
    const { label } = subject.account;
    if (fold.conflict !== 'tree') return turnDown('rotation.incomplete-first', label);
    if (!fold.candidates.includes(sigkey)) return turnDown('rotation.no-candidate', `${label}: ${sigkey}`);
    const values = fold.candidates.map((one) =>
      value(
        conflict,
        one,
        one === sigkey,
        one === sigkey ? 'Forced confirmation.' : 'Another value was set as current.',
      ),
    );
    const decision = decideRoot(facts, sigkey, fold);
    return settle(context, subject, lease, { action: 'M', decision, values, words: 'set as current by hand', actor });
  });
}

/**
 * Clears the conflict by presumption and randomizes at once (B-27). The decision and the intent of the new value are one
 * transaction, so that neither a refusal nor a death in between leaves a presumption that nothing makes true.
 */
export async function forceRandomization(
  context: Context,
  id: AccountId,
  actor: Actor,
  signal: AbortSignal,
): Answer<RotationResult> {
  return underLease(context, id, actor, signal, async (subject, lease, conflict) => {
    const { label } = subject.account;
    if (!subject.policy.rotation) return turnDown('rotation.disabled', label);
    if (subject.connector === undefined) return turnDown('rotation.no-connector', label);
    if (await servesOthers(context.db, id)) return turnDown('rotation.target-administrator', label);
    const silent = await context.peers.unreachable();
    if (silent.length > 0) return turnDown('rotation.nodes-unreachable', `${label}: ${silent.join(', ')}`);
    // Forcing changes the target, so it needs what any change needs.
    const [here, { localFallback }] = [
      await context.peers.mayRotate(subject.policy.id),
      await managementOf(context.db, subject.policy),
    ];
    if (here === 'managing-down' && !localFallback) return turnDown('rotation.managing-down', label);
    const { fault } = await clearToDraw(context, subject, actor, lease.signal);
    if (fault !== undefined)
      return refuseChecked(context, subject, fault, { trigger: 'force', actor, started: context.clock.now() });
    const held = await holdIfFree(context, subject, lease);
    if (held === 'in-use') return turnDown('rotation.in-use', label);
    await using _ = held;
    const { facts, fold } = conflict;
    const root = forcedRoot(facts, fold);
    const touched = [...(fold.root === null ? [] : [fold.root]), ...fold.working].filter((one) =>
      ['C', 'U'].includes(fold.status.get(one) ?? 'P'),
    );
    const values = touched.map((one) =>
      value(conflict, one, one === root, one === root ? 'presumed to be the newest' : 'presumed not to hold'),
    );
    const decision = decideRoot(facts, root, fold);
    const words = 'forced: the newest confirmed value is presumed to hold until the new one is set';
    const verification = newId<VerificationId>();
    const started = context.clock.now();
    const settled = { action: 'F', decision, verification, actor, started, values, words } as const;
    const decides = (tx: Tx): Promise<void> => writeSettled(context, subject, tx, settled);
    const how = { operation: 'change', trigger: 'force', actor, presumed: true, decides } as const;
    return await randomize(context, subject, root, lease, how, lease.signal);
  });
}

/** Starts from nothing (B-31): no current value, all values kept, nothing asked and nothing checked. */
export async function blankAccount(
  context: Context,
  id: AccountId,
  actor: Actor,
  signal: AbortSignal,
): Answer<Decided> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) return subject;
  const { holder, clock, timing } = context;
  const options = { holder, clock, ms: timing.leaseMs, takeOver: true };
  await using lease = await takeLease(context.db, id, options, signal);
  if (lease === undefined) return turnDown('rotation.changing', subject.account.label);
  const { facts, fold } = await foldOf(context.db, id);
  const touched = [...(fold.root === null ? [] : [fold.root]), ...fold.working];
  const values = touched.map((sigkey) => ({
    sigkey,
    before: fold.status.get(sigkey) ?? ('P' as const),
    retcode: 'ACVerifyFailed',
    message: 'blanked',
  }));
  const decision = decideRoot(facts, null, fold);
  return await settle(context, subject, lease, { action: 'B', decision, values, words: 'blanked', actor });
}

function value({ fold }: Conflict, sigkey: Sigkey, chosen: boolean, message: string): Verified {
  const before = fold.status.get(sigkey) ?? 'P';
  return { sigkey, before, retcode: chosen ? 'ACSuccess' : 'ACVerifyFailed', message };
}

async function underLease<T>(
  context: Context,
  id: AccountId,
  actor: Actor,
  signal: AbortSignal,
  decide: (subject: Subject, lease: Lease, conflict: Conflict, actor: Actor) => Answer<T>,
): Answer<T> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) return subject;
  const { label } = subject.account;
  const { holder, clock, timing } = context;
  await using lease = await takeLease(context.db, id, { holder, clock, ms: timing.leaseMs }, signal);
  if (lease === undefined) return turnDown('rotation.changing', label);
  await settlePending(context, subject, lease, lease.signal);
  const where = await context.peers.mayDecide(subject.policy.id);
  const standIn = where.may && where.as === 'stand-in';
  // What a node that is down left pending: nobody else calls it uncertain while the resolving one is down too.
  if (standIn) await timeOutOthers(context, subject, lease);
  const look = (): Promise<Conflict> => conflictOf(context, subject, { demanded: false, standIn }, lease.signal);
  let conflict = await look();
  // What somebody sees on the target while a change may still land may not be so a moment later.
  const landing = standIn && conflict.step.kind === 'wait' && conflict.step.because === 'landing';
  if ((landing || mayDecideNow(conflict.step, standIn)) && (await untilLanded(context, id, lease.signal)))
    conflict = await look();
  const { step } = conflict;
  if (step.kind === 'settled') return turnDown('rotation.not-conflicted', label);
  if (!where.may) {
    if (where.because === 'not-ready') return turnDown('rotation.not-ready', label);
    return turnDown('rotation.not-managing', `${label}: ${where.node} resolves for policy ${subject.policy.name}`);
  }
  if (!mayDecideNow(step, standIn)) {
    const why = step.kind === 'wait' ? `: ${waitWords[step.because]}` : '';
    return turnDown('rotation.resolving', `${label}${why}`);
  }
  return await decide(subject, lease, conflict, actor);
}

async function settle(
  context: Context,
  subject: Subject,
  lease: Lease,
  what: {
    readonly action: ResolutionAction;
    readonly decision: Decision;
    readonly values: readonly Verified[];
    readonly words: string;
    readonly actor: Actor;
  },
): Answer<Decided> {
  const started = context.clock.now();
  await settleConflict(context, subject, lease, { ...what, verification: newId<VerificationId>(), started });
  const { fold } = await foldOf(context.db, subject.account.id);
  return { conflict: fold.conflict, current: fold.root, words: what.words };
}
