/**
 * The loop that asks `plan` and does what it says without being asked: after a hold went away, after a wish, at the start,
 * after a lost connection to the database, and by the timer. Of thousands that are due, so many at a time per target and in
 * all (plan/choose.ts). It keeps nothing in memory but who is at work, and when an account need not be looked at again:
 * forgetting that costs a look, and nothing else.
 */
import { wordsOf } from '../../base/errors.ts';
import { type AccountId, parseId, type TargetId } from '../../base/ids.ts';
import { listen } from '../../db/db.ts';
import { lookChannel } from '../change/wishes.ts';
import type { Context } from '../context.ts';
import { releaseHoldsOfTheDead } from '../ledger/lease.ts';
import { watchArrivals } from '../nodes/arrivals.ts';
import { choose, type Ready } from '../plan/choose.ts';
import { act } from './act.ts';
import { resolveConflicts } from './conflicts.ts';
import { discoverNightly } from './nightly.ts';
import { readyAccounts } from './ready.ts';

/** An account with nothing to do, or that waits, is left alone so long, in milliseconds, unless something happens to it. */
const quietMs = 60_000;

export interface Watch extends AsyncDisposable {
  /** Looks at every account now; resolves when all that came of it is done. */
  settle(): Promise<void>;
}

/** Starts the loop. It ends with its disposal, which waits for what is running to be called off. */
export async function watch(context: Context, url: string | undefined, signal: AbortSignal): Promise<Watch> {
  const end = new AbortController();
  const over = AbortSignal.any([signal, end.signal]);
  const resolver = resolveConflicts(context, over);
  const nightly = discoverNightly(context, over);
  const running = new Map<AccountId, { readonly target: TargetId; readonly work: Promise<void> }>();
  /** Who may begin, by account; and until when others need not be looked at. */
  const ready = new Map<AccountId, Ready>();
  const quiet = new Map<AccountId, number>();
  const { perTarget, overall } = context.rules;

  function fill(): void {
    if (over.aborted) return;
    const free = [...ready.values()].filter(({ account }) => !running.has(account));
    const busy = [...running.values()].map(({ target }) => target);
    for (const next of choose(free, busy, { perTarget, overall })) start(next);
  }
  function start({ account, target }: Ready): void {
    ready.delete(account);
    const work = act(context, account, over)
      .then(({ again, uncertain }) => {
        quiet.set(account, Math.min(again, context.clock.now() + quietMs));
        if (uncertain) resolver.wake();
      })
      .catch((error: unknown) => {
        if (!over.aborted) context.log.error({ account }, `an account could not be looked after: ${wordsOf(error)}`);
        quiet.set(account, context.clock.now() + quietMs);
      })
      .finally(() => {
        running.delete(account);
        fill();
      });
    running.set(account, { target, work });
  }
  /** Reads who may have something to do. `all`: also those that were quiet. */
  async function look(all: boolean): Promise<void> {
    const now = context.clock.now();
    await releaseHoldsOfTheDead(context.db);
    for (const one of await readyAccounts(context, now))
      if (all || (quiet.get(one.account) ?? 0) <= now) ready.set(one.account, one);
    fill();
  }
  let looking: Promise<void> | undefined;
  function lookSoon(all: boolean): void {
    looking ??= look(all)
      .catch((error: unknown) => {
        if (!over.aborted) context.log.warn({}, `accounts could not be read: ${wordsOf(error)}`);
      })
      .finally(() => {
        looking = undefined;
      });
  }
  /** Something happened to one account: it goes before those that are due by the clock. */
  async function lookAt(account: AccountId): Promise<void> {
    quiet.delete(account);
    const row = await context.db.selectFrom('account').select('target_id').where('id', '=', account).executeTakeFirst();
    if (row?.target_id == null) return;
    ready.set(account, { account, target: row.target_id, since: 0 });
    fill();
  }

  const lookSafely = (id: AccountId): void => {
    lookAt(id).catch((error: unknown) => {
      if (!over.aborted) context.log.warn({ account: id }, `an account could not be read: ${wordsOf(error)}`);
    });
  };

  // What other nodes said is folded here too, and a conflict that it brings is looked into at once.
  const arrivals = await watchArrivals(
    context,
    url,
    (id, fold) => {
      if (fold.conflict !== 'none') resolver.wake();
      lookSafely(id);
    },
    over,
  );
  if (url !== undefined) {
    const onEvent = (_: string, payload: string): void => {
      const id = parseId<AccountId>(payload);
      if (id !== undefined) lookSafely(id);
    };
    const onReconnected = (): void => lookSoon(true);
    await listen(url, ['hold_released', lookChannel], { onEvent, onReconnected }, context.log, over);
  }
  // After LISTEN, so that nothing falls between the two.
  lookSoon(true);
  void nightly.look();
  const timer = setInterval(() => {
    lookSoon(false);
    void nightly.look();
  }, context.timing.pollMs);
  const idle = async (): Promise<void> => {
    while (running.size > 0) await Promise.all([...running.values()].map(({ work }) => work));
  };
  return {
    settle: async () => {
      await arrivals.settle();
      await looking;
      await look(true);
      await idle();
      await nightly.look();
      await resolver.settle();
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      end.abort(new Error('rotation was closed'));
      await arrivals[Symbol.asyncDispose]();
      await looking;
      await idle();
      await nightly.look();
      await resolver[Symbol.asyncDispose]();
    },
  };
}
