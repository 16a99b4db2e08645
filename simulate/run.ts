/** Many histories, one summary. Of the first that fail it says why, and the command that plays each of them alone. */
import { type HistoryOptions, playHistory } from './history.ts';
import type { Judgement } from './oracle.ts';
import type { Rules } from './rules.ts';

export interface RunOptions {
  readonly seed: number;
  readonly nodes: number | undefined;
  readonly rules: Rules;
  readonly mutation?: string | undefined;
  /** The number of the first history. */
  readonly from: number;
  readonly histories: number;
  /** Ends with the first history that fails. */
  readonly untilFailure?: boolean;
}

/** How many histories ended in each way; see oracle.ts. */
export interface Summary {
  readonly histories: number;
  readonly lost: number;
  readonly silentMismatch: number;
  readonly diverged: number;
  readonly unresolvedFlagged: number;
  readonly seconds: number;
  readonly broken: number;
  readonly selfHealed: number;
  readonly destroyed: number;
}

const shownFailures = 10;

/** Whether the histories ended as they must. */
export function isClean({ lost, silentMismatch, diverged, broken }: Summary): boolean {
  return lost + silentMismatch + diverged + broken === 0;
}

/** Plays histories one after the other. `say` gets the failures; `play` may tell their stories. */
export function run(
  options: RunOptions,
  say: (text: string) => void,
  play: (history: HistoryOptions) => Judgement = playHistory,
): Summary {
  const { seed, nodes, rules, from, histories, mutation } = options;
  const began = performance.now();
  const sums = {
    lost: 0,
    silentMismatch: 0,
    diverged: 0,
    unresolvedFlagged: 0,
    broken: 0,
    selfHealed: 0,
    destroyed: 0,
  };
  let failed = 0;
  let played = 0;
  for (let history = from; history < from + histories; history += 1) {
    if (failed > 0 && options.untilFailure === true) break;
    played += 1;
    const judgement = play({ seed, history, nodes, rules });
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += judgement[name];
    if (judgement.faults.length === 0 || failed++ >= shownFailures) continue;
    const flags = `${nodes === undefined ? '' : ` --nodes ${nodes}`}${mutation === undefined ? '' : ` --mutate ${mutation}`}`;
    say(`history ${history} failed: ${judgement.faults[0]}`);
    say(`  npm run simulate -- --seed ${seed}${flags} --replay ${history}`);
  }
  const { lost, silentMismatch, diverged, unresolvedFlagged, ...more } = sums;
  const seconds = Math.round((performance.now() - began) / 10) / 100;
  return { histories: played, lost, silentMismatch, diverged, unresolvedFlagged, seconds, ...more };
}
