/** Which accounts may have something to do now, found by a few queries over all of them; `plan` says of each whether it has. */
import { sql } from 'kysely';
import type { AccountId, PolicyId, TargetId } from '../../base/ids.ts';
import type { Context } from '../context.ts';
import { dueAccounts } from '../management.ts';
import type { Ready } from '../plan/choose.ts';
import { budgetMs } from '../plan/resolve.ts';
import { unheard, untried } from '../resolution/sync-state.ts';

/** Due by schedule or age; used by a session that ended; wished for; pending; or not tried at the target for long. */
export async function readyAccounts(context: Context, now: number): Promise<readonly Ready[]> {
  const found = new Map<AccountId, Ready>();
  const add = (one: Ready): void => {
    const before = found.get(one.account);
    if (before === undefined || one.since < before.since) found.set(one.account, one);
  };
  for (const one of await dueAccounts(context.db, now)) add(one);
  for (const one of await unsettled(context)) add(one);
  for (const one of await unchecked(context, now)) add(one);
  return [...found.values()];
}

/** What an event left: a session that ended, a wish, a pending value. It goes before what is due by the clock. */
async function unsettled({ db }: Context): Promise<Ready[]> {
  const rows = await db
    .selectFrom('account')
    .leftJoin('ledger_account', 'ledger_account.account_id', 'account.id')
    .leftJoin('account_current', 'account_current.account_id', 'account.id')
    .leftJoin('randomization as fact', 'fact.sigkey', 'account_current.sigkey')
    .select(['account.id', 'account.target_id'])
    .where('account.removed_at', 'is', null)
    .where((is) =>
      is.or([
        is('ledger_account.busy', '=', true),
        is.and([
          is('account.rotate_after_session', '=', true),
          is.exists(
            is
              .selectFrom('hold')
              .select('hold.id')
              .whereRef('hold.account_id', '=', 'account.id')
              .where('hold.kind', '=', 'session')
              .where('hold.released_at', 'is not', null)
              .where(sql<boolean>`hold.released_at > coalesce(fact.created_at, '-infinity')`),
          ),
        ]),
        is.exists(
          is
            .selectFrom('rotation_wish')
            .select('rotation_wish.id')
            .whereRef('rotation_wish.account_id', '=', 'account.id')
            .where(sql<boolean>`rotation_wish.at > coalesce(fact.created_at, '-infinity')`),
        ),
      ]),
    )
    .execute();
  return rows.flatMap(({ id, target_id: target }) => (target === null ? [] : [{ account: id, target, since: 0 }]));
}

/**
 * Of the accounts that this node resolves: those whose current value was not tried at the target for the time of a
 * heartbeat, those where former values are still to be tried and refused logins no longer count, and those where an
 * outcome came too late since the last time: what it speaks of may be what the target has.
 */
export async function unchecked(context: Context, now: number, only?: AccountId): Promise<Ready[]> {
  const { db, rules, peers } = context;
  if (rules.heartbeatMs <= 0) return [];
  const oldest = new Date(now - rules.heartbeatMs);
  const rows = await db
    .selectFrom('account')
    .$if(only !== undefined, (query) => query.where('account.id', '=', only ?? null))
    .innerJoin('account_current', 'account_current.account_id', 'account.id')
    .innerJoin('ledger_account', 'ledger_account.account_id', 'account.id')
    .leftJoin('account_sync', 'account_sync.account_id', 'account.id')
    .select(['account.id', 'account.target_id', 'account.policy_id'])
    .select(['account_sync.checked_at', 'account_current.changed_at'])
    .where('account.removed_at', 'is', null)
    .where('account.connector', 'is not', null)
    .where('account_current.sigkey', 'is not', null)
    .where('ledger_account.conflict', '=', 'none')
    .where((is) =>
      is.or([
        is.and([
          is('account_current.changed_at', '<', oldest),
          is.or([
            is('account_sync.checked_at', 'is', null),
            is('account_sync.checked_at', '<', oldest),
            is.and([
              is('account_sync.state', '=', 'out-of-sync'),
              is('account_sync.class', 'in', [untried, unheard]),
              is('account_sync.checked_at', '<', new Date(now - budgetMs)),
            ]),
          ]),
        ]),
        is.exists(
          is
            .selectFrom('rotation_evidence')
            .select('rotation_evidence.id')
            .whereRef('rotation_evidence.account_id', '=', 'account.id')
            .where(sql<boolean>`rotation_evidence.at > coalesce(account_sync.checked_at, '-infinity')`),
        ),
      ]),
    )
    .execute();
  // One node alone: several that try a value would each spend what the target allows of refused logins.
  const mine = new Set<PolicyId>();
  for (const policy of new Set(rows.map((row) => row.policy_id))) if (await peers.mayResolve(policy)) mine.add(policy);
  const own = rows.filter((row) => mine.has(row.policy_id));
  return own.flatMap(({ id, target_id: target, checked_at: checked, changed_at: changed }): Ready[] => {
    const since = Math.max(changed.getTime(), checked?.getTime() ?? 0) + rules.heartbeatMs;
    return target === null ? [] : [{ account: id, target: target as TargetId, since }];
  });
}
