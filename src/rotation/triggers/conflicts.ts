/**
 * Resolving conflicts without being asked (B-16): at once after a change of this node ended uncertain, soon after another
 * node's facts have arrived, and by poll. One round at a time; what comes meanwhile is the next round. An account that waits,
 * or is a person's, is looked at again when something of it has changed, and otherwise only now and then.
 */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal, wordsOf } from '../../base/errors.ts';
import type { AccountId } from '../../base/ids.ts';
import { settlesAt } from '../change/pending.ts';
import { type Subject, subjectOf } from '../change/subject.ts';
import type { Context } from '../context.ts';
import type { BatchEntry } from '../resolution/batch.ts';
import { retryMs } from '../plan/next.ts';
import { mayDecideNow } from '../plan/resolve.ts';
import { conflictVersions, resolveInBatches } from '../resolution/batch.ts';
import { conflictOf } from '../resolution/conflict.ts';
import { reconcileAccount } from '../resolution/reconcile.ts';
import { noteSeen, noteTry } from '../resolution/settle.ts';

const self: Actor = { kind: 'system', part: 'resolver' };

export interface Resolver extends AsyncDisposable {
  /** Something may be in conflict: look soon. */
  wake(): void;
  /** Looks at every account now; resolves when the round, and one that was asked for meanwhile, is over. */
  settle(): Promise<void>;
}

/** What only a look finds out: another managing node, a switch, a node that is heard again. */
const quietMs = 30_000;

/** What a process keeps between rounds; forgetting it costs a look, and nothing else. */
interface Memory {
  /** When a lost value was last to be replaced: what did not come to anything is done again in a while, or after a start. */
  readonly replaced: Map<AccountId, number>;
  /** Accounts with nothing to do, as they were then, and until when. */
  readonly quiet: Map<AccountId, { readonly version: string; readonly until: number }>;
}

/** Starts the rounds. They end with the disposal, which waits for the running one to be called off. */
export function resolveConflicts(context: Context, signal: AbortSignal): Resolver {
  const end = new AbortController();
  const over = AbortSignal.any([signal, end.signal]);
  let running: Promise<void> | undefined;
  let again: 'no' | 'due' | 'all' = 'no';
  const memory: Memory = { replaced: new Map(), quiet: new Map() };

  function look(all: boolean): void {
    if (over.aborted) return;
    if (running !== undefined) {
      again = all || again === 'all' ? 'all' : 'due';
      return;
    }
    if (all) memory.quiet.clear();
    running = round(context, memory, over)
      .catch((error: unknown) => {
        if (!over.aborted) context.log.error({}, `conflicts could not be looked after: ${wordsOf(error)}`);
      })
      .finally(() => {
        running = undefined;
        if (again === 'no') return;
        const all = again === 'all';
        again = 'no';
        look(all);
      });
  }
  const wake = (): void => look(false);
  async function settle(): Promise<void> {
    look(true);
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

async function round(context: Context, { replaced, quiet }: Memory, signal: AbortSignal): Promise<void> {
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
  const conflicted = await conflictVersions(context);
  for (const id of quiet.keys()) if (!conflicted.has(id)) quiet.delete(id);
  for (const [id, version] of conflicted) {
    const known = quiet.get(id);
    if (known?.version === version && known.until > context.clock.now()) continue;
    await each(id, async () => {
      const work = await workOf(context, id, signal);
      if (work === 'resolve') due.push(id);
      if (work === 'replace' && (replaced.get(id) ?? 0) + retryMs <= context.clock.now()) lost.add(id);
      const until = Math.min(typeof work === 'number' ? work : Number.POSITIVE_INFINITY, context.clock.now() + quietMs);
      if (work !== 'resolve') quiet.set(id, { version, until });
    });
  }
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

/** What is to be done now; or when to look again, for those that wait or are a person's. */
async function workOf(context: Context, id: AccountId, signal: AbortSignal): Promise<'resolve' | 'replace' | number> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) return Number.POSITIVE_INFINITY;
  const conflict = await conflictOf(context, subject, { demanded: false }, signal);
  const { step, lastTry } = conflict;
  if (step.kind === 'wait') {
    await noteSeen(context, subject, conflict);
    if (step.because === 'not-managing') await tellPerson(context, subject, signal);
    if (step.because !== 'pending') return step.until;
    const until = await settlesAt(context, subject);
    return until <= context.clock.now() ? 'resolve' : until;
  }
  // It was found lost, and whoever found it did not live to replace it, or could not.
  if (step.kind === 'manual' && step.because === 'none-accepted') return 'replace';
  // Left to a person without a try: it is written down, once, so that it is an alert.
  return step.kind === 'verify' || (step.kind === 'manual' && lastTry === null && conflict.words === '')
    ? 'resolve'
    : Number.POSITIVE_INFINITY;
}

/** Where the node that resolves is down nobody else tries anything, and somebody is told so, once. */
async function tellPerson(context: Context, subject: Subject, signal: AbortSignal): Promise<void> {
  const where = await context.peers.mayDecide(subject.policy.id);
  if (!where.may || where.as !== 'stand-in') return;
  const conflict = await conflictOf(context, subject, { demanded: false, standIn: true }, signal);
  if (conflict.lastTry !== null || !mayDecideNow(conflict.step, true)) return;
  const words = `nodes inconsistent: ${where.node} resolves for this policy and is silent`;
  await noteTry(context, subject, conflict, { kind: 'manual', because: 'nodes-inconsistent' }, words, self);
}

/** W-39: where the account says so, a lost value is replaced without being asked. */
export async function reconcileIfTold(context: Context, id: AccountId, signal: AbortSignal): Promise<void> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject) || !subject.account.autoReconcile || subject.reconciler === undefined) return;
  const result = await reconcileAccount(context, id, self, signal);
  const words = isRefusal(result) ? result.reason : result.words;
  context.log.info({ account: id }, `reconciliation: ${words}`);
}
