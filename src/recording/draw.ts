/**
 * Asking for a recording of a desktop to be drawn: in a process of its own that ends, because what a target sent as
 * pictures is decoded nowhere else. The keeper hands it the file and the recording's key, and gets bytes back.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Secret } from '../base/secret.ts';
import { RecordingError, type RecordingErrorCode, recordingErrors } from './errors.ts';

/** What is to be drawn. Times are microseconds since the start of the recording. */
export type DrawQuestion = {
  /** The recording's file. */
  readonly path: string;
  /** It takes no more blocks, so that key frames may be kept beside it. */
  readonly whole: boolean;
} & (
  | { readonly kind: 'png'; readonly at: number }
  | { readonly kind: 'mp4'; readonly framesPerSecond: number; readonly maxIdle?: number }
  /** For a terminal so many columns wide: one picture at a time, or `count` of them over all of it. */
  | { readonly kind: 'strip'; readonly columns: number; readonly count: number; readonly at?: number }
);

/**
 * The bytes of the answer, as they come. The process is killed when the iteration ends early or the signal fires.
 * Throws what the process said: `recording.no-picture`, `recording.no-ffmpeg`, `recording.broken`, `recording.key`.
 */
export async function* draw(question: DrawQuestion, key: Secret, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const file = join(import.meta.dirname, 'draw-process.ts');
  const child = spawn(process.execPath, ['--no-warnings', file], {
    env: {},
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
    // a group of its own: what it started ends with it
    detached: true,
  });
  const kill = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // it has ended
    }
  };
  signal.addEventListener('abort', kill, { once: true });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString()).slice(-4000);
  });
  child.stdin.on('error', () => {});
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  ended.catch(() => {});
  let whole = false;
  try {
    if (signal.aborted) throw signal.reason;
    child.stdin.write(`${JSON.stringify(question)}\n`);
    child.stdin.end(key.reveal().slice());
    for await (const chunk of child.stdout) yield new Uint8Array(chunk as Buffer);
    const code = await ended;
    if (signal.aborted) throw signal.reason;
    if (code !== 0) throw failure(said);
    whole = true;
  } finally {
    signal.removeEventListener('abort', kill);
    if (!whole) kill();
  }
}

/** The error that the last line of what the process said names. */
function failure(said: string): RecordingError {
  const last = said.trim().split('\n').at(-1) ?? '';
  try {
    const { code, detail } = JSON.parse(last) as { code?: unknown; detail?: unknown };
    const words = typeof detail === 'string' ? detail : undefined;
    if (typeof code === 'string' && Object.hasOwn(recordingErrors, code))
      return new RecordingError(code as RecordingErrorCode, words);
  } catch {
    // it died before it could say why
  }
  return new RecordingError('recording.render', last.slice(0, 500));
}
