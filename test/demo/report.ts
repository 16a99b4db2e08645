/** What the demo prints while it works: one line a step, with its time. */

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Runs one step and prints how it went. With `wanted`, the step's answer must be true for that word to be printed. */
export async function step<T>(words: string, work: () => Promise<T>, wanted?: string): Promise<T> {
  const began = Date.now();
  try {
    const result = await work();
    const outcome = wanted === undefined ? '' : result === true ? `: ${wanted}` : `: NOT ${wanted}`;
    const mark = wanted !== undefined && result !== true ? '✗' : '✓';
    say(`  ${mark} ${words}${outcome}  (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    return result;
  } catch (error) {
    say(`  ✗ ${words}`);
    throw error;
  }
}

export function foundIn(marker: string, bytes: Uint8Array): boolean {
  return Buffer.from(bytes).includes(marker);
}
