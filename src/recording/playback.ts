/** Playing a recording: its events in order, and a terminal that sees them at their times. */
import type { Clock } from '../base/clock.ts';
import type { Secret } from '../base/secret.ts';
import { check } from '../base/signals.ts';
import { dataKey, type History, noHistory, readBlock } from './block.ts';
import { RecordingError } from './errors.ts';
import { readEvents } from './format/codec.ts';
import { isViolation, type RecordingHeader } from './format/container.ts';
import type { RecordedEvent } from './format/events.ts';
import { type Place, readParts } from './reading.ts';

/** The header of a recording, which needs no key. Throws `recording.broken`. */
export async function readHeader(path: string): Promise<RecordingHeader> {
  for await (const part of readParts(path)) {
    if (part.kind === 'header') return part.header;
    if (part.kind === 'broken') throw new RecordingError('recording.broken', `${part.where}: ${part.words}`);
  }
  throw new RecordingError('recording.broken', 'header: cut off');
}

/** The events of one block, and where it stands. */
export interface ReadBlock {
  readonly place: Place;
  /** Nothing before it is needed to read it. */
  readonly fresh: boolean;
  /** Microseconds of its last event. */
  readonly until: number;
  readonly events: readonly RecordedEvent[];
}

/**
 * The blocks of a recording in order, also of one that is still being made or was cut off: then it ends with the last
 * whole block. From a `place` on if one is given, which must be a fresh block's. Throws `recording.broken` at the first
 * part that is damaged, `recording.key` if the key does not fit.
 */
export async function* readBlocks(
  path: string,
  key: Secret,
  signal: AbortSignal,
  place?: Place,
): AsyncGenerator<ReadBlock> {
  const opened = dataKey(key);
  let binding = new Uint8Array();
  let history: History = noHistory;
  for await (const part of readParts(path, place)) {
    check(signal);
    if (part.kind === 'broken') throw new RecordingError('recording.broken', `${part.where}: ${part.words}`);
    if (part.kind === 'header') binding = new Uint8Array(part.hash);
    if (part.kind !== 'block') continue;
    const { number, fresh, from, until } = part.head;
    const block = await readBlock(part.head, part.payload, history, binding, opened);
    history = block.history;
    const events = readEvents(block.plain, from);
    if (isViolation(events)) throw new RecordingError('recording.broken', `block ${number}: ${events.violation}`);
    yield { place: { number, offset: part.offset }, fresh, until, events };
  }
}

/** The events of a recording in order, as `readBlocks` reads them. */
export async function* readRecording(path: string, key: Secret, signal: AbortSignal): AsyncGenerator<RecordedEvent> {
  for await (const { events } of readBlocks(path, key, signal)) yield* events;
}

export interface PlayOptions {
  /** 2 is twice as fast. */
  readonly speed: number;
  /** No pause is longer than so many milliseconds of recorded time. */
  readonly maxIdle?: number;
  /** The channel to show; without it the first that has a terminal, or the first with output. */
  readonly channel?: number;
}

/** Writes what the terminal saw, when it saw it. Resolves at the end of the recording. */
export async function playTo(
  write: (bytes: Uint8Array) => Promise<void> | void,
  events: AsyncIterable<RecordedEvent>,
  options: PlayOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let from = 0;
  // Recorded time with its long pauses cut short; the wall is followed, so that errors of single sleeps do not add up.
  let shown = 0;
  const begun = clock.now();
  for await (const event of terminalEvents(events, options.channel)) {
    const gap = (event.at - from) / 1000;
    from = event.at;
    shown += options.maxIdle === undefined ? gap : Math.min(gap, options.maxIdle);
    if (event.detail.kind !== 'output' && event.detail.kind !== 'error-output') continue;
    const wait = begun + shown / options.speed - clock.now();
    if (wait > 0) await clock.sleep(wait, signal);
    check(signal);
    await write(event.detail.bytes);
  }
}

/** The events of one channel: the given one, or the first that gets a terminal or shows something. */
export async function* terminalEvents(
  events: AsyncIterable<RecordedEvent>,
  channel: number | undefined,
): AsyncGenerator<RecordedEvent> {
  let chosen = channel;
  for await (const event of events) {
    const { kind } = event.detail;
    if (chosen === undefined && (kind === 'pty' || kind === 'output' || kind === 'error-output'))
      chosen = event.channel;
    if (event.channel === chosen || kind === 'note') yield event;
  }
}
