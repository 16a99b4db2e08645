/**
 * Runs connector jobs in processes of their own that end: nothing in their arguments or environment, the job on standard
 * input, killed at the deadline or with the signal. A process that has answered may get the next job if it is for the same
 * connector and the same target, many times and within seconds: so nobody's secrets meet another target's answers, and
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
const mostJobs = 1000;
const usualIdleMs = 5000;

interface Worker {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly messages: AsyncGenerator<Uint8Array, void, void>;
  readonly exited: Promise<readonly [number | string | null, string | null]>;
  jobs: number;
  /** Ends it while it waits for a job. */
  retiring: NodeJS.Timeout | undefined;
}

/** Runs jobs until its disposal, which ends the processes that wait. */
export type ProcessRunner = RunConnector & AsyncDisposable;

/** A runner of connector processes. `file` is the program; tests give one that misbehaves. */
export function processRunner(file: string = workerFile, idleMs: number = usualIdleMs): ProcessRunner {
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
    clearTimeout(worker.retiring);
  }
  function keep(key: string, worker: Worker): void {
    const set = idle.get(key) ?? new Set();
    idle.set(key, set.add(worker));
    worker.retiring = setTimeout(() => {
      leave(key, worker);
      void end(worker);
    }, idleMs);
  }

  async function run(job: Job, limits: { readonly deadlineMs: number }, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    using time = deadline(signal, limits.deadlineMs, () => new Error('the connector took too long'));
    const key = keyOf(job);
    const packed = packJob(job);
    const attempt = (worker: Worker): Promise<Answer | undefined> => ask(worker, key, packed, time.signal, signal);
    return (await attempt(take(key))) ?? (await attempt(start(file))) ?? crashed('no connector process began the job');
  }

  /**
   * One job by one process. `time` is the job's deadline, `signal` the caller's. Undefined if the process had waited and
   * died before it began: nothing of the job was done.
   */
  async function ask(
    worker: Worker,
    key: string,
    packed: Packed,
    time: AbortSignal,
    signal: AbortSignal,
  ): Promise<Answer | undefined> {
    const { child } = worker;
    const kill = (): boolean => child.kill('SIGKILL');
    time.addEventListener('abort', kill, { once: true });
    const waited = worker.jobs > 0;
    let clean = false;
    try {
      writeParcel(child.stdin, 'head', packed.head);
      for (const secret of packed.secrets) writeParcel(child.stdin, 'secret', secret);
      const { begun, answer } = await listenTo(worker, packed, time);
      clean = answer !== undefined && !time.aborted && isForeseen(answer);
      if (answer !== undefined) return answer;
      const [code, killed] = await worker.exited;
      signal.throwIfAborted();
      if (time.aborted)
        return { outcome: 'late', class: 'timeout', words: 'the connector took too long and was ended' };
      if (waited && !begun) return undefined;
      return crashed(`the connector process ended without an answer (${killed ?? code})`);
    } catch (error) {
      signal.throwIfAborted();
      return crashed(wordsOf(error));
    } finally {
      time.removeEventListener('abort', kill);
      worker.jobs += 1;
      if (clean && key !== '' && worker.jobs < mostJobs) keep(key, worker);
      // The target must not see this process any more when the caller goes on.
      else await end(worker);
    }
  }

  return Object.assign(run, {
    [Symbol.asyncDispose]: async () => {
      const waiting = [...idle].flatMap(([key, workers]) => [...workers].map((worker) => ({ key, worker })));
      for (const { key, worker } of waiting) leave(key, worker);
      await Promise.all(waiting.map(({ worker }) => end(worker)));
    },
  });
}

function crashed(words: string): Answer {
  return { outcome: 'crashed', class: 'unexpected', words };
}

/** After anything else something of the job may be left in the process, and it does not get another. */
function isForeseen({ outcome, class: kind }: Answer): boolean {
  return outcome !== 'uncertain' && kind !== 'unexpected';
}

/**
 * The connector and the target that a process may serve, with all that says who the target is: whoever was let in under
 * another key or certificate is somebody else. Empty for a process that serves one job.
 */
function keyOf(job: Job): string {
  if (job.operation === 'scan') return '';
  const { place } = 'task' in job ? job.task : job.work;
  const hostKeys = place.hostKeys.map((key) => Buffer.from(key).toString('base64'));
  return JSON.stringify([job.connector, { ...place, hostKeys }]);
}

function start(file: string): Worker {
  const child = spawn(process.execPath, ['--no-warnings', file], {
    env: {},
    cwd: '/',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {});
  const exited = once(child, 'exit').catch(() => ['unstarted', null]) as Worker['exited'];
  return { child, messages: frames(child.stdout), exited, jobs: 0, retiring: undefined };
}

async function end({ child, exited }: Worker): Promise<void> {
  child.stdin.end();
  child.kill('SIGKILL');
  await exited;
}

interface Heard {
  /** Whether the process had read the job. */
  readonly begun: boolean;
  /** Undefined if the process ended before. */
  readonly answer: Answer | undefined;
}

async function listenTo({ child, messages }: Worker, packed: Packed, signal: AbortSignal): Promise<Heard> {
  let begun = false;
  for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
    const message = JSON.parse(new TextDecoder().decode(next.value)) as
      | ({ type: 'answer' } & Answer)
      | { type: 'begun' }
      | { type: 'sign'; signer: number; algorithm: string; data: string };
    begun = true;
    if (message.type === 'begun') continue;
    if (message.type === 'answer') {
      const { outcome, class: kind, words, counts, each } = message;
      const more = { ...(counts === true ? { counts } : {}), ...(each === undefined ? {} : { each }) };
      return { begun, answer: { outcome, class: kind, words, ...more } };
    }
    const entry = packed.signers[message.signer];
    const data = new Uint8Array(Buffer.from(message.data, 'base64'));
    if (entry === undefined || !isLoginOf(data, entry.user, entry.signer.publicKey))
      throw new RotationError('rotation.worker-protocol', 'a signature was asked for something that is not this login');
    writeParcel(child.stdin, 'signature', await entry.signer.sign(data, message.algorithm, signal));
  }
  return { begun, answer: undefined };
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
