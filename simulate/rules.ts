/** The rules that the simulation puts to the test: the very functions that the product decides with. */
import { canonical } from '../src/rotation/plan/canonical.ts';
import type { Facts } from '../src/rotation/plan/facts.ts';
import { fold } from '../src/rotation/plan/fold.ts';
import { plan } from '../src/rotation/plan/next.ts';
import { overdue, quietUntil } from '../src/rotation/plan/quiet.ts';
import {
  decideRoot,
  decideValue,
  forcedRoot,
  resolutionStep,
  retained,
  verdictOf,
} from '../src/rotation/plan/resolve.ts';
import { judge, needsOld } from '../src/rotation/plan/verdict.ts';

export interface Rules {
  readonly fold: typeof fold;
  readonly canonical: typeof canonical;
  readonly plan: typeof plan;
  readonly judge: typeof judge;
  readonly needsOld: typeof needsOld;
  readonly resolutionStep: typeof resolutionStep;
  readonly verdictOf: typeof verdictOf;
  readonly decideRoot: typeof decideRoot;
  readonly decideValue: typeof decideValue;
  readonly forcedRoot: typeof forcedRoot;
  readonly retained: typeof retained;
  readonly quietUntil: typeof quietUntil;
  readonly overdue: typeof overdue;
  /** Whether whoever calls a change failed, or tries candidates, waits for (or ends) what may still land. */
  readonly waitsForLanding: boolean;
  /** Whether a proven key takes away keys that are not settled: other nodes may just be proving them. */
  readonly retiresUnsettled: boolean;
  /** What a node keeps of the facts it has; everything, of course. */
  readonly keeps: (facts: Facts) => Facts;
}

export const realRules: Rules = {
  fold,
  canonical,
  plan,
  judge,
  needsOld,
  resolutionStep,
  verdictOf,
  decideRoot,
  decideValue,
  forcedRoot,
  retained,
  quietUntil,
  overdue,
  waitsForLanding: true,
  retiresUnsettled: false,
  keeps: (facts) => facts,
};
