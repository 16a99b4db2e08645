/**
 * One Sallyport for one data directory. The kernel holds the lock on an open file that every part inherits, so it is
 * free when the last process of an earlier Sallyport has ended, however it ended, and never before: two keepers on one
 * database would give up each other's sessions. Parts of a killed supervisor end by themselves; whoever starts next
 * waits for them, and ends what does not.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, ftruncateSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { SupervisorError } from './errors.ts';

export interface DataLock extends Disposable {
  /** The open file, to be handed to every part as one more file descriptor. */
  readonly fd: number;
}

/** Longer than a gate and a keeper without a supervisor take to end in order. */
const patienceMs = 12_000;
const retryMs = 100;

/** Throws `supervisor.already-running` with the process id, or the signal's reason. */
export async function lockData(data: string, clock: Clock, log: Log, signal: AbortSignal): Promise<DataLock> {
  const fd = openSync(join(data, 'sallyport.pid'), 'a+', 0o600);
  try {
    let told = false;
    for (const late = clock.now() + patienceMs; !taken(fd); ) {
      const pid = Number(readFileSync(join(data, 'sallyport.pid'), 'utf8'));
      const holders = whoHolds(fd);
      if (holders.includes(pid)) throw new SupervisorError('supervisor.already-running', `process ${pid}`);
      if (!told) log.warn({ processes: holders }, 'waiting for what is left of an earlier Sallyport to end');
      told = true;
      if (clock.now() > late) for (const left of holders) process.kill(left, 'SIGKILL');
      await clock.sleep(retryMs, signal);
    }
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

/** Node has no flock(2). The program locks the open file that it shares with us, and ends; the lock stays with the file. */
function taken(fd: number): boolean {
  const { status, error } = spawnSync('flock', ['--exclusive', '--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
  });
  if (error !== undefined) throw new SupervisorError('supervisor.no-flock', undefined, { cause: error });
  return status === 0;
}

/** The other processes that have this file open: parts of a Sallyport on this directory, and nobody else. */
function whoHolds(fd: number): number[] {
  const { dev, ino } = fstatSync(fd);
  const isIt = (path: string): boolean => {
    try {
      const file = statSync(path);
      return file.dev === dev && file.ino === ino;
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => namesIn(`/proc/${name}/fd`).some((one) => isIt(`/proc/${name}/fd/${one}`)))
    .map(Number);
}

/** Nothing, where the process has ended or is somebody else's. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
