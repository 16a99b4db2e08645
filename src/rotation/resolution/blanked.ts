/**
 * An account without a current value that had some: it was blanked, and every value was kept. Before another one is set
 * for it, all of them are tried; the one that works is current again.
 */
import type { Actor } from '../../audit/audit.ts';
import { newId } from '../../base/new-id.ts';
import { tryCandidates } from '../change/logins.ts';
import type { Subject } from '../change/subject.ts';
import type { Context } from '../context.ts';
import type { Lease } from '../ledger/lease.ts';
import { decideRoot, retained, verdictOf } from '../plan/resolve.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';
import { ruledOut, testedOf } from './automatic.ts';
import { conflictOf } from './conflict.ts';
import { noteTry, settleConflict } from './settle.ts';
import type { VerificationId } from './verifications.ts';

/** True when it never had a value that may have been set, or when every one was refused; else why it is not lost. */
export async function lostSinceBlanked(
  context: Context,
  subject: Subject,
  lease: Lease,
  actor: Actor,
): Promise<true | RotationRefusal> {
  const started = context.clock.now();
  const { label } = subject.account;
  const conflict = await conflictOf(context, subject, { demanded: false }, lease.signal);
  const { facts, fold } = conflict;
  // What has failed for certain is no value that could be lost; where another one may be there it is tried with it.
  if (![...fold.status.values()].some((status) => status === 'C' || status === 'U')) return true;
  const before = ruledOut(conflict);
  const all = [...fold.candidates.toReversed(), ...retained(facts, fold)].filter((one) => !before.includes(one));
  const found = verdictOf(testedOf(all, await tryCandidates(context, subject, all, actor, lease.signal)));
  if (found.kind === 'again') {
    const words = 'it was blanked, and not every value that it had could be tried yet';
    await noteTry(context, subject, conflict, { ...found, rejected: [...before, ...found.rejected] }, words, actor);
    return turnDown('rotation.not-known-lost', `${label}: ${words}`);
  }
  if (found.kind === 'manual') {
    if (found.because === 'none-accepted') return true;
    return turnDown('rotation.not-known-lost', `${label}: it was blanked, and several values that it had work`);
  }
  const words = 'it was blanked, but a value that it had works; it is current again';
  const status = fold.status.get(found.root) ?? 'C';
  await settleConflict(context, subject, lease, {
    action: 'A',
    decision: decideRoot(facts, found.root, fold),
    verification: newId<VerificationId>(),
    actor,
    started,
    values: [{ sigkey: found.root, before: status, retcode: 'accepted', message: 'a former value that works' }],
    words,
  });
  return turnDown('rotation.not-lost', `${label}: ${words}`);
}
