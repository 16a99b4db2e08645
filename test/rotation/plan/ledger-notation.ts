/** Facts in the notation of the case table: `p1(r0,A) C`. Each line is one randomization, its parent, node and outcome. */
import type { AccountId, Sigkey } from '../../../src/base/ids.ts';
import type {
  Decision,
  Facts,
  OutcomeFact,
  RandomizationFact,
  ResolutionAction,
} from '../../../src/rotation/plan/facts.ts';

export const account = 'account' as AccountId;

export function key(name: string): Sigkey {
  return name as Sigkey;
}

export interface Resolved {
  readonly action: ResolutionAction;
  readonly decision: Decision;
}

/** `r0 C`, `p1(r0) U`, `p2(r0,B) P`: in the order of their creation; outcomes in the same order. */
export function facts(lines: readonly string[], resolutions: readonly Resolved[] = []): Facts {
  const randomizations: RandomizationFact[] = [];
  const outcomes: OutcomeFact[] = [];
  for (const [at, line] of lines.entries()) {
    const match = /^(\w+)(?:\((\w+)(?:,(\w+))?\))? ([PCUF])$/.exec(line);
    if (match === null) throw new Error(`not in the notation: ${line}`);
    const [, sigkey = '', parent, node = 'A', status] = match;
    randomizations.push({
      sigkey: key(sigkey),
      account,
      parent: parent === undefined || parent === 'none' ? null : key(parent),
      node,
      createdAt: at,
    });
    if (status !== 'P') outcomes.push({ sigkey: key(sigkey), node, seq: at, status: status as 'C', at });
  }
  return {
    randomizations,
    outcomes,
    resolutions: resolutions.map(({ action, decision }, at) => ({ account, node: 'A', seq: at, action, decision, at })),
  };
}

/** A decision for `root` over everything in `seen`. */
export function decides(root: string | null, seen: string, action: ResolutionAction = 'A'): Resolved {
  return { action, decision: { kind: 'root', root: root === null ? null : key(root), seen: seen.split(',').map(key) } };
}
