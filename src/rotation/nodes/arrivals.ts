/**
 * Facts that came from other nodes: folded as soon as the database announces them, at the start, after a lost connection,
 * and by a timer. Each fact that came left a line in `ledger_arrival`; the line goes away in the transaction that folds
 * its account, so nothing is forgotten if the process dies, and folding twice does no harm. Until then readers see what
 * the account may have become in `account_state`.
 */
import { wordsOf } from '../../base/errors.ts';
import type { AccountId } from '../../base/ids.ts';
import { inTransaction, listen } from '../../db/db.ts';
import type { Context } from '../context.ts';
import { reproject } from '../ledger/ledger.ts';
import type { Fold } from '../plan/fold.ts';
import { nodeState } from './identity.ts';

type Need = Pick<Context, 'db' | 'vault' | 'log'>;

/** Told of each account to which something came, after it was folded: the place from where conflicts are resolved. */
export type OnFolded = (account: AccountId, fold: Fold) => void;

export interface Arrivals extends AsyncDisposable {
  /** Folds all that has come so far. */
  settle(): Promise<void>;
}

const lookAgainMs = 5_000;
const atOnce = 4;

/** Folds every account to which facts have come. Returns how many; those that must wait for more are not counted. */
export async function foldArrivals(context: Need, onFolded: OnFolded): Promise<number> {
  // It could not say what it then takes for current.
  if ((await nodeState(context.db)).state === 'asking') return 0;
  const rows = await context.db
    .selectFrom('ledger_unfolded')
    .innerJoin('account', 'account.id', 'ledger_unfolded.account_id')
    .select('account.id')
    .distinct()
    .execute();
  const open = rows.map((row) => row.id);
  let folded = 0;
  const work = async (): Promise<void> => {
    for (let account = open.shift(); account !== undefined; account = open.shift()) {
      const fold = await foldOne(context, account);
      if (fold === undefined) continue;
      folded += 1;
      onFolded(account, fold);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return folded;
}

/** Undefined while the account must wait for more facts, or when somebody else was faster. */
async function foldOne({ db, vault }: Need, account: AccountId): Promise<Fold | undefined> {
  return inTransaction(db, async (tx) => {
    // Read before the facts are: what comes later has a line of its own.
    const lines = await tx.selectFrom('ledger_unfolded').select('id').where('account_id', '=', account).execute();
    if (lines.length === 0) return undefined;
    const fold = await reproject(tx, vault, account);
    if (fold === 'waiting') return undefined;
    const ids = lines.map((line) => line.id);
    await tx.deleteFrom('ledger_arrival').where('id', 'in', ids).execute();
    return fold;
  });
}

/** Folds until disposed of. Without `url` it does so only when told (`settle`). */
export async function watchArrivals(
  context: Need,
  url: string | undefined,
  onFolded: OnFolded,
  signal: AbortSignal,
): Promise<Arrivals> {
  const end = new AbortController();
  const over = AbortSignal.any([signal, end.signal]);
  let running: Promise<void> | undefined;
  let again = false;

  /** One pass at a time; a wish that comes meanwhile is a pass afterwards. */
  function look(): Promise<void> {
    if (running !== undefined) {
      again = true;
      return running;
    }
    running = pass().finally(() => {
      running = undefined;
    });
    return running;
  }
  async function pass(): Promise<void> {
    do {
      again = false;
      try {
        await foldArrivals(context, onFolded);
      } catch (error) {
        if (!over.aborted) context.log.warn({}, `facts of other nodes could not be folded yet: ${wordsOf(error)}`);
        return;
      }
    } while (again && !over.aborted);
  }

  if (url === undefined) return { settle: look, [Symbol.asyncDispose]: async () => await running };
  const wake = (): void => void look();
  await listen(url, ['ledger'], { onEvent: wake, onReconnected: wake }, context.log, over);
  wake();
  const timer = setInterval(wake, lookAgainMs);
  return {
    settle: look,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      end.abort(new Error('arrivals were closed'));
      await running;
    },
  };
}
