/**
 * Trying the current value at the target on somebody's wish. Changes nothing but the trail, except for an account in
 * conflict: there the candidates are tried, and the one that works decides it (resolve.ts).
 */
import type { Actor } from '../../audit/audit.ts';
import { record } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import type { AccountId } from '../../base/ids.ts';
import { inTransaction } from '../../db/db.ts';
import { verifyStored } from './ask.ts';
import type { Context } from '../context.ts';
import { takeLease } from '../ledger/lease.ts';
import { foldOf } from '../ledger/ledger.ts';
import { noteAttempt } from './outcome.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';
import { remedyOf } from '../remedies.ts';
import { resolveByLogins } from '../resolution/resolve.ts';
import type { VerifyResult } from '../result.ts';
import { subjectOf } from './subject.ts';

/** See `Rotation.verify`. */
export async function verifyAccount(
  context: Context,
  id: AccountId,
  actor: Actor,
  signal: AbortSignal,
): Promise<VerifyResult | RotationRefusal> {
  const started = context.clock.now();
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) return subject;
  if ((await foldOf(context.db, id)).fold.conflict !== 'none') {
    const { holder, clock, timing } = context;
    await using lease = await takeLease(context.db, id, { holder, clock, ms: timing.leaseMs }, signal);
    if (lease === undefined) return turnDown('rotation.changing', subject.account.label);
    return await resolveByLogins(context, subject, lease, actor);
  }
  const { account, verifier } = subject;
  const sigkey = account.current;
  if (sigkey === null) return turnDown('rotation.nothing-recorded', account.label);
  const { answer, class: kind, words: message } = await verifyStored(context, subject, sigkey, actor, signal);
  await inTransaction(context.db, async (tx) => {
    const ended = context.clock.now();
    const note = { account: id, trigger: 'on-demand', actor, started, ended, sigkey } as const;
    await noteAttempt(tx, {
      ...note,
      result: 'verified',
      class: kind === 'none' ? null : kind,
      message: `${answer} ${message}`.trim(),
    });
    const about = { account: id, target: account.target.id, sigkey };
    await record(tx, actor, { type: 'rotation.verified', about, details: { connector: verifier.name, answer } });
  });
  return { answer, class: kind, words: message, remedy: answer === 'accepted' ? '' : remedyOf(kind) };
}
