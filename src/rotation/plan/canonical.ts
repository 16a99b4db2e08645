/** A fold as text, the same on every node that has the same facts: nodes compare it, and so do tests. Pure. */
import type { Fold } from './fold.ts';

/** One line of JSON; statuses in the order of their sigkeys, places oldest first as the fold has them. */
export function canonical(fold: Fold): string {
  const { root, conflict, busy, candidates, history, working, workingHistory, missing } = fold;
  const status = [...fold.status].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({ root, conflict, busy, candidates, history, working, workingHistory, missing, status });
}
