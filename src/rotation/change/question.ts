/** Reads from the database what `plan` must know of one account. */
import type { AccountId } from '../../base/ids.ts';
import { usesOf } from '../../vault/vault.ts';
import type { Context } from '../context.ts';
import { foldOf } from '../ledger/ledger.ts';
import { leaseOf } from '../ledger/lease.ts';
import { type AccountSettings, type Question, retryCount } from '../plan/next.ts';
import type { Subject } from './subject.ts';

/** `mine`: the caller has the lease, so it does not count. */
export async function questionOf(
  context: Context,
  subject: Subject,
  how: { readonly demanded: boolean; readonly mine: boolean },
): Promise<Question> {
  const { db, clock } = context;
  const id: AccountId = subject.account.id;
  const { facts, fold } = await foldOf(db, id);
  const settings: AccountSettings = {
    enabled: subject.policy.rotation,
    connector: subject.connector !== undefined,
    rotateAfterSession: subject.account.rotateAfterSession,
    skipWhileInUse: subject.skipWhileInUse,
  };
  const attempts = await db
    .selectFrom('rotation_attempt')
    .select(['trigger', 'ended_at', 'result'])
    .where('account_id', '=', id)
    .where('result', 'in', ['confirmed', 'failed', 'uncertain', 'skipped'])
    .orderBy('ended_at', 'desc')
    .limit(retryCount + 2)
    .execute();
  const now = clock.now();
  return {
    fold,
    settings,
    uses: (await usesOf(db, id)).map((use) => ({
      kind: use.kind,
      since: use.createdAt.getTime(),
      releasedAt: use.releasedAt?.getTime() ?? null,
    })),
    attempts: attempts.map((row) => ({
      trigger: row.trigger,
      at: row.ended_at.getTime(),
      done: row.result === 'confirmed',
    })),
    currentSince: facts.randomizations.find((fact) => fact.sigkey === fold.root)?.createdAt ?? null,
    lease: how.mine ? null : await leaseOf(db, id, now),
    demanded: how.demanded,
    now,
  };
}
