/**
 * The loop that asks `plan` and does what it says without being asked: after a hold went away, at the start, after a lost
 * connection to the database, and by the timer. It keeps nothing in memory but who is being looked at just now.
 */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal, wordsOf } from '../../base/errors.ts';
import { type AccountId, parseId } from '../../base/ids.ts';
import { listen } from '../../db/db.ts';
import type { Context } from '../context.ts';
import { rotateAccount } from '../change/engine.ts';
import { takeLease } from '../ledger/lease.ts';
import { settlePending } from '../change/pending.ts';
import { watchArrivals } from '../nodes/arrivals.ts';
import { plan } from '../plan/next.ts';
import { questionOf } from '../change/question.ts';
import { resolveConflicts } from './conflicts.ts';
import { subjectOf } from '../change/subject.ts';

const self: Actor = { kind: 'system', part: 'rotation' };
/** So many accounts are looked at, and changed, at a time. */
const atOnce = 4;

export interface Watch extends AsyncDisposable {
  /** Looks at every account now; resolves when all that came of it is done. */
  settle(): Promise<void>;
}

/** Starts the loop. It ends with its disposal, which waits for what is running to be called off. */
export async function watch(context: Context, url: string | undefined, signal: AbortSignal): Promise<Watch> {
  const end = new AbortController();
  const over = AbortSignal.any([signal, end.signal]);
  const resolver = resolveConflicts(context, over);
  const running = new Map<AccountId, Promise<void>>();
  const again = new Set<AccountId>();
  const waiting: AccountId[] = [];

  /** One look at a time for an account; a wish that comes meanwhile is a look afterwards. */
  function look(id: AccountId): void {
    if (over.aborted) return;
    if (running.has(id)) again.add(id);
    else if (running.size < atOnce) start(id);
    else if (!waiting.includes(id)) waiting.push(id);
  }
  function start(id: AccountId): void {
    const work = act(context, id, over)
      .then((left) => {
        if (left === 'uncertain') resolver.wake();
      })
      .catch((error: unknown) => {
        if (!over.aborted)
          context.log.error({ account: id }, `an account could not be looked after: ${wordsOf(error)}`);
      })
      .finally(() => {
        running.delete(id);
        if (again.delete(id)) waiting.push(id);
        const next = waiting.shift();
        if (next !== undefined && !over.aborted) start(next);
      });
    running.set(id, work);
  }
  // What other nodes said is folded here too, and a conflict that it brings is looked into at once.
  const arrivals = await watchArrivals(
    context,
    url,
    (id, fold) => {
      if (fold.conflict !== 'none') resolver.wake();
      look(id);
    },
    over,
  );
  async function settle(): Promise<void> {
    await arrivals.settle();
    for (const id of await worthALook(context)) look(id);
    while (running.size > 0) await Promise.all(running.values());
    await resolver.settle();
  }
  function lookAtAll(): void {
    worthALook(context)
      .then((ids) => ids.forEach(look))
      .catch((error: unknown) => context.log.warn({}, `accounts could not be read: ${wordsOf(error)}`));
  }

  if (url !== undefined) {
    const onEvent = (_: string, payload: string): void => {
      const id = parseId<AccountId>(payload);
      if (id !== undefined) look(id);
    };
    await listen(url, ['hold_released'], { onEvent, onReconnected: lookAtAll }, context.log, over);
  }
  // After LISTEN, so that nothing falls between the two.
  lookAtAll();
  const timer = setInterval(lookAtAll, context.timing.pollMs);
  return {
    settle,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      end.abort(new Error('rotation was closed'));
      await arrivals[Symbol.asyncDispose]();
      await Promise.all(running.values());
      await resolver[Symbol.asyncDispose]();
    },
  };
}

/** Accounts for which something may be due: changed after sessions, or with a value that is pending. */
async function worthALook({ db }: Context): Promise<AccountId[]> {
  const rows = await db
    .selectFrom('account')
    .leftJoin('ledger_account', 'ledger_account.account_id', 'account.id')
    .select('account.id')
    .where('account.removed_at', 'is', null)
    .where((is) => is.or([is('account.rotate_after_session', '=', true), is('ledger_account.busy', '=', true)]))
    .execute();
  return rows.map((row) => row.id);
}

/** `uncertain`: something was left that has to be resolved. */
async function act(context: Context, id: AccountId, signal: AbortSignal): Promise<'done' | 'uncertain'> {
  const subject = await subjectOf(context.db, id);
  if (isRefusal(subject)) {
    context.log.debug({ account: id }, `not looked after: ${subject.reason}`);
    return 'done';
  }
  let left: 'done' | 'uncertain' = 'done';
  for (const action of plan(await questionOf(context, subject, { demanded: false, mine: false }))) {
    switch (action.kind) {
      case 'randomize': {
        const result = await rotateAccount(context, id, action.trigger, self, signal);
        if (isRefusal(result)) context.log.warn({ account: id, code: result.code }, `not rotated: ${result.reason}`);
        else if (result.status === 'uncertain') left = 'uncertain';
        break;
      }
      case 'time-out': {
        const { clock, holder, timing } = context;
        await using lease = await takeLease(context.db, id, { holder, clock, ms: timing.leaseMs }, signal);
        if (lease === undefined) return left;
        const settled = await settlePending(context, subject, lease, lease.signal);
        return settled.some((one) => one.status === 'uncertain') ? 'uncertain' : left;
      }
      case 'wait':
      case 'skip':
      case 'alert':
      case 'nothing':
        break;
      default:
        action satisfies never;
    }
  }
  return left;
}
