/**
 * How soon a conflict that arises on one node is seen on the other: from the commit of the uncertain outcome to the fold
 * that says so. Two clusters of this machine with native logical replication, so the way between them is a unix socket,
 * and nothing waits for a disk.
 */
import type { AccountId } from '../src/base/ids.ts';
import { silent } from '../src/base/log.ts';
import { watchArrivals } from '../src/rotation/nodes/arrivals.ts';
import { nodesStage } from '../test/e2e/nodes-stage.ts';
import { type Spread, spreadOf } from './statistics.ts';

/** Milliseconds, of so many accounts one after the other. */
export async function measureConflicts(accounts: number): Promise<Spread> {
  const names = Array.from({ length: accounts }, (_, at) => `app${at}`);
  await using stage = await nodesStage(['a', 'b'], names);
  await stage.linkAll(['a', 'b']);
  const [a, b] = [stage.node('a'), stage.node('b')];
  const seen = new Map<AccountId, PromiseWithResolvers<number>>();
  await using _ = await watchArrivals(
    { db: b.db, vault: b.vault, log: silent },
    b.cluster.appUrl,
    (account, fold) => {
      if (fold.conflict !== 'none') seen.get(account)?.resolve(performance.now());
    },
    new AbortController().signal,
  );
  const times: number[] = [];
  for (const name of names) {
    const account = await a.account(name);
    const root = await a.rotate(account, null);
    const next = await a.write(account, root);
    const conflict = Promise.withResolvers<number>();
    seen.set(account, conflict);
    await a.conclude(account, next, 'U');
    const committed = performance.now();
    times.push((await conflict.promise) - committed);
  }
  return spreadOf(times);
}
