/**
 * What a change that was cut off may still do on the target: ending it by its name, where the connector can do that, and
 * waiting for as long as the target may take to end it by itself. INVARIANT: nothing is drawn, entered or presumed before
 * (`clearToDraw`); a change that lands afterwards would take the place of the new value, and nobody would know.
 */
import type { Actor } from '../../audit/audit.ts';
import type { AccountId, Sigkey } from '../../base/ids.ts';
import type { ChangeAnswer } from '../connectors/connector.ts';
import type { Context, Timing } from '../context.ts';
import { foldOf, heardOf } from '../ledger/ledger.ts';
import type { Facts } from '../plan/facts.ts';
import type { Fold } from '../plan/fold.ts';
import { type HeardAt, quietUntil } from '../plan/quiet.ts';
import { type Hands, perform } from './ask.ts';
import { handsOf } from './hands.ts';
import { noteOwnRefusal } from './logins.ts';
import { type Subject, tagOf } from './subject.ts';

/** The target's own time for a change, and what it may be late by in ending one. */
export function landingMs({ targetSeconds }: Pick<Timing, 'targetSeconds'>): number {
  return (targetSeconds + 2) * 1000;
}

/** Until when something of the account may land, in milliseconds; see `quietUntil`. */
export async function landingUntil({ db, clock, timing }: Context, id: AccountId, facts: Facts): Promise<number> {
  return quietUntil(facts, await heardOf(db, id, clock.now()), landingMs(timing));
}

/** Waits until nothing can land any more; false if there was nothing to wait for. */
export async function untilLanded(context: Context, id: AccountId, signal: AbortSignal): Promise<boolean> {
  const { db, clock } = context;
  for (let waited = false; ; waited = true) {
    const until = await landingUntil(context, id, (await foldOf(db, id)).facts);
    if (until <= clock.now()) return waited;
    await clock.sleep(until - clock.now(), signal);
  }
}

/** Ends what a cut-off change may still be doing there; undefined where nobody can. */
export async function endChange(
  context: Context,
  subject: Subject,
  { hands, sigkey }: { readonly hands: Hands | undefined; readonly sigkey: Sigkey },
  actor: Actor,
  signal: AbortSignal,
): Promise<ChangeAnswer | undefined> {
  const { connector } = subject;
  if (connector?.capabilities.fence !== 'sessions' || hands === undefined) return undefined;
  const step = { operation: 'fence' } as const;
  const answer = await perform(context, subject, connector, hands, step, tagOf(sigkey), actor, signal);
  await noteOwnRefusal(context, subject, hands, answer);
  return answer;
}

/** The same; true when nothing of it is left. */
export async function fence(...what: Parameters<typeof endChange>): Promise<boolean> {
  return (await endChange(...what))?.said === 'confirmed';
}

/**
 * Ends what is left of every change that is uncertain and came after the current value, and waits for the target's own
 * time. Only an administrator is asked: the account's own value may be a wrong one, and without him time must do.
 */
export async function clearToDraw(
  context: Context,
  subject: Subject,
  actor: Actor,
  signal: AbortSignal,
): Promise<{ readonly waited: boolean; readonly fault: ChangeAnswer | undefined }> {
  const { id } = subject.account;
  const { db, clock, timing } = context;
  const { facts, fold } = await foldOf(db, id);
  const heardAt = await heardOf(db, id, clock.now());
  if (subject.admin !== undefined) {
    const hands = handsOf(subject, fold.root);
    for (const sigkey of sinceRoot(facts, fold, heardAt)) {
      const answer = await endChange(context, subject, { hands, sigkey }, actor, signal);
      if (answer !== undefined && answer.said !== 'confirmed') return { waited: false, fault: answer };
    }
  }
  const landed = quietUntil(facts, heardAt, landingMs(timing)) <= clock.now();
  return { waited: landed ? false : await untilLanded(context, id, signal), fault: undefined };
}

/** Values that were called uncertain after the current one was confirmed: whoever drew that one had ended what was before. */
function sinceRoot({ outcomes }: Facts, { root }: Fold, heardAt: HeardAt): readonly Sigkey[] {
  const proofs = outcomes.filter(({ sigkey, status }) => sigkey === root && status === 'C').map(heardAt);
  const since = Math.max(Number.NEGATIVE_INFINITY, ...proofs);
  const uncertain = outcomes.filter((outcome) => outcome.status === 'U' && heardAt(outcome) >= since);
  return [...new Set(uncertain.map(({ sigkey }) => sigkey))];
}
