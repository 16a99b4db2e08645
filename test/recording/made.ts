/** Recordings for tests: real recorders into a temporary folder, a keeper that only remembers, a clock that the test owns. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import type { RecordingId, SessionId } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import type { RecordingHeader } from '../../src/recording/format/container.ts';
import type { RecordedEvent } from '../../src/recording/format/events.ts';
import { readRecording } from '../../src/recording/playback.ts';
import { type BlockReport, openRecorder, type Recorder, type RecorderOptions } from '../../src/recording/recorder.ts';
import type { SealSigner } from '../../src/recording/sealing.ts';

/** A clock that stands still until it is told to go on; sleepers wake in the order of their times. */
export interface ManualClock extends Clock {
  advance(ms: number): void;
  /** Resolves as soon as somebody sleeps for at least `ms`. */
  sleeper(ms: number): Promise<void>;
}

export function manualClock(start = 1_760_000_000_000): ManualClock {
  let now = start;
  const sleepers: { until: number; ms: number; wake: () => void }[] = [];
  const watchers: { ms: number; seen: () => void }[] = [];
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const sleeper = { until: now + ms, ms, wake: resolve };
        sleepers.push(sleeper);
        const cut = (): void => {
          sleepers.splice(0, Infinity, ...sleepers.filter((other) => other !== sleeper));
          reject(signal.reason);
        };
        signal.addEventListener('abort', cut, { once: true });
        for (const watcher of watchers) if (ms >= watcher.ms) watcher.seen();
      }),
    advance(ms) {
      now += ms;
      for (const sleeper of sleepers.splice(0)) {
        if (sleeper.until <= now) sleeper.wake();
        else sleepers.push(sleeper);
      }
    },
    sleeper: (ms) =>
      new Promise((seen) => {
        if (sleepers.some((sleeper) => sleeper.ms >= ms)) seen();
        else watchers.push({ ms, seen });
      }),
  };
}

export const never: AbortSignal = new AbortController().signal;

export function someHeader(over: Partial<RecordingHeader> = {}): RecordingHeader {
  return {
    id: newId<RecordingId>(),
    session: newId<SessionId>(),
    protocol: 'ssh',
    user: 'alice',
    account: 'root@web-01',
    target: 'web-01',
    client: '192.0.2.7',
    startedAt: 1_760_000_000_000,
    ...over,
  };
}

export interface Made extends AsyncDisposable {
  readonly folder: string;
  readonly path: string;
  readonly header: RecordingHeader;
  readonly key: Secret;
  readonly clock: ManualClock;
  readonly reports: BlockReport[];
  readonly recorder: Recorder;
  /** Microseconds are counted from here. */
  readonly at: (seconds: number) => number;
  events(): Promise<RecordedEvent[]>;
}

/** A recorder in a folder of its own. */
export async function made(over: Partial<RecorderOptions> = {}): Promise<Made> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'sallyport-recording-'));
  const header = over.header ?? someHeader();
  const key = over.key ?? new Secret(new Uint8Array(randomBytes(32)));
  const clock = (over.clock as ManualClock | undefined) ?? manualClock(header.startedAt);
  const path = join(folder.path, header.id);
  const reports: BlockReport[] = [];
  const report: RecorderOptions['report'] = (block) => {
    reports.push(block);
    return Promise.resolve(undefined);
  };
  const recorder = await openRecorder({ header, key, spool: path, report, clock, ...over }, never);
  return {
    folder: folder.path,
    path,
    header,
    key,
    clock,
    reports,
    recorder,
    at: (seconds) => header.startedAt + 1000 * seconds,
    events: () => eventsOf(path, key),
    async [Symbol.asyncDispose]() {
      await recorder[Symbol.asyncDispose]();
      await folder.remove();
    },
  };
}

export async function eventsOf(path: string, key: Secret): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  for await (const event of readRecording(path, key, never)) events.push(event);
  return events;
}

/** A seal key of a test's own. */
export function sealer(): SealSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' });
  return {
    publicKey: new Uint8Array(Buffer.from(x ?? '', 'base64url')),
    sign: (bytes) => Promise.resolve(new Uint8Array(sign(null, bytes, privateKey))),
  };
}
