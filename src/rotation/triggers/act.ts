/** One look at one account: what the plan says is done, and what is to be said once of an occurrence is said. */
import { type Actor, record } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import type { AccountId } from '../../base/ids.ts';
import { rotateAccount } from '../change/engine.ts';
import { noteAttempt } from '../change/outcome.ts';
import { settlePending, settlesAt, timeOutOthers } from '../change/pending.ts';
import { questionOf } from '../change/question.ts';
import { type Subject, subjectOf } from '../change/subject.ts';
import type { Context } from '../context.ts';
import { takeLease } from '../ledger/lease.ts';
import { noteOnce } from '../ledger/notes.ts';
import { type Action, plan } from '../plan/next.ts';
import { commit } from '../points.ts';
import { isKnownLost } from '../resolution/sync-state.ts';
import { verifyAccount } from '../resolution/synchrony.ts';
import { reconcileIfTold } from './conflicts.ts';
import { unchecked } from './ready.ts';

const self: Actor = { kind: 'system', part: 'rotation' };

export interface Looked {
  /** When it is to be looked at again, in milliseconds, unless something happens before. */
  readonly again: number;
  /** Something was left that has to be resolved. */
  readonly uncertain: boolean;
}

/** Asks the plan and does what it says; then, where nothing was to be done, the heartbeat if its time has come. */
export async function act(context: Context, id: AccountId, signal: AbortSignal): Promise<Looked> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) {
    context.log.debug({ account: id }, `not looked after: ${subject.reason}`);
    return { again: Number.POSITIVE_INFINITY, uncertain: false };
  }
  let again = Number.POSITIVE_INFINITY;
  let uncertain = false;
  let worked = false;
  for (const action of plan(await questionOf(context, subject, { demanded: false, mine: false }))) {
    switch (action.kind) {
      case 'randomize': {
        worked = true;
        const result = await rotateAccount(context, id, action.trigger, self, signal);
        if (isRefusal(result)) context.log.warn({ account: id, code: result.code }, `not rotated: ${result.reason}`);
        else if (result.status === 'uncertain') uncertain = true;
        // Whatever came of it, the plan is asked once more: retries have their times, and so has what comes next.
        again = 0;
        break;
      }
      case 'time-out': {
        worked = true;
        const due = await settlesAt(context, subject);
        if (due <= context.clock.now()) uncertain ||= await timeOut(context, subject, signal);
        again = Math.min(again, Math.max(0, due));
        break;
      }
      case 'skip':
      case 'alert':
        await say(context, subject, action);
        break;
      case 'wait':
        // Whoever has the lease gives it back long before it runs out.
        again = action.because === 'changing' ? 0 : Math.min(again, action.until);
        break;
      case 'nothing':
        break;
      default:
        action satisfies never;
    }
  }
  if (!worked) await beat(context, id, signal);
  return { again, uncertain };
}

/** True if a value was left uncertain. */
async function timeOut(context: Context, subject: Subject, signal: AbortSignal): Promise<boolean> {
  const { clock, holder, timing, db } = context;
  const options = { holder, clock, ms: timing.leaseMs };
  await using lease = await takeLease(db, subject.account.id, options, signal);
  if (lease === undefined) return false;
  const settled = await settlePending(context, subject, lease, lease.signal);
  const silent = (await context.peers.mayResolve(subject.policy.id)) ? await timeOutOthers(context, subject, lease) : 0;
  return silent > 0 || settled.some((one) => one.status === 'uncertain');
}

/** W-37, W-38: a skip is noted once per occurrence, and an alert said once. */
async function say(
  context: Context,
  { account }: Subject,
  action: Extract<Action, { kind: 'skip' | 'alert' }>,
): Promise<void> {
  const { trigger, occurrence } = action;
  const now = context.clock.now();
  const what = action.kind === 'skip' ? 'skipped' : action.about === 'skipped' ? 'skips-alerted' : 'given-up-alerted';
  const about = { account: account.id, target: account.target.id };
  await commit(context, 'attempt', async (tx) => {
    if (!(await noteOnce(tx, account.id, { what, trigger, occurrence }, now))) return;
    if (action.kind === 'alert') {
      const words = action.about === 'skipped' ? 'skipped, because it was in use,' : 'given up after failing';
      const reason = `the ${trigger} change was ${words} ${action.count} times`;
      return record(tx, self, { type: 'rotation.alert', about, details: { reason } });
    }
    const message = `due since ${new Date(occurrence).toISOString()}; a session or checkout is using the account`;
    const note = { account: account.id, trigger, actor: self, started: now, ended: now, class: null, sigkey: null };
    await noteAttempt(tx, { ...note, result: 'skipped-active-session', message });
    await record(tx, self, { type: 'rotation.skipped', about, details: { reason: 'skipped-active-session' } });
  });
}

/** W-40: the current value is tried when that was not done for long; where it is lost and the account says so, it is replaced. */
async function beat(context: Context, id: AccountId, signal: AbortSignal): Promise<void> {
  if ((await unchecked(context, context.clock.now(), id)).length === 0) return;
  const result = await verifyAccount(context, id, self, { heartbeat: true }, signal);
  if (isRefusal(result) || result.answer !== 'rejected' || !isKnownLost(result.class)) return;
  await reconcileIfTold(context, id, signal);
}
