/**
 * Servers on a tether: a program that lives until we let go of its standard input, so that it ends with this process
 * however that dies. It is ready when its port takes connections.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { plainEnv } from './run.ts';

/** Ends the program and what it has started when our end of its standard input closes. */
const watch =
  'set -m; "$@" </dev/null & child=$!; { cat >/dev/null; kill -KILL -- -$child; } & wait $child; code=$?; kill -KILL -- -$! 2>/dev/null; exit $code';

export interface Tethered extends AsyncDisposable {
  /** Everything it has written so far to standard output and error. */
  readonly output: () => string;
  /** Its exit status as soon as it has ended, as a shell has it: 128 and the signal's number where one ended it. */
  readonly ended: Promise<number>;
  /** The first match in its output, now or as soon as it is written; rejects with its words if it ends without. */
  said(pattern: RegExp, signal?: AbortSignal): Promise<RegExpExecArray>;
}

/** Starts a program and waits until it listens at `address` on every one of `ports`; throws with its words if it ends before. */
export async function startTethered(
  argv: readonly string[],
  address: string,
  ports: readonly number[],
  env: Readonly<Record<string, string>> = plainEnv,
): Promise<Tethered> {
  const child = spawn('bash', ['-c', watch, 'watch', ...argv], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...env } });
  const words: Buffer[] = [];
  const listeners = new Set<() => void>();
  const take = (chunk: Buffer): void => {
    words.push(chunk);
    for (const look of listeners) look();
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  child.stdin.on('error', () => {});
  const ended = once(child, 'close').then(() => child.exitCode ?? 137);
  const output = (): string => Buffer.concat(words).toString();
  const stop = async (): Promise<void> => {
    child.stdin.destroy();
    await ended;
  };
  const said = async (pattern: RegExp, signal?: AbortSignal): Promise<RegExpExecArray> => {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    const look = (): void => {
      const found = pattern.exec(output());
      if (found !== null) resolve(found);
    };
    const cut = (): void => reject(signal?.reason);
    listeners.add(look);
    if (signal?.aborted) cut();
    signal?.addEventListener('abort', cut, { once: true });
    look();
    void ended.then((code) => reject(new Error(`${argv[0]} ended with ${code}: ${output().slice(-2000)}`)));
    try {
      return await promise;
    } finally {
      listeners.delete(look);
      signal?.removeEventListener('abort', cut);
    }
  };
  try {
    for (const port of ports)
      while (!(await listens(address, port))) {
        if (child.exitCode !== null)
          throw new Error(`${argv[0]} ended with ${child.exitCode}: ${output().slice(-2000)}`);
        await pause(20);
      }
  } catch (error) {
    await stop();
    throw error;
  }
  return { output, ended, said, [Symbol.asyncDispose]: stop };
}

/** Whether a connection opens; it is closed at once. */
async function listens(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
