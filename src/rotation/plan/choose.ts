/**
 * Whose turn it is, of all accounts that are due: so many at a time per target, so many in all. Targets take turns, and
 * within a target the one that has been due longest comes first, so that a target with a thousand accounts keeps no other
 * waiting. Pure, and asked again whenever one has ended.
 */
import type { AccountId, TargetId } from '../../base/ids.ts';

export interface Ready {
  readonly account: AccountId;
  readonly target: TargetId;
  /** Since when it may begin. */
  readonly since: number;
}

export interface Caps {
  readonly perTarget: number;
  readonly overall: number;
}

export const usualCaps: Caps = { perTarget: 2, overall: 8 };

/** Who may begin now, in order. `running` names the target of each change that is under way. */
export function choose(ready: readonly Ready[], running: readonly TargetId[], caps: Caps): Ready[] {
  const busy = new Map<TargetId, number>();
  for (const target of running) busy.set(target, (busy.get(target) ?? 0) + 1);
  const queues = new Map<TargetId, Ready[]>();
  for (const one of ready) {
    const queue = queues.get(one.target);
    const free = caps.perTarget - (busy.get(one.target) ?? 0);
    if (free <= 0) continue;
    if (queue === undefined) queues.set(one.target, [one]);
    else keepOldest(queue, one, free);
  }
  // A target's nth change waits for every other target's (n-1)th, those that are running counted.
  const turns = [...queues].flatMap(([target, queue]) =>
    queue.map((one, at) => ({ one, turn: (busy.get(target) ?? 0) + at })),
  );
  turns.sort((a, b) => a.turn - b.turn || inOrder(a.one, b.one));
  return turns.slice(0, Math.max(0, caps.overall - running.length)).map(({ one }) => one);
}

/** Of a target only the first few can be chosen: one pass over ten thousand accounts, without sorting them. */
function keepOldest(queue: Ready[], one: Ready, most: number): void {
  let at = queue.length;
  while (at > 0 && inOrder(one, queue[at - 1] ?? one) < 0) at--;
  if (at >= most) return;
  queue.splice(at, 0, one);
  if (queue.length > most) queue.pop();
}

function inOrder(a: Ready, b: Ready): number {
  return a.since - b.since || (a.account < b.account ? -1 : a.account > b.account ? 1 : 0);
}
