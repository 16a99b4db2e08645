/**
 * The recorder of a gate, this room's door for the proxy. It imports base and the format, never the store: a gate has no
 * database. Its promise: once `openRecorder` has resolved, what is appended is on disk, encrypted and reported to the
 * keeper within about a second, or `failed` fires and the session must end.
 */
import type { Clock } from '../base/clock.ts';
import type { Refusal } from '../base/errors.ts';
import type { RecordingId } from '../base/ids.ts';
import type { Secret } from '../base/secret.ts';
import type { RecordingHeader } from './format/container.ts';
import type { EventDetail, StreamKind } from './format/events.ts';

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

export interface RecorderLimits {
  /** A block is closed when it is so old. */
  readonly blockMs: number;
  /** A block is closed when it has so many uncompressed bytes. */
  readonly blockBytes: number;
  /** Above so many bytes that are not yet durable the recorder says it is congested; at eight times as many it fails. */
  readonly queueBytes: number;
  /** How long a block may stay unreported before the recorder fails. */
  readonly keeperMs: number;
}

export interface RecorderOptions {
  readonly header: RecordingHeader;
  /** The recording's data key, 32 bytes. Used during `openRecorder` only: the caller disposes it afterwards. */
  readonly key: Secret;
  /** The file to make. It must not exist. */
  readonly spool: string;
  readonly report: ReportBlock;
  readonly clock: Clock;
  readonly limits?: Partial<RecorderLimits>;
}

/** One recording in the making. Disposing it writes the end event, waits until everything is durable and reported, and closes. */
export interface Recorder extends AsyncDisposable {
  readonly id: RecordingId;
  /**
   * Appends bytes of a stream; copies them, never waits, never throws. `now` is the clock's time in milliseconds.
   * Input of a channel that has a pty is kept line by line, and only lines that the target echoed.
   */
  append(kind: StreamKind, channel: number, bytes: Uint8Array, now: number): void;
  /** Appends any other event. `channel` is `sessionChannel` for what concerns the whole session. */
  record(detail: EventDetail, channel: number, now: number): void;
  /** Too much is waiting to become durable: whoever feeds the recorder should pause its sources. */
  readonly congested: boolean;
  /** Called each time the recorder stops being congested. */
  onDrain(listener: () => void): void;
  /** Fires, with a RecordingError as reason, when the recording cannot go on. */
  readonly failed: AbortSignal;
  /** Names the reason that the end event will carry; without it `session ended`. */
  finish(reason: string): void;
}

/** Starts a recording: resolves when its first block is durable and reported. Throws RecordingError otherwise. */
export type OpenRecorder = (options: RecorderOptions, signal: AbortSignal) => Promise<Recorder>;
