/**
 * Writing a decision down: the resolution as a fact, the rows of what it did to every value, audit event and attempt, in
 * one transaction under the lease. Also what was tried in vain, so that it is not tried over and over.
 */
import { type Actor, record } from '../../audit/audit.ts';
import type { Sigkey } from '../../base/ids.ts';
import type { Tx } from '../../db/db.ts';
import { noteAttempt } from '../change/outcome.ts';
import type { Subject } from '../change/subject.ts';
import { announceLook } from '../change/wishes.ts';
import type { Context } from '../context.ts';
import { RotationError } from '../errors.ts';
import { type Lease, stillLeased } from '../ledger/lease.ts';
import { addResolution } from '../ledger/ledger.ts';
import type { Decision, ResolutionAction } from '../plan/facts.ts';
import { silentTries, type Verdict } from '../plan/resolve.ts';
import { commit } from '../points.ts';
import type { Conflict } from './conflict.ts';
import { type VerificationId, type Verified, writeVerifications } from './verifications.ts';

export interface Settled {
  readonly action: ResolutionAction;
  readonly decision: Decision;
  readonly verification: VerificationId;
  readonly actor: Actor;
  readonly started: number;
  /** What it did to every value that it touched. */
  readonly values: readonly Verified[];
  /** Why, for people. */
  readonly words: string;
}

/** Throws `rotation.lease-lost` where somebody else has taken over; then nothing is written. */
export async function settleConflict(
  context: Context,
  subject: Subject,
  lease: Lease,
  settled: Settled,
): Promise<void> {
  const { account } = subject;
  await commit(context, 'resolution', async (tx) => {
    if (!(await stillLeased(tx, account.id, lease.token)))
      throw new RotationError('rotation.lease-lost', account.label);
    await writeSettled(context, subject, tx, settled);
  });
}

/** The same in the transaction of something that stands or falls with it. The caller knows that the lease still holds. */
export async function writeSettled(context: Context, subject: Subject, tx: Tx, settled: Settled): Promise<void> {
  const { account } = subject;
  const { action, decision, actor, started, values, words } = settled;
  const at = context.clock.now();
  await addResolution(tx, context.vault, {
    account: account.id,
    node: context.node,
    action,
    decision,
    tested: values.map(({ sigkey, retcode }) => ({ sigkey, answer: retcode })),
    requester: JSON.stringify(actor),
    at,
  });
  const verification = { id: settled.verification, node: context.node, action, actor };
  await writeVerifications(tx, subject, verification, values);
  await tx.deleteFrom('conflict_try').where('account_id', '=', account.id).execute();
  const sigkey: Sigkey | null = decision.kind === 'root' ? decision.root : decision.sigkey;
  const about = { account: account.id, target: account.target.id, ...(sigkey === null ? {} : { sigkey }) };
  const details = { action, tried: values.length, reason: words };
  await record(tx, actor, { type: 'rotation.resolved', about, details });
  const note = { account: account.id, trigger: 'resolution', actor, started, ended: at, sigkey, message: words };
  await noteAttempt(tx, { ...note, result: 'resolved', class: null });
  // What was put off while nobody knew which value holds may be done now.
  await announceLook(tx, account.id);
}

/**
 * Remembers a try that decided nothing, and says how many found the target silent. The first that leaves it to a person
 * is an alert, and so is a silence that lasts.
 */
export async function noteTry(
  context: Context,
  subject: Subject,
  conflict: Conflict,
  verdict: Verdict,
  words: string,
  actor: Actor,
): Promise<number> {
  const { account } = subject;
  const now = new Date(context.clock.now());
  return await commit(context, 'conflict try', async (tx) => {
    const before = await tx
      .selectFrom('conflict_try')
      .selectAll()
      .where('account_id', '=', account.id)
      .executeTakeFirst();
    const same = before?.digest === conflict.digest ? before : undefined;
    const silent = verdict.kind === 'again' && verdict.because === 'silent';
    const count = (same?.count ?? 0) + (silent ? 1 : 0);
    const alerted = verdict.kind === 'manual' || (silent && count >= silentTries);
    const row = {
      digest: conflict.digest,
      since: new Date(conflict.since),
      tried_at: now,
      count,
      verdict: JSON.stringify(verdict),
      words,
      alerted: alerted || same?.alerted === true,
    };
    await tx
      .insertInto('conflict_try')
      .values({ account_id: account.id, ...row })
      .onConflict((there) => there.column('account_id').doUpdateSet(row))
      .execute();
    if (!alerted || same?.alerted === true) return count;
    const about = { account: account.id, target: account.target.id };
    await record(tx, actor, { type: 'rotation.alert', about, details: { reason: words } });
    return count;
  });
}

/** That a conflict was seen, so that waiting for other nodes has a beginning; written once for the same facts. */
export async function noteSeen(context: Context, subject: Subject, conflict: Conflict): Promise<void> {
  if (conflict.seen) return;
  const row = { digest: conflict.digest, since: new Date(conflict.since), tried_at: null, count: 0, verdict: null };
  await commit(context, 'conflict try', (tx) =>
    tx
      .insertInto('conflict_try')
      .values({ account_id: subject.account.id, ...row, words: '', alerted: false })
      .onConflict((there) =>
        there
          .column('account_id')
          .doUpdateSet({ ...row, words: '', alerted: false })
          .where('conflict_try.digest', '!=', conflict.digest),
      )
      .execute(),
  );
}
