/** What the demo prints while it works: one line a step, with its time. */
import { check } from '../../src/base/signals.ts';

/**
 * Runs one step and prints how it went. With `outcome`, that word stands behind the step, and a false `good` marks it.
 * After an interruption no further step begins, and nothing more is printed.
 */
export type Step = <T>(
  words: string,
  work: () => Promise<T>,
  outcome?: (result: T) => { readonly good: boolean; readonly words: string },
) => Promise<T>;

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function stepsUntil(interrupted: AbortSignal): Step {
  return async (words, work, outcome) => {
    check(interrupted);
    const began = Date.now();
    const end = (mark: string, more: string): void => {
      if (!interrupted.aborted) say(`  ${mark} ${words}${more}  (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    };
    try {
      const result = await work();
      const judged = outcome?.(result);
      end(judged?.good === false ? '✗' : '✓', judged === undefined ? '' : `: ${judged.words}`);
      return result;
    } catch (error) {
      end('✗', '');
      throw error;
    }
  };
}

/** Prints another program's words, set off from ours. */
export function quote(text: string): void {
  for (const line of text.trimEnd().split('\n')) say(`      │ ${line.trimEnd()}`);
}
