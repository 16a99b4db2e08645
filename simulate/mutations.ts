/**
 * Rules broken on purpose, by name, each one by a wrapper around the real function: the oracle must turn red for every
 * one of them within a few thousand histories, or it would not notice if somebody broke the rule by mistake.
 */
import type { Sigkey } from '../src/base/ids.ts';
import type { Facts, ResolutionFact } from '../src/rotation/plan/facts.ts';
import type { Fold } from '../src/rotation/plan/fold.ts';
import type { Verification } from '../src/rotation/plan/verdict.ts';
import { realRules, type Rules } from './rules.ts';

const real = realRules;

const mutations: Readonly<Record<string, Partial<Rules>>> = {
  /** The first candidate that logs in becomes current, whatever the others do (grace periods). */
  'first-accepted-wins': {
    verdictOf: (tested) => {
      const winner = tested.find(({ answer }) => answer === 'accepted');
      return winner === undefined ? real.verdictOf(tested) : { kind: 'root', root: winner.sigkey };
    },
  },
  /** A target that cannot be asked has refused. */
  'unknown-is-rejected': {
    judge: (evidence) =>
      real.judge({
        ...evidence,
        fresh: known(evidence.fresh),
        old: evidence.old === 'none' ? 'none' : known(evidence.old),
      }),
    verdictOf: (tested) => real.verdictOf(tested.map(({ sigkey, answer }) => ({ sigkey, answer: known(answer) }))),
  },
  /** Nobody waits for, or ends, what may still land. */
  'no-quiet-time': { quietUntil: () => 0, waitsForLanding: false },
  /** A target that says no has not changed anything. */
  'believe-refusals': {
    judge: (evidence) => (evidence.said === 'failed' ? 'F' : real.judge(evidence)),
  },
  /** A target that says yes has changed it. */
  'believe-acknowledgements': {
    judge: (evidence) => (evidence.said === 'confirmed' ? 'C' : real.judge(evidence)),
  },
  /** What other nodes know does not matter. */
  'resolve-before-nodes-heard': {
    resolutionStep: (question) =>
      real.resolutionStep({ ...question, nodes: 'here', fold: { ...question.fold, missing: [] } }),
  },
  /** Of two decisions the one with the later time holds, by whatever clock it was written. */
  'order-decisions-by-clock': {
    fold: (facts) => real.fold({ ...facts, resolutions: byClock(facts.resolutions) }),
  },
  /** The value that was confirmed last is current, and there is no conflict: what most products do. */
  'last-write-wins': { fold: lastWriteWins },
  /** What was settled once is forgotten, and late facts are judged without it. */
  'fold-from-pruned-tree': { keeps: pruned },
  /** A proven key takes away every other one, also those that other nodes are just proving. */
  'retire-unsettled-keys': { retiresUnsettled: true },
};

export const mutationNames: readonly string[] = Object.keys(mutations);

/** The rules with one of them broken, or undefined if there is no such mutation. */
export function mutated(name: string): Rules | undefined {
  const change = mutations[name];
  return change === undefined ? undefined : { ...real, ...change };
}

function known(answer: Verification): Verification {
  return answer === 'unknown' ? 'rejected' : answer;
}

function byClock(resolutions: readonly ResolutionFact[]): readonly ResolutionFact[] {
  const earlier: string[] = [];
  return resolutions
    .toSorted((a, b) => a.at - b.at || (a.node < b.node ? -1 : 1))
    .map((resolution) => {
      const decision = { ...resolution.decision, over: [...earlier] };
      earlier.push(`${resolution.node}/${resolution.seq}`);
      return { ...resolution, decision };
    });
}

function lastWriteWins(facts: Facts): Fold {
  const fold = real.fold(facts);
  const confirmed = facts.outcomes.filter(({ status, sigkey }) => status === 'C' && fold.status.has(sigkey));
  const last = confirmed.toSorted((a, b) => a.at - b.at || (a.node < b.node ? -1 : 1)).at(-1)?.sigkey ?? null;
  const of = (...wanted: readonly string[]): Sigkey[] =>
    [...fold.status].filter(([, status]) => wanted.includes(status)).map(([sigkey]) => sigkey);
  const history = of('C');
  const root = last !== null && history.includes(last) ? last : fold.root;
  return {
    ...fold,
    root,
    conflict: 'none',
    candidates: root === null ? [] : [root],
    history,
    working: of('P'),
    workingHistory: of('U', 'F'),
  };
}

/** The current value as if it had no past, and what hangs below it. */
function pruned(facts: Facts): Facts {
  const { root, history, conflict, busy } = real.fold(facts);
  if (conflict !== 'none' || busy || root === null) return facts;
  const gone = new Set(history.filter((sigkey) => sigkey !== root));
  return {
    ...facts,
    randomizations: facts.randomizations
      .filter(({ sigkey }) => !gone.has(sigkey))
      .map((fact) => (fact.sigkey === root ? { ...fact, parent: null } : fact)),
  };
}
