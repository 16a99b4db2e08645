/** Running one program to its end. Secrets go in by standard input or by file, never by argv or environment. */
import { spawn } from 'node:child_process';

export interface RunOptions {
  /** Written to standard input, which is then closed. Without it standard input is empty. */
  readonly input?: string | Uint8Array;
  /** The whole environment, not an addition to ours. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface Ran {
  /** Exit status, or null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as it came. */
  readonly output: Buffer;
}

/** A plain environment, the same on every machine. */
export const plainEnv: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
  HOME: '/root',
};

/**
 * Runs to the end and says how it ended; it throws only if the program could not be started, or when the signal
 * fires, after the whole process group has been killed.
 */
export function run(argv: readonly string[], options: RunOptions = {}, signal?: AbortSignal): Promise<Ran> {
  const { promise, resolve, reject } = Promise.withResolvers<Ran>();
  if (signal?.aborted) {
    reject(signal.reason);
    return promise;
  }
  // A group of its own, so that what the program has started ends with it when the signal fires.
  const child = spawn(argv[0] ?? '', argv.slice(1), {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...(options.env ?? plainEnv) },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program that does not read its input ends before it is all written: its exit status tells more than EPIPE.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const cut = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  signal?.addEventListener('abort', cut, { once: true });
  child.on('error', reject);
  child.on('close', (code, ended) => {
    signal?.removeEventListener('abort', cut);
    if (signal?.aborted) return reject(signal.reason);
    const output = Buffer.concat(stdout);
    resolve({ code, signal: ended, stdout: output.toString(), stderr: Buffer.concat(stderr).toString(), output });
  });
  return promise;
}

/** As `run`, and throws with what the program said if it did not end with status 0. */
export async function runWell(argv: readonly string[], options: RunOptions = {}, signal?: AbortSignal): Promise<Ran> {
  const ran = await run(argv, options, signal);
  if (ran.code !== 0)
    throw new Error(`${argv.join(' ')} ended with ${ran.code ?? ran.signal}: ${ran.stderr}${ran.stdout}`);
  return ran;
}
