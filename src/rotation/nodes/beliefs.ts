/** What each node takes an account's current value to be, by its own word (the `advance` facts). */
import type { AccountId, Sigkey } from '../../base/ids.ts';
import type { Db } from '../../db/db.ts';
import type { Fold } from '../plan/fold.ts';
import { saidAfter, siteOf } from '../plan/site.ts';

export interface Belief {
  readonly node: string;
  readonly current: Sigkey | null;
}

/**
 * The last word of every node. Nodes that hold the same facts may still differ: each believed its own value before it
 * heard of the other's, and in a conflict goes on doing so. Of this node without a conflict it is what the fold says.
 */
export async function beliefsOf(db: Db, here: string, account: AccountId, fold: Fold): Promise<readonly Belief[]> {
  const rows = await db
    .selectFrom('advance')
    .select(['node', 'node_seq as seq', 'root'])
    .where('account_id', '=', account)
    .execute();
  const last = new Map<string, (typeof rows)[number]>();
  for (const row of rows) {
    const before = last.get(siteOf(row.node));
    if (before === undefined || saidAfter(row, before)) last.set(siteOf(row.node), row);
  }
  const own = last.get(siteOf(here));
  last.delete(siteOf(here));
  const current = fold.conflict === 'none' || own === undefined ? fold.root : own.root;
  const others = [...last].map(([node, { root }]) => ({ node, current: root }));
  return [{ node: siteOf(here), current }, ...others.sort((a, b) => (a.node < b.node ? -1 : 1))];
}
