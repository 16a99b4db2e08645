/**
 * Resolving conflicts without being asked (B-16): at once after a change of this node ended uncertain, soon after another
 * node's facts have arrived, and by poll. One round at a time; what comes meanwhile is the next round.
 */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal, wordsOf } from '../../base/errors.ts';
import type { AccountId } from '../../base/ids.ts';
import { settlesAt } from '../change/pending.ts';
import { subjectOf } from '../change/subject.ts';
import type { Context } from '../context.ts';
import type { BatchEntry } from '../resolution/batch.ts';
import { retryMs } from '../plan/next.ts';
import { conflictedAccounts, resolveInBatches } from '../resolution/batch.ts';
import { conflictOf } from '../resolution/conflict.ts';
import { reconcileAccount } from '../resolution/reconcile.ts';
import { noteSeen } from '../resolution/settle.ts';

const self: Actor = { kind: 'system', part: 'resolver' };

export interface Resolver extends AsyncDisposable {
  /** Something may be in conflict: look soon. */
  wake(): void;
  /** Looks now; resolves when the round, and one that was asked for meanwhile, is over. */
  settle(): Promise<void>;
}

/** Starts the rounds. They end with the disposal, which waits for the running one to be called off. */
export function resolveConflicts(context: Context, signal: AbortSignal): Resolver {
  const end = new AbortController();
  const over = AbortSignal.any([signal, end.signal]);
  let running: Promise<void> | undefined;
  let again = false;
  /** When a lost value was last to be replaced: what did not come to anything is done again in a while, or after a start. */
  const replaced = new Map<AccountId, number>();

  function wake(): void {
    if (over.aborted) return;
    if (running !== undefined) {
      again = true;
      return;
    }
    running = round(context, replaced, over)
      .catch((error: unknown) => {
        if (!over.aborted) context.log.error({}, `conflicts could not be looked after: ${wordsOf(error)}`);
      })
      .finally(() => {
        running = undefined;
        if (!again) return;
        again = false;
        wake();
      });
  }
  async function settle(): Promise<void> {
    wake();
    while (running !== undefined) await running;
  }
  wake();
  const timer = setInterval(wake, Math.max(context.timing.pollMs, 1000));
  return {
    wake,
    settle,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      end.abort(new Error('rotation was closed'));
      await running;
    },
  };
}

async function round(context: Context, replaced: Map<AccountId, number>, signal: AbortSignal): Promise<void> {
  const due: AccountId[] = [];
  const lost = new Set<AccountId>();
  // One account that breaks keeps no other from its turn.
  const each = async (id: AccountId, look: () => Promise<void>): Promise<void> => {
    signal.throwIfAborted();
    try {
      await look();
    } catch (error) {
      signal.throwIfAborted();
      context.log.error({ account: id }, `a conflict could not be looked after: ${wordsOf(error)}`);
    }
  };
  for (const id of await conflictedAccounts(context))
    await each(id, async () => {
      const work = await workOf(context, id, signal);
      if (work === 'resolve') due.push(id);
      if (work === 'replace' && (replaced.get(id) ?? 0) + retryMs <= context.clock.now()) lost.add(id);
    });
  const told = ({ account, answer }: BatchEntry): void => {
    if (isRefusal(answer)) return context.log.debug({ account }, `not resolved: ${answer.reason}`);
    if (answer.outcome === 'manual' && answer.because === 'none-accepted') lost.add(account);
    if (answer.outcome === 'resolved') context.log.info({ account }, `a conflict was resolved: ${answer.words}`);
  };
  await resolveInBatches(context, due, { actor: self, demanded: false }, told, signal);
  for (const id of lost) {
    replaced.set(id, context.clock.now());
    await each(id, async () => await reconcileIfTold(context, id, signal));
  }
}

/** What is to be done now: nothing for those that wait, or are a person's. */
async function workOf(
  context: Context,
  id: AccountId,
  signal: AbortSignal,
): Promise<'resolve' | 'replace' | undefined> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) return undefined;
  const conflict = await conflictOf(context, subject, { demanded: false }, signal);
  const { step, lastTry } = conflict;
  if (step.kind === 'wait') {
    await noteSeen(context, subject, conflict);
    if (step.because !== 'pending') return undefined;
    return (await settlesAt(context, subject)) <= context.clock.now() ? 'resolve' : undefined;
  }
  // It was found lost, and whoever found it did not live to replace it, or could not.
  if (step.kind === 'manual' && step.because === 'none-accepted') return 'replace';
  // Left to a person without a try: it is written down, once, so that it is an alert.
  return step.kind === 'verify' || (step.kind === 'manual' && lastTry === null && conflict.words === '')
    ? 'resolve'
    : undefined;
}

/** W-39: where the account says so, a lost value is replaced without being asked. */
export async function reconcileIfTold(context: Context, id: AccountId, signal: AbortSignal): Promise<void> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject) || !subject.account.autoReconcile || subject.reconciler === undefined) return;
  const result = await reconcileAccount(context, id, self, signal);
  const words = isRefusal(result) ? result.reason : result.words;
  context.log.info({ account: id }, `reconciliation: ${words}`);
}
