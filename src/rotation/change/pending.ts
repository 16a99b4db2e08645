/**
 * Values that a dead or interrupted process left pending. Whoever has the lease knows that no connector of ours is at
 * work and that the target has ended the change by itself; so logins can show what is true. Where they cannot, the
 * value is uncertain. Both values are kept in any case.
 */
import type { Actor } from '../../audit/audit.ts';
import type { Context } from '../context.ts';
import { find } from './evidence.ts';
import type { Lease } from '../ledger/lease.ts';
import { foldOf } from '../ledger/ledger.ts';
import { writeOutcome } from './outcome.ts';
import type { RotationResult } from '../result.ts';
import type { Subject } from './subject.ts';

const recovery: Actor = { kind: 'system', part: 'rotation' };

/** Settles every pending value of the account, oldest first. */
export async function settlePending(
  context: Context,
  subject: Subject,
  lease: Lease,
  signal: AbortSignal,
): Promise<readonly RotationResult[]> {
  const { facts, fold } = await foldOf(context.db, subject.account.id);
  const results: RotationResult[] = [];
  for (const fact of [...facts.randomizations].sort((a, b) => a.createdAt - b.createdAt)) {
    if (fold.status.get(fact.sigkey) !== 'P' || fact.node !== context.node) continue;
    const answer = {
      said: 'uncertain',
      class: 'timeout',
      words: 'whoever started it did not live to see the end',
    } as const;
    const finding = await find(
      context,
      subject,
      { sigkey: fact.sigkey, old: fact.parent, answer, fenced: true },
      recovery,
      signal,
    );
    const tag = { sigkey: fact.sigkey, trigger: 'recovery', actor: recovery, started: fact.createdAt };
    results.push(await writeOutcome(context, subject, lease, tag, finding));
  }
  return results;
}
