/**
 * One child process kept running: started, watched, started again after a crash, ended on request. It speaks JSON
 * lines with us: its standard input is ours to write, its standard output ours to read; its log goes to standard error.
 * Nothing reaches it by argument or environment but the name of its part.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Log } from '../base/log.ts';

export interface ChildSpec {
  readonly name: string;
  readonly program: { readonly node: string; readonly main: string };
  readonly uid?: number;
  readonly gid?: number;
  /** The file descriptor of the log. */
  readonly log: number;
  /** An open file that is its to keep open, and no more: the data directory's lock. */
  readonly lock: number;
  /** The first line it is given, made anew for each start. */
  readonly greeting: () => object;
  /** Each line that it says. */
  readonly said: (line: Record<string, unknown>) => void;
  readonly exited: () => void;
}

export interface Child {
  readonly pid: number | undefined;
  tell(line: object): void;
  /** Resolves when it has ended and will not be started again. */
  readonly over: Promise<void>;
}

const firstPause = 100;
const longestPause = 5000;

/** Starts it, and again whenever it ends, until `signal` fires; then SIGTERM, and SIGKILL after `graceMs`. */
export function keepRunning(spec: ChildSpec, graceMs: number, log: Log, signal: AbortSignal): Child {
  let child: ChildProcess | undefined;
  let pause = firstPause;

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const started = Date.now();
      const ended = start();
      await ended;
      spec.exited();
      if (signal.aborted) return;
      pause = Date.now() - started > 10_000 ? firstPause : Math.min(pause * 2, longestPause);
      log.warn({ part: spec.name, pause }, 'a part ended and is started again');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pause);
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  function start(): Promise<void> {
    const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', ...pick('NODE_COMPILE_CACHE', 'TZ', 'LANG') };
    const own = spawn(spec.program.node, [spec.program.main, spec.name.replace(/-\d+$/, '')], {
      stdio: ['pipe', 'pipe', spec.log, spec.lock],
      env,
      cwd: '/',
      ...(spec.uid === undefined ? {} : { uid: spec.uid, gid: spec.gid ?? spec.uid }),
    });
    child = own;
    own.stdin?.on('error', () => {});
    own.stdin?.write(`${JSON.stringify(spec.greeting())}\n`);
    if (own.stdout) createInterface({ input: own.stdout }).on('line', (line) => heard(line));
    return new Promise((resolve) => {
      const term = (): void => {
        own.kill('SIGTERM');
        killer = setTimeout(() => own.kill('SIGKILL'), graceMs);
      };
      let killer: NodeJS.Timeout | undefined;
      const done = (): void => {
        clearTimeout(killer);
        signal.removeEventListener('abort', term);
        resolve();
      };
      own.on('error', (error) => {
        log.error({ part: spec.name, error: error.message }, 'a part could not be started');
        if (own.pid === undefined) done();
      });
      own.on('exit', (status, killedBy) => {
        log.info({ part: spec.name, child: own.pid, status, killedBy }, 'a part ended');
        done();
      });
      if (signal.aborted) term();
      else signal.addEventListener('abort', term, { once: true });
    });
  }

  function heard(line: string): void {
    try {
      spec.said(JSON.parse(line) as Record<string, unknown>);
    } catch {
      log.warn({ part: spec.name }, 'a part said something that is no JSON');
    }
  }

  return {
    get pid() {
      return child?.pid;
    },
    tell: (line) => child?.stdin?.write(`${JSON.stringify(line)}\n`),
    over: run(),
  };
}

function pick(...names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}
