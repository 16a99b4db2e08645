/**
 * Runs one connector job in a process of its own that ends: nothing in its arguments or environment, the job on its
 * standard input, killed at the deadline or with the signal. When this process dies, the other's input ends and it ends
 * too, and with it its connection to the target. Signatures are made here, and only for the login that the job is about.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { same } from '../../base/bytes.ts';
import { wordsOf } from '../../base/errors.ts';
import { deadline } from '../../base/signals.ts';
import { RotationError } from '../errors.ts';
import { frames, writeFrame } from './frames.ts';
import { type Answer, type Job, type Packed, packJob } from './job.ts';

/** Resolves with an answer whatever happens to the process; rejects only with the signal's reason. */
export type RunConnector = (job: Job, limits: { readonly deadlineMs: number }, signal: AbortSignal) => Promise<Answer>;

const workerFile: string = join(import.meta.dirname, 'worker.ts');

/** A runner of connector processes. `file` is the program; tests give one that misbehaves. */
export function processRunner(file: string = workerFile): RunConnector {
  return async (job, limits, signal) => {
    signal.throwIfAborted();
    using time = deadline(signal, limits.deadlineMs, () => new Error('the connector took too long'));
    const packed = packJob(job);
    const child = spawn(process.execPath, ['--no-warnings', file], {
      env: {},
      cwd: '/',
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const exited = once(child, 'exit').catch(() => ['unstarted', null]) as Promise<
      [number | string | null, string | null]
    >;
    const kill = (): boolean => child.kill('SIGKILL');
    time.signal.addEventListener('abort', kill, { once: true });
    child.stdin.on('error', () => {});
    try {
      writeFrame(child.stdin, packed.head);
      for (const secret of packed.secrets) writeFrame(child.stdin, secret);
      const answer = await listenTo(child.stdout, child.stdin, packed, time.signal);
      if (answer !== undefined) return answer;
      const [code, killed] = await exited;
      signal.throwIfAborted();
      if (time.signal.aborted)
        return { outcome: 'late', class: 'timeout', words: 'the connector took too long and was ended' };
      return {
        outcome: 'crashed',
        class: 'unexpected',
        words: `the connector process ended without an answer (${killed ?? code})`,
      };
    } catch (error) {
      signal.throwIfAborted();
      return { outcome: 'crashed', class: 'unexpected', words: wordsOf(error) };
    } finally {
      time.signal.removeEventListener('abort', kill);
      child.stdin.end();
      kill();
      // The target must not see this process any more when the caller goes on.
      await exited;
    }
  };
}

async function listenTo(
  stdout: Readable,
  stdin: Writable,
  packed: Packed,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  for await (const bytes of frames(stdout)) {
    const message = JSON.parse(new TextDecoder().decode(bytes)) as
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
    writeFrame(stdin, await entry.signer.sign(data, message.algorithm, signal));
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
