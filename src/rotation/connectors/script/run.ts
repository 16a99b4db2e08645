/**
 * Running a plugin once: empty environment, a process group of its own, one line of JSON on its standard input, and a
 * time after which the whole group is killed, also if this process is not there any more (timeout(1) sees to that).
 * Without `network` it runs where there is none; where the system does not allow that, it does not run at all.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { longestAnswer } from './wire/answer.ts';

const timeout = '/usr/bin/timeout';
const unshare = '/usr/bin/unshare';

export type Ran =
  | { readonly kind: 'exited'; readonly status: number; readonly output: string }
  /** By whoever kills, or at its time. */
  | { readonly kind: 'killed' }
  /** It said more than an answer holds. */
  | { readonly kind: 'flooded' }
  /** Nothing of it was run. */
  | { readonly kind: 'refused'; readonly words: string };

/** For a program that died of any other signal: a status that the contract does not know. */
const died = 128;

export interface RunOptions {
  readonly network: boolean;
  readonly seconds: number;
}

/** Runs it to its end. `input` is zeroed as soon as the pipe has taken it. */
export async function runPlugin(
  path: string,
  input: Uint8Array,
  { network, seconds }: RunOptions,
  signal: AbortSignal,
): Promise<Ran> {
  const isolation = network ? [] : withoutNetwork();
  if (!network) {
    const probe = await run([...isolation, '/bin/true'], new Uint8Array(0), seconds, signal);
    if (probe.kind !== 'exited' || probe.status !== 0) {
      input.fill(0);
      return {
        kind: 'refused',
        words: 'the plugin may not use the network (`network` is not true), and this system lets nobody take it away',
      };
    }
  }
  return run([...isolation, path], input, seconds, signal);
}

/** A network namespace with nothing in it. Others than root need one of users for that too. */
function withoutNetwork(): readonly string[] {
  const root = process.getuid?.() === 0;
  return root ? [unshare, '--net', '--'] : [unshare, '--user', '--map-current-user', '--net', '--'];
}

async function run(argv: readonly string[], input: Uint8Array, seconds: number, signal: AbortSignal): Promise<Ran> {
  signal.throwIfAborted();
  const child = spawn(timeout, ['--signal=KILL', String(seconds), ...argv], {
    env: {},
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Nobody of the group is left.
    }
  };
  process.once('exit', kill);
  signal.addEventListener('abort', kill, { once: true });
  const parts: Buffer[] = [];
  let length = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > longestAnswer) kill();
    else parts.push(chunk);
  });
  const ended = once(child.stdout, 'end');
  ended.catch(() => {});
  // A plugin that does not want to read is no error of ours.
  child.stdin.on('error', () => {});
  child.stdin.end(input, () => input.fill(0));
  try {
    const [status, how] = await exited;
    // What it left behind in its group ends with it; what left the group may hold the pipe open, but not us.
    kill();
    await Promise.race([ended, sleep(1_000, undefined, { ref: false })]);
    signal.throwIfAborted();
    if (length > longestAnswer) return { kind: 'flooded' };
    // timeout(1) dies of the signal that its child died of.
    if (status === 137 || how === 'SIGKILL') return { kind: 'killed' };
    return { kind: 'exited', status: status ?? died, output: Buffer.concat(parts).toString() };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'refused', words: error instanceof Error ? error.message : 'it could not be started' };
  } finally {
    input.fill(0);
    child.stdout.destroy();
    process.off('exit', kill);
    signal.removeEventListener('abort', kill);
  }
}
