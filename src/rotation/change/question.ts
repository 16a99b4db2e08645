/** Reads from the database what `plan` must know of one account. */
import { sql } from 'kysely';
import type { AccountId } from '../../base/ids.ts';
import { usesOf } from '../../vault/vault.ts';
import type { Context } from '../context.ts';
import { foldOf } from '../ledger/ledger.ts';
import { leaseOf } from '../ledger/lease.ts';
import { notesOf } from '../ledger/notes.ts';
import { managementOf } from '../management.ts';
import type { AccountSettings, Demand, Question } from '../plan/next.ts';
import { usualRetry } from '../plan/schedule.ts';
import type { Subject } from './subject.ts';
import { wishesOf } from './wishes.ts';

/** `mine`: the caller has the lease, so it does not count. */
export async function questionOf(
  context: Context,
  subject: Subject,
  how: { readonly demanded: Demand | false; readonly mine: boolean },
): Promise<Question> {
  const { db, clock } = context;
  const id: AccountId = subject.account.id;
  const { facts, fold } = await foldOf(db, id);
  const { calendar, localFallback } = await managementOf(db, subject.policy);
  const currentSince = facts.randomizations.find((fact) => fact.sigkey === fold.root)?.createdAt ?? null;
  const settings: AccountSettings = {
    enabled: subject.policy.rotation,
    connector: subject.connector !== undefined,
    rotateAfterSession: subject.account.rotateAfterSession,
    skipWhileInUse: subject.skipWhileInUse,
    localFallback,
  };
  // The newest of each trigger, so that many failures of one do not push those of another out of sight.
  const attempts = await db
    .selectFrom((from) =>
      from
        .selectFrom('rotation_attempt')
        .select(['trigger', 'started_at', 'ended_at', 'result'])
        .select(sql<number>`row_number() over (partition by trigger order by ended_at desc)`.as('nth'))
        .where('account_id', '=', id)
        .where('result', 'in', ['confirmed', 'failed', 'uncertain', 'skipped'])
        .as('attempt'),
    )
    .selectAll()
    .where('nth', '<=', (calendar.schedule?.retry ?? usualRetry).count + 2)
    .orderBy('ended_at', 'desc')
    .execute();
  const now = clock.now();
  return {
    account: id,
    fold,
    settings,
    calendar,
    notes: await notesOf(db, id, currentSince ?? 0),
    wishes: await wishesOf(db, id, currentSince ?? 0),
    here: await context.peers.mayRotate(subject.policy.id),
    uses: (await usesOf(db, id)).map((use) => ({
      kind: use.kind,
      since: use.createdAt.getTime(),
      releasedAt: use.releasedAt?.getTime() ?? null,
    })),
    attempts: attempts.map((row) => ({
      trigger: row.trigger,
      startedAt: row.started_at.getTime(),
      at: row.ended_at.getTime(),
      done: row.result === 'confirmed',
    })),
    currentSince,
    lease: how.mine ? null : await leaseOf(db, id, now),
    demanded: how.demanded,
    now,
  };
}
