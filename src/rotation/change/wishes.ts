/**
 * Changes that an event or a list asked for, and that nobody waits for. A wish stays until a value that is younger than
 * it is current, so that none is lost, whatever happens in between.
 */
import { sql } from 'kysely';
import { type Actor, record } from '../../audit/audit.ts';
import type { AccountId } from '../../base/ids.ts';
import type { Db, Tx } from '../../db/db.ts';
import type { Context } from '../context.ts';
import type { Wish } from '../plan/next.ts';
import { commit } from '../points.ts';

/** The channel on which accounts are named, by their ids, that are to be looked at soon. */
export const lookChannel = 'rotation_look';

/** Announces, when the transaction commits, that there may be something to do for an account. */
export async function announceLook(tx: Tx, account: AccountId): Promise<void> {
  await sql`select pg_notify(${lookChannel}, ${account})`.execute(tx);
}

/** Keeps the wish for each of these accounts; they are looked at soon. */
export async function wishFor(
  context: Context,
  accounts: readonly AccountId[],
  wish: { readonly trigger: Wish['trigger']; readonly reason: string },
  actor: Actor,
): Promise<void> {
  const now = context.clock.now();
  await commit(context, 'wish', (tx) => keepWishes(tx, accounts, wish, actor, now));
}

/** The same as a part of the caller's transaction. */
export async function keepWishes(
  tx: Tx,
  accounts: readonly AccountId[],
  wish: { readonly trigger: Wish['trigger']; readonly reason: string },
  actor: Actor,
  now: number,
): Promise<void> {
  for (const account of accounts) {
    await tx
      .insertInto('rotation_wish')
      .values({ account_id: account, ...wish, at: new Date(now) })
      .execute();
    await record(tx, actor, { type: 'rotation.wished', about: { account }, details: wish });
    await announceLook(tx, account);
  }
}

/** Wishes that are younger than the current value. */
export async function wishesOf(db: Db | Tx, account: AccountId, since: number): Promise<Wish[]> {
  const rows = await db
    .selectFrom('rotation_wish')
    .select(['trigger', 'at'])
    .where('account_id', '=', account)
    .where('at', '>', new Date(since))
    .orderBy('at', 'desc')
    .limit(1)
    .execute();
  return rows.map(({ trigger, at }) => ({ trigger, at: at.getTime() }));
}
