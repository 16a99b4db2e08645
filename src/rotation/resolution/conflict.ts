/**
 * An account in conflict as the rules see it: its facts, what was tried about exactly these facts, and the next step.
 * Read from the database; nothing is decided here.
 */
import { createHash } from 'node:crypto';
import type { AccountId } from '../../base/ids.ts';
import type { Db, Tx } from '../../db/db.ts';
import { landingUntil } from '../change/landing.ts';
import type { Subject } from '../change/subject.ts';
import type { Context } from '../context.ts';
import { foldOf } from '../ledger/ledger.ts';
import { managementOf } from '../management.ts';
import { canonical } from '../plan/canonical.ts';
import type { Facts } from '../plan/facts.ts';
import type { Fold } from '../plan/fold.ts';
import { type ConflictQuestion, resolutionStep, type ResolutionStep, type Verdict } from '../plan/resolve.ts';

export interface Conflict {
  readonly facts: Facts;
  readonly fold: Fold;
  /** SHA-256 of the fold, in hex: what was tried for other facts does not count. */
  readonly digest: string;
  /** When this node first saw exactly these facts in conflict, in milliseconds; now if it has not yet. */
  readonly since: number;
  /** That is written down. */
  readonly seen: boolean;
  readonly step: ResolutionStep;
  readonly lastTry: ConflictQuestion['lastTry'];
  /** Why the last try failed, for people. */
  readonly words: string;
}

/**
 * `demanded`: somebody asks for it now, so that neither the switch nor an earlier try counts. `standIn`: as the node that
 * resolves would see it; that one is down.
 */
export async function conflictOf(
  context: Context,
  subject: Subject,
  how: { readonly demanded: boolean; readonly standIn?: boolean },
  signal: AbortSignal,
): Promise<Conflict> {
  const { db, clock, rules, peers } = context;
  const id = subject.account.id;
  const { facts, fold } = await foldOf(db, id);
  const digest = createHash('sha256').update(canonical(fold)).digest('hex');
  const row = await db.selectFrom('conflict_try').selectAll().where('account_id', '=', id).executeTakeFirst();
  const mine = row?.digest === digest ? row : undefined;
  const now = clock.now();
  const since = mine?.since.getTime() ?? now;
  const lastTry =
    how.demanded || mine === undefined || mine.tried_at === null || mine.verdict === null
      ? null
      : { at: mine.tried_at.getTime(), verdict: mine.verdict as Verdict, count: mine.count };
  const managed = (await managementOf(db, subject.policy)).automaticResolution;
  const step = resolutionStep({
    facts,
    fold,
    automatic: how.demanded || (rules.automaticResolution && managed),
    targetAdministrator: await servesOthers(db, id),
    managing: how.standIn === true || (await peers.mayResolve(subject.policy.id)),
    nodes: fold.conflict === 'none' ? 'here' : await peers.heard(id, since, signal),
    quietUntil: await landingUntil(context, id, facts),
    lastTry,
    now,
  });
  // The words of another reason than today's would mislead.
  const kept = mine?.verdict as Verdict | null | undefined;
  const other =
    step.kind === 'manual' &&
    step.because !== 'target-silent' &&
    kept?.kind === 'manual' &&
    kept.because !== step.because;
  return {
    facts,
    fold,
    digest,
    since,
    seen: mine !== undefined,
    step,
    lastTry,
    words: other ? '' : (mine?.words ?? ''),
  };
}

/** Whether other accounts are changed, reset or reached (logged in through) by this one's value (B-24). */
export async function servesOthers(db: Db | Tx, id: AccountId): Promise<boolean> {
  const row = await db
    .selectFrom('account')
    .select('id')
    .where('removed_at', 'is', null)
    .where((is) =>
      is.or([is('admin_account_id', '=', id), is('reconcile_account_id', '=', id), is('via_account_id', '=', id)]),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
