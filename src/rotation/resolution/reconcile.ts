/**
 * Setting a new value where every known one is lost (W-39), by a separate account of the target. Destructive, so it comes
 * last: first the current value is tried, then every other one that was ever known. Never for accounts by whose rights
 * others are changed, and never while a value might still be found out.
 */
import { type Actor, record } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import type { AccountId, Sigkey } from '../../base/ids.ts';
import { newId } from '../../base/new-id.ts';
import type { Tx } from '../../db/db.ts';
import { holdIfFree, reconcileUnder, skipped } from '../change/engine.ts';
import { clearToDraw } from '../change/landing.ts';
import { settlePending } from '../change/pending.ts';
import { questionOf } from '../change/question.ts';
import { type Subject, subjectOf } from '../change/subject.ts';
import type { Context } from '../context.ts';
import { type Lease, takeLease } from '../ledger/lease.ts';
import { foldOf } from '../ledger/ledger.ts';
import { plan } from '../plan/next.ts';
import { decideRoot, forcedRoot } from '../plan/resolve.ts';
import { commit } from '../points.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';
import type { RotationResult } from '../result.ts';
import { resolveUnder } from './automatic.ts';
import { lostSinceBlanked } from './blanked.ts';
import { conflictOf, servesOthers } from './conflict.ts';
import { overtaken, whyNotHere } from './hearing.ts';
import { writeSettled } from './settle.ts';
import { isKnownLost } from './sync-state.ts';
import { verifyUnder } from './synchrony.ts';
import type { VerificationId } from './verifications.ts';

/** See `Rotation.reconcile`. */
export async function reconcileAccount(
  context: Context,
  id: AccountId,
  actor: Actor,
  signal: AbortSignal,
): Promise<RotationResult | RotationRefusal> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) return subject;
  const { label } = subject.account;
  if (subject.reconciler === undefined) return turnDown('rotation.no-reconcile-account', label);
  if (!subject.policy.rotation) return turnDown('rotation.disabled', label);
  if (await servesOthers(context.db, id)) return turnDown('rotation.target-administrator', label);
  const { holder, clock, timing } = context;
  await using lease = await takeLease(context.db, id, { holder, clock, ms: timing.leaseMs }, signal);
  if (lease === undefined) return turnDown('rotation.changing', label);
  await settlePending(context, subject, lease, lease.signal);

  // Only the node that resolves may judge that a value is lost, and not while its database is older than what others know.
  const [action] = plan(await questionOf(context, subject, { demanded: 'reconcile', mine: true }));
  if (action?.kind !== 'randomize')
    return await skipped(
      context,
      subject,
      action !== undefined && 'because' in action ? action.because : 'changing',
      actor,
    );
  if (!(await context.peers.mayResolve(subject.policy.id)))
    return await skipped(context, subject, 'not-managing', actor);

  const { fault } = await clearToDraw(context, subject, actor, lease.signal);
  if (fault !== undefined) return turnDown('rotation.not-known-lost', `${label}: ${fault.words}`);
  const lost = await isLost(context, subject, lease, actor);
  if (lost !== true) return lost;
  const held = await holdIfFree(context, subject, lease);
  if (held === 'in-use') return turnDown('rotation.in-use', label);
  await using _ = held;

  const { parent, decides } = await givingUp(context, subject, actor);
  const result = await reconcileUnder(context, subject, parent, lease, actor, decides);
  if (!isRefusal(result) && result.status === 'confirmed')
    await commit(context, 'attempt', (tx) =>
      record(tx, actor, {
        type: 'rotation.reconciled',
        about: { account: id, target: subject.account.target.id, sigkey: result.sigkey },
        details: { by: subject.reconciler?.label ?? '', reason: result.words },
      }),
    );
  return result;
}

/** True when the target has been asked and refuses everything that is known; else why nothing is to be reset. */
async function isLost(context: Context, subject: Subject, lease: Lease, actor: Actor): Promise<true | RotationRefusal> {
  const { label } = subject.account;
  const { fold } = await foldOf(context.db, subject.account.id);
  if (fold.conflict === 'none') {
    const since = context.clock.now();
    const unclear = await whyNotHere(context, subject, { fold, since }, lease.signal);
    if (unclear === overtaken) return isLost(context, subject, lease, actor);
    if (unclear !== undefined) return turnDown('rotation.not-known-lost', `${label}: ${unclear}`);
  }
  if (await wasFoundLost(context, subject, fold.root, lease.signal)) return true;
  if (fold.conflict !== 'none') {
    const wish = { verification: newId<VerificationId>(), actor, demanded: true };
    const resolved = await resolveUnder(context, subject, lease, wish);
    if (resolved.outcome === 'manual' && resolved.because === 'none-accepted') return true;
    if (resolved.outcome === 'resolved' || resolved.outcome === 'settled')
      return turnDown('rotation.not-lost', `${label}: the conflict is settled, a known value works`);
    return turnDown('rotation.not-known-lost', `${label}: ${resolved.words}`);
  }
  if (fold.root === null) return lostSinceBlanked(context, subject, lease, actor);
  const checked = await verifyUnder(context, subject, lease, actor, { heartbeat: false });
  if (isRefusal(checked)) return checked;
  if (checked.answer === 'accepted') return turnDown('rotation.not-lost', label);
  if (checked.answer === 'rejected' && isKnownLost(checked.class)) return true;
  return turnDown('rotation.not-known-lost', `${label}: ${checked.words}`);
}

/** What was found out a moment ago is not asked again: refused logins are dear. */
const freshMs = 10 * 60_000;

async function wasFoundLost(
  context: Context,
  subject: Subject,
  root: Sigkey | null,
  signal: AbortSignal,
): Promise<boolean> {
  const oldest = context.clock.now() - freshMs;
  const conflict = await conflictOf(context, subject, { demanded: false }, signal);
  if (conflict.fold.conflict !== 'none') {
    // And it must still be so: that other nodes were heard, for one.
    const { lastTry, step } = conflict;
    return lastTry !== null && lastTry.at > oldest && step.kind === 'manual' && step.because === 'none-accepted';
  }
  const sync = await context.db
    .selectFrom('account_sync')
    .select(['sigkey', 'state', 'class', 'checked_at'])
    .where('account_id', '=', subject.account.id)
    .executeTakeFirst();
  if (sync?.state !== 'out-of-sync' || !isKnownLost(sync.class)) return false;
  return sync.sigkey === root && sync.checked_at.getTime() > oldest;
}

/**
 * Every candidate was refused: the conflict is over in the way of a forced randomization, in one with the intent of the
 * new value. Below which value that one hangs, and what is to be written; without a conflict nothing.
 */
async function givingUp(
  context: Context,
  subject: Subject,
  actor: Actor,
): Promise<{ readonly parent: Sigkey | null; readonly decides: ((tx: Tx) => Promise<void>) | undefined }> {
  const { facts, fold } = await foldOf(context.db, subject.account.id);
  if (fold.conflict === 'none') return { parent: fold.root, decides: undefined };
  const root = forcedRoot(facts, fold);
  const settled = {
    action: 'F',
    decision: decideRoot(facts, root, fold),
    verification: newId<VerificationId>(),
    actor,
    started: context.clock.now(),
    values: fold.candidates.map((sigkey) => ({
      sigkey,
      before: fold.status.get(sigkey) ?? 'U',
      retcode: 'ACVerifyFailed',
      message: 'refused; the reconcile account sets a new value',
    })),
    words: 'every known value is refused: the reconcile account sets a new one',
  } as const;
  return { parent: root, decides: (tx) => writeSettled(context, subject, tx, settled) };
}
