/** What a process cost, from /proc. */
import { readdir, readFile } from 'node:fs/promises';

/**
 * CPU seconds so far of a process and its descendants, those that ended and were waited for included; of the processes
 * of `without` and what is below them nothing.
 */
export async function cpuOf(root: number, without: readonly number[] = []): Promise<number> {
  const parents = new Map<number, number>();
  const ticks = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    parents.set(Number(name), Number(fields[1]));
    ticks.set(
      Number(name),
      fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0),
    );
  }
  let sum = 0;
  for (const pid of ticks.keys()) {
    let at: number | undefined = pid;
    while (at !== undefined && at !== root && !without.includes(at)) at = parents.get(at);
    if (at === root) sum += ticks.get(pid) ?? 0;
  }
  // USER_HZ is 100 on every Linux that Node runs on.
  return sum / 100;
}
