/**
 * The server's process: found by its pid file and told from a stranger that has its number by now, waited for, and
 * ended. A pid file is a claim, not a proof: the process must belong to the cluster's owner and work in its folder.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { DbError } from '../errors.ts';

/** How the server ended. Of an adopted one only that it ended is known. */
export interface ServerExit {
  /** Whether it was asked to. */
  readonly expected: boolean;
  readonly code: number | null;
  readonly signal: string | null;
}

interface PidFile {
  readonly pid: number;
  readonly status: string;
}

/** The pid file of a cluster, or undefined if there is none that makes sense. */
async function pidFile(cluster: string): Promise<PidFile | undefined> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  return Number.isSafeInteger(pid) && pid > 1 ? { pid, status: (lines[7] ?? '').trim() } : undefined;
}

/** Whether process `pid` is the owner's and has the cluster as its working directory, as every server process does. */
async function worksIn(cluster: string, uid: number, pid: number): Promise<boolean> {
  try {
    const [process, place, folder] = await Promise.all([stat(`/proc/${pid}`), stat(`/proc/${pid}/cwd`), stat(cluster)]);
    return process.uid === uid && place.dev === folder.dev && place.ino === folder.ino;
  } catch {
    return false;
  }
}

/** The pid of a server that is running on `cluster`, whoever started it. One that is stopping is waited for. */
export async function runningServer(cluster: string, uid: number): Promise<number | undefined> {
  const file = await pidFile(cluster);
  if (file === undefined || !(await worksIn(cluster, uid, file.pid))) return undefined;
  if (file.status !== 'stopping') return file.pid;
  await untilGone(file.pid, undefined);
  return undefined;
}

/** Whether the pid file names a process that lives and is not the server: PostgreSQL would believe it and not start. */
export async function pidFileOfStranger(cluster: string, uid: number): Promise<boolean> {
  const file = await pidFile(cluster);
  if (file === undefined || (await worksIn(cluster, uid, file.pid))) return false;
  // One that has ended but is not yet fetched counts: PostgreSQL, too, asks only whether the number is taken.
  return existsSync(`/proc/${file.pid}`);
}

/**
 * Waits until no process works in the cluster any more; those of a killed server see its end themselves, and are
 * killed if they have not after `patienceMs`. Two servers' processes on one cluster would destroy it.
 */
export async function orphansGone(
  cluster: string,
  uid: number,
  patienceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const until = Date.now() + patienceMs;
  for (;;) {
    const orphans: number[] = [];
    for (const name of await readdir('/proc'))
      if (/^\d+$/.test(name) && (await worksIn(cluster, uid, Number(name)))) orphans.push(Number(name));
    if (orphans.length === 0) return;
    if (Date.now() > until) for (const pid of orphans) send(pid, 'SIGKILL');
    await systemClock.sleep(50, signal);
  }
}

/** Resolves when the server says in its pid file that it is ready. Throws `db.start-failed` if it ends before. */
export async function untilReady(
  cluster: string,
  pid: number,
  gone: Promise<unknown>,
  log: string,
  signal: AbortSignal,
): Promise<void> {
  let ended = false;
  void gone.then(() => {
    ended = true;
  });
  for (;;) {
    const file = await pidFile(cluster);
    if (file?.pid === pid && file.status === 'ready') return;
    if (ended) throw new DbError('db.start-failed', await tailOf(log));
    await systemClock.sleep(20, signal);
  }
}

/** The last lines of a log, at most 2 KiB. */
export async function tailOf(path: string): Promise<string> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const bytes = Buffer.alloc(Math.min(size, 2048));
  await file.read(bytes, 0, bytes.length, size - bytes.length);
  return bytes.toString('utf8').trim();
}

/** Resolves when the process is gone: at once for a child, within half a second for one that was adopted. */
export async function untilGone(pid: number, child: ChildProcess | undefined): Promise<Omit<ServerExit, 'expected'>> {
  if (child !== undefined) {
    if (child.exitCode !== null || child.signalCode !== null) return { code: child.exitCode, signal: child.signalCode };
    return await new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  }
  while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 250).unref());
  return { code: null, signal: null };
}

/** Whether a process does anything still. One that has ended and was not yet fetched by its parent (Z) does not. */
function alive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

/** Sends a signal to a process that may have ended. */
export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended: what was wanted.
  }
}
