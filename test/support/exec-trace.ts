/**
 * What every process of a tree was started with. `startTraced` runs a program under strace and keeps the argv and the
 * environment of each execve of it and of all its descendants; `processTree` shows what /proc shows now. It refuses to
 * call a trace complete in which anything was cut off.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { watch } from 'node:fs';
import { mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Canary, type Hit, searchBytes } from './canary.ts';

/** One execve, also one that failed. */
export interface Execution {
  readonly pid: number;
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** `ok`, or the name of the error. */
  readonly result: string;
  /** Path, arguments and environment as the kernel got them, separated by NUL. */
  readonly bytes: Buffer;
}

export interface Trace extends AsyncDisposable {
  /** strace; its pipes are the program's own, and it ends as the program ends. */
  readonly child: ChildProcess;
  /** Sends a signal to the program itself: strace would keep it for itself. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Every execve from the first on. Waits until the program and all its descendants have ended. */
  executions(signal?: AbortSignal): Promise<readonly Execution[]>;
}

/** No argument of Linux is longer (MAX_ARG_STRLEN), so nothing is cut off. */
const longest = 131_072;

/**
 * What to put before a command so that it is traced into `file`, which `parseTrace` reads. `beside`: the program stays the
 * caller's own child, with its process id and its signals, and strace (its `TracerPid`) ends after the last of its tree.
 */
export function tracer(file: string, beside = false): readonly string[] {
  return [
    'strace',
    // Only execve stops a process; with all system calls stopping, time-outs of the program would fire.
    '-f',
    ...(beside ? ['--daemonize'] : []),
    '--seccomp-bpf',
    '--trace=execve,execveat',
    '--signal=none',
    '--quiet=attach,exit,personality',
    '--strings-in-hex=all',
    `--string-limit=${longest}`,
    '--no-abbrev',
    `--output=${file}`,
    '--',
  ];
}

/** Starts a program under the trace, as the leader of a process group. Disposing kills what is left of it. */
export async function startTraced(argv: readonly string[], options: SpawnOptions = {}): Promise<Trace> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'trace-'))).path;
  const file = join(folder, 'trace');
  await writeFile(file, '');
  const [strace = '', ...tracing] = tracer(file);
  const child = spawn(strace, [...tracing, ...argv], { ...options, detached: true });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve());
    child.once('error', reject);
  });
  undo.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const tree = await processTree(child.pid);
    signalIfThere(-child.pid, 'SIGKILL');
    // Those that left the group are in the tree.
    for (const { pid } of tree) signalIfThere(pid, 'SIGKILL');
    await ended;
  });
  await hasBytes(file, ended);
  const read = async (): Promise<readonly Execution[]> => parseTrace(await readFile(file, 'latin1'));
  const programPid = async (): Promise<number | undefined> => {
    const text = await readFile(file, 'latin1').catch(() => '');
    const pid = /^(\d+) /.exec(text)?.[1];
    return pid === undefined ? undefined : Number(pid);
  };
  const life = undo.move();
  return {
    child,
    kill: async (signal) => {
      const pid = await programPid();
      if (pid === undefined) throw new Error('the traced program has not started');
      process.kill(pid, signal);
    },
    executions: async (signal) => {
      const { promise: cut, reject } = Promise.withResolvers<never>();
      const abort = (): void => reject(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      try {
        await Promise.race([ended, cut]);
      } finally {
        signal?.removeEventListener('abort', abort);
      }
      return read();
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** Resolves as soon as something was written to the file, or when `over` does. */
async function hasBytes(file: string, over: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    void stat(file).then(({ size }) => size > 0 && resolve(), resolve);
  };
  const watcher = watch(file, look);
  try {
    look();
    await Promise.race([promise, over]);
  } finally {
    watcher.close();
  }
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself between the look and the signal.
  }
}

/** Reads strace's output; throws if an argument or a variable is not complete in it. */
export function parseTrace(text: string): readonly Execution[] {
  const executions: Execution[] = [];
  for (const line of text.split('\n')) {
    const call = /^(\d+)\s+(execve|execveat)\((.*)$/.exec(line);
    if (call === null) continue;
    const [, pid = '', name, rest = ''] = call;
    // execve("path", [argv], [env]) = 0, or the same cut by another process's line: <unfinished ...>
    const shape =
      /^(?:[^",]+, )?("(?:\\x[0-9a-f]{2})*"), \[((?:"(?:\\x[0-9a-f]{2})*"(?:, )?)*)\], (?:\[((?:"(?:\\x[0-9a-f]{2})*"(?:, )?)*)\]|NULL)(?:, [^)"]*)?(?:\)\s+= (.*)| <unfinished \.\.\.>)$/;
    const parts = shape.exec(rest);
    if (parts === null || (name === 'execve') !== rest.startsWith('"'))
      throw new Error(`an execve of process ${pid} is not complete in the trace (${line.length} characters)`);
    const [, path = '', argv = '', env = '', result] = parts;
    const all = [stringsIn(path), stringsIn(argv), stringsIn(env)] as const;
    executions.push({
      pid: Number(pid),
      path: all[0].join(''),
      argv: all[1].map(String),
      env: all[2].map(String),
      result: result === undefined || result.startsWith('0') ? 'ok' : (/E[A-Z0-9]+/.exec(result)?.[0] ?? result),
      bytes: Buffer.concat(all.flat().flatMap((part) => [part, Buffer.of(0)])),
    });
  }
  return executions;
}

function stringsIn(list: string): readonly Buffer[] {
  return [...list.matchAll(/"([^"]*)"/g)].map((match) => Buffer.from((match[1] ?? '').replaceAll('\\x', ''), 'hex'));
}

/** Searches argv and environment of every execution. */
export function searchExecutions(canaries: readonly Canary[], executions: readonly Execution[]): readonly Hit[] {
  return executions.flatMap(({ pid, path, bytes }) => searchBytes(canaries, `execve of ${path} by ${pid}`, bytes));
}

export interface ProcessView {
  readonly pid: number;
  /** /proc/PID/cmdline and /proc/PID/environ, as they are. */
  readonly cmdline: Buffer;
  readonly environ: Buffer;
}

/** A process and all its descendants, parents first, as /proc shows them now. Kernel threads of others are not among them. */
export async function processTree(root: number): Promise<readonly ProcessView[]> {
  const children = new Map<number, number[]>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    // The name in parentheses may hold anything, so the fields are counted from its last parenthesis.
    const parent = Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const views: ProcessView[] = [];
  const queue = [root];
  for (let pid = queue.shift(); pid !== undefined; pid = queue.shift()) {
    queue.push(...(children.get(pid) ?? []));
    const cmdline = await readFile(`/proc/${pid}/cmdline`).catch(() => undefined);
    const environ = await readFile(`/proc/${pid}/environ`).catch(() => undefined);
    if (cmdline !== undefined && environ !== undefined) views.push({ pid, cmdline, environ });
  }
  return views;
}

/** Searches what /proc shows of these processes. */
export function searchProcesses(canaries: readonly Canary[], processes: readonly ProcessView[]): readonly Hit[] {
  return processes.flatMap(({ pid, cmdline, environ }) => [
    ...searchBytes(canaries, `/proc/${pid}/cmdline`, cmdline),
    ...searchBytes(canaries, `/proc/${pid}/environ`, environ),
  ]);
}
