/**
 * Values that a dead or interrupted process left pending. Whoever has the lease knows that no connector of ours is at
 * work; what one may have left on the target is ended by its tag, or has ended by its own time. So logins can show what
 * is true. Where they cannot, the value is uncertain. Both values are kept in any case.
 */
import type { Actor } from '../../audit/audit.ts';
import { record } from '../../audit/audit.ts';
import { releaseHoldsOf } from '../../vault/vault.ts';
import type { Context } from '../context.ts';
import { holdSubject, type Lease, stillLeased } from '../ledger/lease.ts';
import { addOutcome, foldOf, heardOf } from '../ledger/ledger.ts';
import type { RandomizationFact } from '../plan/facts.ts';
import { overdue } from '../plan/quiet.ts';
import { siteOf } from '../plan/site.ts';
import { commit } from '../points.ts';
import type { RotationResult } from '../result.ts';
import { find } from './evidence.ts';
import { handsOf } from './hands.ts';
import { writeOutcome } from './outcome.ts';
import type { Subject } from './subject.ts';

const recovery: Actor = { kind: 'system', part: 'rotation' };

/** Settles every pending value of the account that this node drew, oldest first, and ends the hold of whoever drew it. */
export async function settlePending(
  context: Context,
  subject: Subject,
  lease: Lease,
  signal: AbortSignal,
): Promise<readonly RotationResult[]> {
  const results: RotationResult[] = [];
  // Under the lease, a hold of an earlier change is a dead process's.
  await releaseHoldsOf(context.db, { subject: holdSubject(subject.account.id) });
  for (const fact of await pendingOf(context, subject)) {
    if (siteOf(fact.node) !== siteOf(context.node)) continue;
    const { sigkey, parent: old } = fact;
    const hands = handsOf(subject, old);
    const answer = {
      said: 'uncertain',
      class: 'timeout',
      words: 'whoever started it did not live to see the end',
    } as const;
    // The lease lasted longer than any change may take on the target; `find` ends what may be left all the same.
    const finding = await find(context, subject, { sigkey, old, hands, answer, fenced: true }, recovery, signal);
    const tag = { sigkey, trigger: 'recovery', actor: recovery, started: fact.createdAt };
    results.push(await writeOutcome(context, subject, lease, tag, finding));
  }
  return results;
}

/**
 * B-09 for a node that does not come back: its pending values become uncertain when they have been known here for longer
 * than any change may take, by the word of the node that resolves. Its own word, should it come later, counts more
 * (plan/fold.ts).
 */
export async function timeOutOthers(context: Context, subject: Subject, lease: Lease): Promise<number> {
  const { account } = subject;
  const { node: here } = context;
  let count = 0;
  for (const { node, sigkey } of await overdueOf(context, subject)) {
    const message = `${node} did not say what became of it`;
    count += await commit(context, 'time-out of another node', async (tx) => {
      if (!(await stillLeased(tx, account.id, lease.token))) return 0;
      // Its own word may have come, or another process's.
      if ((await foldOf(tx, account.id)).fold.status.get(sigkey) !== 'P') return 0;
      const outcome = { account: account.id, sigkey, node: here, status: 'U', at: context.clock.now() } as const;
      await addOutcome(tx, context.vault, { ...outcome, retcode: 'timeout', message });
      const about = { account: account.id, target: account.target.id, sigkey };
      const details = { connector: subject.verifier.name, code: 'timeout', message };
      await record(tx, recovery, { type: 'rotation.uncertain', about, details });
      return 1;
    });
  }
  return count;
}

/** What a fact may be late by, from a node that lives. */
const graceMs = 60_000;

async function overdueOf({ db, clock, node, timing }: Context, { account }: Subject): Promise<RandomizationFact[]> {
  const { facts, fold } = await foldOf(db, account.id);
  const now = clock.now();
  const late = overdue(facts, fold, node, await heardOf(db, account.id, now), timing.leaseMs + graceMs, now);
  return facts.randomizations.filter(({ sigkey }) => late.includes(sigkey));
}

/**
 * From when on something that is pending can be settled here, in milliseconds: at once what this node drew; what others
 * drew, where this node resolves, after their silence. Before that nobody needs the lease, and taking it would only keep
 * others from it.
 */
export async function settlesAt(context: Context, subject: Subject): Promise<number> {
  const { db, clock, node, timing, peers } = context;
  const pending = await pendingOf(context, subject);
  if (pending.some((fact) => siteOf(fact.node) === siteOf(node))) return Number.NEGATIVE_INFINITY;
  if (pending.length === 0 || !(await peers.mayResolve(subject.policy.id))) return Number.POSITIVE_INFINITY;
  const heardAt = await heardOf(db, subject.account.id, clock.now());
  return Math.min(...pending.map((fact) => heardAt(fact) + timing.leaseMs + graceMs));
}

async function pendingOf(context: Context, subject: Subject): Promise<readonly RandomizationFact[]> {
  const { facts, fold } = await foldOf(context.db, subject.account.id);
  return facts.randomizations
    .filter((fact) => fold.status.get(fact.sigkey) === 'P')
    .toSorted((a, b) => a.createdAt - b.createdAt);
}
