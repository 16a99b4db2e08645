/** Waiting until a server has nothing left to do for those who are dead. */
import { setTimeout } from 'node:timers/promises';

/** Resolves when `busy` names nobody any more; throws with who is left after half a minute. */
export async function untilQuiet(busy: () => Promise<readonly string[]>): Promise<void> {
  for (let tries = 600; ; tries--) {
    const left = await busy();
    if (left.length === 0) return;
    if (tries === 0) throw new Error(`the server does not come to rest: ${left.join(', ')}`);
    await setTimeout(50);
  }
}
