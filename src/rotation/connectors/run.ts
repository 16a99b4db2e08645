/**
 * Runs connector jobs in processes of their own that end: nothing in their arguments or environment, the job on standard
 * input, killed at the deadline or with the signal. A process that has answered may get the next job if it is for the same
 * connector and the same target, a few times and within a moment: so nobody's secrets meet another target's answers, and
 * a thousand accounts of one server do not need a thousand programs to be started. When this process dies, the other's
 * input ends and it ends too, and with it its connection to the target. Signatures are made here, and only for the login
 * that the job is about.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { same } from '../../base/bytes.ts';
import { wordsOf } from '../../base/errors.ts';
import { deadline } from '../../base/signals.ts';
import { RotationError } from '../errors.ts';
import { frames, writeParcel } from './frames.ts';
import { type Answer, type Job, type Packed, packJob } from './job.ts';

/** Resolves with an answer whatever happens to the process; rejects only with the signal's reason. */
export type RunConnector = (job: Job, limits: { readonly deadlineMs: number }, signal: AbortSignal) => Promise<Answer>;

const workerFile: string = join(import.meta.dirname, 'worker.ts');

/** So many jobs, and so long without one, in milliseconds; then a process ends. */
const mostJobs = 200;
const usualIdleMs = 500;

interface Worker {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly messages: AsyncGenerator<Uint8Array, void, void>;
  readonly exited: Promise<readonly [number | string | null, string | null]>;
  jobs: number;
}

/** A runner of connector processes. Tests give a program that misbehaves, and let processes wait longer. */
export function processRunner(file: string = workerFile, idleMs: number = usualIdleMs): RunConnector {
  /** By connector and target: processes that have answered and wait for a moment. */
  const idle = new Map<string, Set<Worker>>();

  function take(key: string): Worker {
    for (const free of idle.get(key) ?? []) {
      leave(key, free);
      // One that died while nobody was looking is no reason to call a change uncertain.
      if (free.child.exitCode === null && free.child.signalCode === null) return free;
    }
    return start(file);
  }
  function leave(key: string, worker: Worker): void {
    const set = idle.get(key);
    set?.delete(worker);
    if (set?.size === 0) idle.delete(key);
  }
  function keep(key: string, worker: Worker): void {
    const set = idle.get(key) ?? new Set();
    idle.set(key, set.add(worker));
    setTimeout(() => {
      if (!idle.get(key)?.has(worker)) return;
      leave(key, worker);
      void end(worker);
    }, idleMs);
  }

  return async (job, limits, signal) => {
    signal.throwIfAborted();
    using time = deadline(signal, limits.deadlineMs, () => new Error('the connector took too long'));
    const key = keyOf(job);
    const worker = take(key);
    const { child } = worker;
    const kill = (): boolean => child.kill('SIGKILL');
    time.signal.addEventListener('abort', kill, { once: true });
    let answered = false;
    try {
      const packed = packJob(job);
      writeParcel(child.stdin, 'head', packed.head);
      for (const secret of packed.secrets) writeParcel(child.stdin, 'secret', secret);
      const answer = await listenTo(worker, packed, time.signal);
      answered = answer !== undefined && !time.signal.aborted;
      if (answer !== undefined) return answer;
      const [code, killed] = await worker.exited;
      signal.throwIfAborted();
      if (time.signal.aborted)
        return { outcome: 'late', class: 'timeout', words: 'the connector took too long and was ended' };
      const words = `the connector process ended without an answer (${killed ?? code})`;
      return { outcome: 'crashed', class: 'unexpected', words };
    } catch (error) {
      signal.throwIfAborted();
      return { outcome: 'crashed', class: 'unexpected', words: wordsOf(error) };
    } finally {
      time.signal.removeEventListener('abort', kill);
      worker.jobs += 1;
      if (answered && key !== '' && worker.jobs < mostJobs) keep(key, worker);
      // The target must not see this process any more when the caller goes on.
      else await end(worker);
    }
  };
}

/** The connector and the target that a process may serve; empty for a process that serves one job. */
function keyOf(job: Job): string {
  if (job.operation === 'scan') return '';
  const { place } = 'task' in job ? job.task : job.work;
  return JSON.stringify([job.connector, place.protocol, place.address, place.port]);
}

function start(file: string): Worker {
  const child = spawn(process.execPath, ['--no-warnings', file], {
    env: {},
    cwd: '/',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {});
  const exited = once(child, 'exit').catch(() => ['unstarted', null]) as Worker['exited'];
  return { child, messages: frames(child.stdout), exited, jobs: 0 };
}

async function end({ child, exited }: Worker): Promise<void> {
  child.stdin.end();
  child.kill('SIGKILL');
  await exited;
}

/** The answer to the job; undefined if the process ended before. */
async function listenTo({ child, messages }: Worker, packed: Packed, signal: AbortSignal): Promise<Answer | undefined> {
  for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
    const message = JSON.parse(new TextDecoder().decode(next.value)) as
      | ({ type: 'answer' } & Answer)
      | { type: 'sign'; signer: number; algorithm: string; data: string };
    if (message.type === 'answer') {
      const { outcome, class: kind, words, each } = message;
      return { outcome, class: kind, words, ...(each === undefined ? {} : { each }) };
    }
    const entry = packed.signers[message.signer];
    const data = new Uint8Array(Buffer.from(message.data, 'base64'));
    if (entry === undefined || !isLoginOf(data, entry.user, entry.signer.publicKey))
      throw new RotationError('rotation.worker-protocol', 'a signature was asked for something that is not this login');
    writeParcel(child.stdin, 'signature', await entry.signer.sign(data, message.algorithm, signal));
  }
  return undefined;
}

/** Whether `data` is what a client signs to log in as `user` with this key (RFC 4252 §7), and nothing else. */
export function isLoginOf(data: Uint8Array, user: string, publicKey: Uint8Array): boolean {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  const string = (): Uint8Array | undefined => {
    if (at + 4 > data.length) return undefined;
    const length = view.getUint32(at);
    if (length > data.length - at - 4) return undefined;
    at += 4 + length;
    return data.subarray(at - length, at);
  };
  const is = (bytes: Uint8Array | undefined, text: string): boolean =>
    bytes !== undefined && same(bytes, new TextEncoder().encode(text));
  const session = string();
  if (session === undefined || session.length < 16 || session.length > 64) return false;
  if (data[at++] !== 50) return false;
  if (!is(string(), user) || !is(string(), 'ssh-connection') || !is(string(), 'publickey')) return false;
  if (data[at++] !== 1 || string() === undefined) return false;
  const key = string();
  return key !== undefined && same(key, publicKey) && at === data.length;
}
