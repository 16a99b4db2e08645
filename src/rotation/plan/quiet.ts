/**
 * How long nothing may be decided or drawn, because a change that was cut off may still land on the target; and whose
 * pending values another node may give up waiting for. INVARIANT: what is waited for is counted from the moment at which
 * *this* node came to know a fact, by its own clock. The times within facts are of other nodes' clocks, which may be an
 * hour ahead (nothing would be waited for) or behind (for an hour); and whoever knows of a fact only later waits longer,
 * never too short. Pure.
 */
import type { Sigkey } from '../../base/ids.ts';
import type { Facts, OutcomeFact, RandomizationFact } from './facts.ts';
import type { Fold } from './fold.ts';
import { siteOf } from './site.ts';

/** When a fact came to be known here, by this node's clock. */
export type HeardAt = (fact: OutcomeFact | RandomizationFact) => number;

/**
 * Until when a change of an uncertain value may still land: `quietMs` after the last of them was heard of, decided or not
 * (a decision does not stop what is under way). `quietMs` is the target's own time for a change and a margin.
 */
export function quietUntil(facts: Facts, heardAt: HeardAt, quietMs: number): number {
  let until = 0;
  for (const outcome of facts.outcomes) if (outcome.status === 'U') until = Math.max(until, heardAt(outcome) + quietMs);
  return until;
}

/**
 * Pending values of other sites that may be called uncertain now, because their node said nothing for `pendingMs`:
 * longer than any connector may run. Their own node's word, should it come, counts more.
 */
export function overdue(
  facts: Facts,
  fold: Fold,
  node: string,
  heardAt: HeardAt,
  pendingMs: number,
  now: number,
): readonly Sigkey[] {
  return facts.randomizations
    .filter((fact) => siteOf(fact.node) !== siteOf(node))
    .filter((fact) => fold.status.get(fact.sigkey) === 'P' && heardAt(fact) + pendingMs <= now)
    .map((fact) => fact.sigkey);
}
