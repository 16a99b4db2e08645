/**
 * Whether the current value still opens its account (W-40). A login says so, on demand or as a heartbeat; where it is
 * refused, every value that was ever known is tried, and the one that works becomes current again. Changes nothing on
 * the target.
 */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import type { AccountId } from '../../base/ids.ts';
import { newId } from '../../base/new-id.ts';
import { untilLanded } from '../change/landing.ts';
import { tryCandidates, tryLogin } from '../change/logins.ts';
import { settlePending } from '../change/pending.ts';
import { type Subject, subjectOf } from '../change/subject.ts';
import type { VerifyAnswer } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import { type Lease, takeLease } from '../ledger/lease.ts';
import { foldOf } from '../ledger/ledger.ts';
import { decideRoot, retained, verdictOf } from '../plan/resolve.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';
import { remedyOf } from '../remedies.ts';
import type { VerifyResult } from '../result.ts';
import { resolveUnder, ruledOut } from './automatic.ts';
import { conflictOf } from './conflict.ts';
import { overtaken, whyNotHere } from './hearing.ts';
import { noteTry, settleConflict } from './settle.ts';
import { noteSynchrony, several, unheard, untried } from './sync-state.ts';
import type { VerificationId } from './verifications.ts';

/** See `Rotation.verify`. `heartbeat`: nobody asked, the time had come. */
export async function verifyAccount(
  context: Context,
  id: AccountId,
  actor: Actor,
  how: { readonly heartbeat: boolean },
  signal: AbortSignal,
): Promise<VerifyResult | RotationRefusal> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) return subject;
  const { holder, clock, timing } = context;
  await using lease = await takeLease(context.db, id, { holder, clock, ms: timing.leaseMs }, signal);
  if (lease === undefined) return turnDown('rotation.changing', subject.account.label);
  await settlePending(context, subject, lease, lease.signal);
  return await verifyUnder(context, subject, lease, actor, how);
}

/** The same for who has the lease already. */
export async function verifyUnder(
  context: Context,
  subject: Subject,
  lease: Lease,
  actor: Actor,
  how: { readonly heartbeat: boolean },
): Promise<VerifyResult | RotationRefusal> {
  const started = context.clock.now();
  const { account, verifier } = subject;
  let { facts, fold } = await foldOf(context.db, account.id);
  if (fold.conflict !== 'none') {
    const wish = { verification: newId<VerificationId>(), actor, demanded: !how.heartbeat };
    return resultOf(await resolveUnder(context, subject, lease, wish));
  }
  const sigkey = fold.root;
  if (sigkey === null) return turnDown('rotation.nothing-recorded', account.label);
  const answer = await tryLogin(context, subject, sigkey, actor, { proof: false }, lease.signal);
  const by = { actor, started, trigger: how.heartbeat ? 'heartbeat' : 'on-demand' };
  if (answer.answer !== 'rejected') {
    await noteSynchrony(context, subject, sigkey, answer, by);
    const { answer: said, class: kind, words } = answer;
    return { answer: said, class: kind, words, remedy: said === 'accepted' ? '' : remedyOf(kind) };
  }

  // -- Somebody has changed it: perhaps another node, whose value is on its way here ---------------------------------
  if (await untilLanded(context, account.id, lease.signal)) {
    ({ facts, fold } = await foldOf(context.db, account.id));
    if (fold.conflict !== 'none' || fold.root !== sigkey) return verifyUnder(context, subject, lease, actor, how);
  }
  const unclear = await whyNotHere(context, subject, { fold, since: started }, lease.signal);
  if (unclear !== undefined) {
    const words = `the recorded value is refused, and ${unclear}`;
    // What is known now is asked anew; what was found out about something older is no news of the account.
    if (unclear !== overtaken) await noteSynchrony(context, subject, sigkey, { ...answer, words }, by, unheard);
    return { answer: 'unknown', class: 'none', words, remedy: 'ask again in a while' };
  }

  // -- Or perhaps back to a value that we know -----------------------------------------------------------------------
  const conflict = await conflictOf(context, subject, { demanded: false }, lease.signal);
  const before = ruledOut(conflict);
  const others = retained(facts, fold).filter((one) => !before.includes(one));
  const answers = await tryCandidates(context, subject, others, actor, lease.signal);
  const dug = others.map((one, at) => ({ sigkey: one, answer: answers[at]?.answer ?? 'unknown' }) as const);
  const found = verdictOf(dug);
  if (found.kind === 'again') {
    const rejected = [...before, ...dug.filter((one) => one.answer === 'rejected').map((one) => one.sigkey)];
    const words = 'the recorded value is refused, and not every former one could be tried yet';
    await noteTry(context, subject, conflict, { ...found, rejected }, words, actor);
    await noteSynchrony(context, subject, sigkey, { answer: 'rejected', class: untried, words }, by, untried);
    return { answer: 'rejected', class: untried, words, remedy: remedyOf(untried) };
  }
  if (found.kind === 'manual' && found.because === 'several-accepted') {
    const working = dug.filter((one) => one.answer === 'accepted').length;
    const words = `the recorded value is refused, and ${working} former ones work, so it is not known which one holds`;
    await noteSynchrony(context, subject, sigkey, { ...answer, words }, by, several);
    return { answer: 'unknown', class: 'none', words, remedy: severalWork };
  }
  if (found.kind !== 'root') {
    await noteSynchrony(context, subject, sigkey, answer, by);
    const words = `the recorded value is refused, and none of ${before.length + others.length} former ones is known to work`;
    return { answer: 'rejected', class: answer.class, words, remedy: outOfSync };
  }
  const words = 'the recorded value is refused, but a former one works; it is current again';
  await settleConflict(context, subject, lease, {
    action: 'A',
    decision: decideRoot(facts, found.root, fold),
    verification: newId<VerificationId>(),
    actor,
    started,
    values: [
      { sigkey, before: 'C', retcode: 'rejected', message: answer.words },
      {
        sigkey: found.root,
        before: fold.status.get(found.root) ?? 'C',
        retcode: 'accepted',
        message: 'a former value that works',
      },
    ],
    words,
  });
  await noteSynchrony(context, subject, found.root, accepted, by);
  context.log.info({ account: account.id }, `${verifier.name}: ${words}`);
  return { answer: 'accepted', class: 'none', words, remedy: '' };
}

const severalWork =
  'wait until the target has forgotten the old values, then run `sallyport verify ACCOUNT`; or store the one that holds (`sallyport account set ACCOUNT`)';

const accepted: VerifyAnswer = { answer: 'accepted', class: 'none', words: '' };

export const outOfSync =
  'let the reconcile account set a new value (`sallyport reconcile ACCOUNT`), or store the one that works (`sallyport account set ACCOUNT`)';

function resultOf(resolved: Awaited<ReturnType<typeof resolveUnder>>): VerifyResult {
  switch (resolved.outcome) {
    case 'settled':
      return { answer: 'accepted', class: 'none', words: 'there is no conflict any more', remedy: '' };
    case 'resolved': {
      const words = `${resolved.words}; it is current and the conflict is settled`;
      return { answer: 'accepted', class: 'none', words, remedy: '' };
    }
    case 'waiting':
      return { answer: 'unknown', class: 'none', words: resolved.words, remedy: resolved.remedy };
    case 'manual': {
      const rejected = resolved.because === 'none-accepted';
      return {
        answer: rejected ? 'rejected' : 'unknown',
        class: rejected ? 'authentication' : 'none',
        words: `${resolved.words}; the account stays conflicted`,
        remedy: resolved.remedy,
      };
    }
    default:
      return resolved satisfies never;
  }
}
