/**
 * What is kept of whether the current value still opens its account: the answer, when it was, and, where the target
 * refuses the value, whether that means that everything is lost.
 */
import { type Actor, record } from '../../audit/audit.ts';
import type { Sigkey } from '../../base/ids.ts';
import { noteAttempt } from '../change/outcome.ts';
import type { Subject } from '../change/subject.ts';
import type { VerifyAnswer } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import { commit } from '../points.ts';

/**
 * Former values are left that were not tried, because refused logins had used up what the target allows. The rest is tried
 * when they no longer count.
 */
export const untried = 'budget';
/** Several former values work, so nobody knows which one holds. */
export const several = 'several-accepted';
/** No former value was tried: another node may know more, or it is the one that tries them. */
export const unheard = 'nodes';

/** The current value is refused, and yet nothing is known to be lost: never a reason to reset an account. */
export type Open = typeof untried | typeof several | typeof unheard;

const open: ReadonlySet<string> = new Set([untried, several, unheard] satisfies Open[]);

/** Of an account that is out of sync: whether every known value was tried and refused. `kind` is the class that was kept. */
export function isKnownLost(kind: string): boolean {
  return !open.has(kind);
}

/** Writes down what a login with the current value showed; `why`: a refusal that leaves open what holds. */
export async function noteSynchrony(
  context: Context,
  { account, verifier }: Subject,
  sigkey: Sigkey,
  { answer, class: kind, words }: VerifyAnswer,
  by: { readonly actor: Actor; readonly started: number; readonly trigger: string },
  why?: Open,
): Promise<void> {
  const state = ({ accepted: 'in-sync', rejected: 'out-of-sync', unknown: 'unknown' } as const)[answer];
  await commit(context, 'synchrony', async (tx) => {
    const now = context.clock.now();
    const before = await tx
      .selectFrom('account_sync')
      .select(['state', 'class'])
      .where('account_id', '=', account.id)
      .executeTakeFirst();
    // From when it began: what came in between may be newer than the answer.
    const row = { sigkey, state, class: why ?? kind, words, checked_at: new Date(by.started) };
    await tx
      .insertInto('account_sync')
      .values({ account_id: account.id, ...row })
      .onConflict((there) => there.column('account_id').doUpdateSet(row))
      .execute();
    // The next time every former value is tried anew, unless this time is not over.
    if (row.class !== untried) await tx.deleteFrom('conflict_try').where('account_id', '=', account.id).execute();
    const about = { account: account.id, target: account.target.id, sigkey };
    await record(tx, by.actor, { type: 'rotation.verified', about, details: { connector: verifier.name, answer } });
    const { actor, started, trigger } = by;
    const note = { account: account.id, trigger, actor, started, ended: now, sigkey };
    const message = `${answer} ${words}`.trim();
    await noteAttempt(tx, { ...note, result: 'verified', class: kind === 'none' ? null : kind, message });
    if (state !== 'out-of-sync') return;
    if (before?.state !== 'out-of-sync')
      await record(tx, by.actor, { type: 'rotation.out-of-sync', about, details: { code: kind, reason: words } });
    else if ((before.class === several) === (why === several)) return;
    const reason = why === several ? words : 'out of sync with its target';
    await record(tx, by.actor, { type: 'rotation.alert', about, details: { reason } });
  });
}
