/**
 * Reports of blocks on their way to the keeper: in order, one at a time, again and again while the keeper is away, but
 * not longer than the limit. Nothing is dropped: what could not be told stays durable in the spool.
 */
import type { Clock } from '../base/clock.ts';
import { type Refusal, wordsOf } from '../base/errors.ts';
import { check } from '../base/signals.ts';
import { RecordingError } from './errors.ts';

/** What the keeper is told about each block, once it is durable in the spool. */
export interface BlockReport {
  readonly number: number;
  /** Where the block's head begins in the file. */
  readonly offset: number;
  /** Bytes of head, payload and hash. */
  readonly length: number;
  /** The hash this block continues: of the block before, or of the header. */
  readonly previous: Uint8Array;
  readonly hash: Uint8Array;
  readonly events: number;
  /** Microseconds since the recording's `startedAt` of its last event. */
  readonly until: number;
}

/**
 * Takes a report to the keeper. Resolves when the keeper has stored it; a `Refusal` is the keeper's word that this block
 * is not acceptable and ends the recording; a rejection means that the keeper could not be reached and is tried again.
 */
export type ReportBlock = (block: BlockReport, signal: AbortSignal) => Promise<Refusal | undefined>;

export interface Reports {
  push(block: BlockReport): void;
  /** Resolves when nothing is waiting any more, because all is told or because telling has failed. */
  settled(): Promise<void>;
  /** Gives up what is still waiting; after a failure it is given up already. */
  close(): void;
}

const shortestPause = 50;
const longestPause = 1000;

export function openReports(
  report: ReportBlock,
  clock: Clock,
  keeperMs: number,
  fail: (error: RecordingError) => void,
): Reports {
  const waiting: { readonly block: BlockReport; readonly since: number }[] = [];
  const over = new AbortController();
  let running: Promise<void> | undefined;

  /** Tells one block, however often it takes. */
  async function tell(block: BlockReport, since: number): Promise<void> {
    let words = 'no answer';
    for (let pause = shortestPause; ; pause = Math.min(2 * pause, longestPause)) {
      check(over.signal);
      const left = since + keeperMs - clock.now();
      if (left <= 0) throw new RecordingError('recording.keeper-away', words);
      const answer = await attempt(block, left);
      if (answer.kind === 'told') return;
      if (answer.kind === 'refused') throw new RecordingError('recording.refused', answer.refusal.reason);
      if (answer.kind === 'unreachable') words = answer.words;
      if (answer.kind !== 'late') await clock.sleep(Math.min(pause, left), over.signal);
    }
  }

  async function attempt(block: BlockReport, ms: number): Promise<Answer> {
    const done = new AbortController();
    const signal = AbortSignal.any([over.signal, done.signal]);
    const told = report(block, signal).then(
      (refusal): Answer => (refusal === undefined ? { kind: 'told' } : { kind: 'refused', refusal }),
      (error: unknown): Answer => ({ kind: 'unreachable', words: wordsOf(error) }),
    );
    const late = clock.sleep(ms, signal).then(
      (): Answer => ({ kind: 'late' }),
      (): Answer => ({ kind: 'late' }),
    );
    try {
      return await Promise.race([told, late]);
    } finally {
      done.abort();
    }
  }

  async function run(): Promise<void> {
    try {
      for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
        await tell(first.block, first.since);
        waiting.shift();
      }
    } catch (error) {
      waiting.length = 0;
      over.abort();
      if (error instanceof RecordingError) fail(error);
    } finally {
      running = undefined;
    }
  }

  return {
    push(block) {
      if (over.signal.aborted) return;
      waiting.push({ block, since: clock.now() });
      running ??= run();
    },
    settled: async () => {
      await running;
    },
    close: () => over.abort(),
  };
}

type Answer =
  | { readonly kind: 'told' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'unreachable'; readonly words: string }
  | { readonly kind: 'late' };
