/**
 * The recorder of a gate, this room's door for the proxy. It imports base and the format, never the store: a gate has no
 * database. Its promise: once `openRecorder` has resolved, what is appended is on disk, encrypted and reported to the
 * keeper within about a second, or `failed` fires and the session must end.
 */
import type { Clock } from '../base/clock.ts';
import type { RecordingId } from '../base/ids.ts';
import type { Secret } from '../base/secret.ts';
import { orAborted } from '../base/signals.ts';
import { concat } from '../base/bytes.ts';
import { dataKey, headerHash } from './block.ts';
import type { RecordingError } from './errors.ts';
import { writeEvent, writeStream } from './format/codec.ts';
import { maxPayload, writeUpdate } from './format/desktop-codec.ts';
import type { UpdateEvent } from './format/desktop-events.ts';
import { encodeHeader, hashLength, type RecordingHeader } from './format/container.ts';
import { type EchoGuard, guardEcho } from './format/echo.ts';
import type { EventDetail, StreamKind } from './format/events.ts';
import { type FieldWriter, writeFields } from './format/fields.ts';
import { guardKeys, type KeyGuard } from './format/keys.ts';
import { blockTarget, maxBody, sessionChannel } from './format/limits.ts';
import { type Line, openLine } from './line.ts';
import { openReports, type ReportBlock } from './reports.ts';
import { openSpool } from './spool.ts';

export type { BlockReport, ReportBlock } from './reports.ts';

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
  /** What is kept of a desktop's keys: all of them, or none that types a character; that is how it is unless said otherwise. */
  readonly keys?: 'all' | 'masked';
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
  /**
   * Appends any other event, copying it. `channel` is `sessionChannel` for what concerns the whole session. An update
   * of a desktop may be longer than an event's body: it is split.
   */
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
export async function openRecorder(options: RecorderOptions, signal: AbortSignal): Promise<Recorder> {
  const limits: RecorderLimits = { ...recorderLimits, ...options.limits };
  const header = encodeHeader(options.header);
  const binding = headerHash(header);
  const key = dataKey(options.key);
  const failure = new AbortController();
  const fail = (error: RecordingError): void => failure.abort(error);
  const spool = await openSpool(options.spool, concat([header, binding]), fail);
  const reports = openReports(options.report, options.clock, limits.keeperMs, fail);
  const spare = new Spare();
  const line = openLine({
    written: (plain) => spare.put(plain),
    spool,
    reports,
    key,
    binding,
    offset: header.length + hashLength,
    queueBytes: limits.queueBytes,
    fail,
  });
  const recorder = new FileRecorder(options, limits, line, spare, failure.signal);
  try {
    recorder.record({ kind: 'start', text: '' }, sessionChannel, options.clock.now());
    recorder.cut(false);
    await orAborted(line.settled(), AbortSignal.any([signal, failure.signal]));
    return recorder;
  } catch (error) {
    line.abandon();
    await recorder[Symbol.asyncDispose]();
    throw error;
  }
}

/** What becomes of a recorder that nobody configured. */
const recorderLimits: RecorderLimits = {
  blockMs: 1000,
  blockBytes: blockTarget,
  queueBytes: 1024 * 1024,
  keeperMs: 30_000,
};

/**
 * Memory of written chunks, to be written again: during a bulk transfer the garbage collector would otherwise take
 * more time than the compression. A chunk that used little of its memory ends the bulk, and all of it is let go.
 */
class Spare {
  #kept: Uint8Array<ArrayBuffer>[] = [];

  take(): Uint8Array<ArrayBuffer> | undefined {
    return this.#kept.pop();
  }

  put(plain: Uint8Array<ArrayBuffer>): void {
    const { buffer } = plain;
    if (2 * plain.length < buffer.byteLength || buffer.byteLength < spareFrom) this.#kept = [];
    else if (this.#kept.length < mostSpare) this.#kept.push(new Uint8Array(buffer));
  }
}

const spareFrom = 64 * 1024;
const mostSpare = 4;

/** The hot path: events into the open chunk, and chunks into the line. Identity and lifetime, hence a class. */
class FileRecorder implements Recorder {
  readonly id: RecordingId;
  readonly failed: AbortSignal;
  readonly #startedAt: number;
  readonly #limits: RecorderLimits;
  readonly #clock: Clock;
  readonly #line: Line;
  readonly #spare: Spare;
  readonly #guards = new Map<number, EchoGuard>();
  readonly #keys: KeyGuard | undefined;
  readonly #over = new AbortController();
  readonly #chunk: FieldWriter = writeFields(2048);
  #events = 0;
  #from = 0;
  #last = 0;
  #number = 0;
  #openedAt = 0;
  #armed = false;
  #ended = false;
  #reason = 'session ended';

  constructor(
    { header, clock, keys }: RecorderOptions,
    limits: RecorderLimits,
    line: Line,
    spare: Spare,
    failed: AbortSignal,
  ) {
    this.id = header.id;
    this.failed = failed;
    this.#startedAt = header.startedAt;
    this.#limits = limits;
    this.#clock = clock;
    this.#line = line;
    this.#spare = spare;
    this.#keys = keys === 'all' ? undefined : guardKeys();
  }

  append(kind: StreamKind, channel: number, bytes: Uint8Array, now: number): void {
    if (this.#ended) return;
    const guard = this.#guards.get(channel);
    if (kind === 'input' && guard !== undefined) return this.#put(guard.typed(bytes), channel, now);
    for (let at = 0; at < bytes.length; at += maxBody) {
      const delta = this.#begin(now);
      writeStream(
        this.#chunk,
        kind,
        delta,
        channel,
        bytes.length <= maxBody ? bytes : bytes.subarray(at, at + maxBody),
      );
      this.#added();
    }
    if (guard !== undefined) this.#put(guard.shown(bytes), channel, now);
  }

  record(detail: EventDetail, channel: number, now: number): void {
    if (this.#ended) return;
    const guard = this.#guards.get(channel);
    if (detail.kind === 'pty' && guard === undefined) this.#guards.set(channel, guardEcho());
    if (detail.kind === 'channel-close' && guard !== undefined) {
      this.#guards.delete(channel);
      this.#put(guard.close(), channel, now);
    }
    if (detail.kind === 'rdp-key' && this.#keys !== undefined) return this.#put(this.#keys.pass(detail), channel, now);
    if (detail.kind === 'picture' || detail.kind === 'pointer') return this.#update(detail, channel, now);
    const delta = this.#begin(now);
    writeEvent(this.#chunk, delta, channel, detail);
    this.#added();
  }

  get congested(): boolean {
    return this.#line.congested(this.#chunk.length);
  }

  onDrain(listener: () => void): void {
    this.#line.onDrain(listener);
  }

  finish(reason: string): void {
    this.#reason = reason;
  }

  /** Closes the open chunk and hands it on. */
  cut(end: boolean): void {
    if (this.#events === 0) return;
    this.#line.put({
      number: this.#number++,
      end,
      plain: this.#chunk.give(this.#spare.take()),
      events: this.#events,
      from: this.#from,
      until: this.#last,
    });
    this.#events = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    const now = this.#clock.now();
    for (const [channel, guard] of this.#guards) this.#put(guard.close(), channel, now);
    this.#put(this.#keys?.close() ?? [], sessionChannel, now);
    this.record({ kind: 'end', reason: this.#reason }, sessionChannel, now);
    this.#ended = true;
    this.cut(true);
    this.#over.abort();
    await this.#line.close();
  }

  #update({ kind, code, payload }: UpdateEvent, channel: number, now: number): void {
    let at = 0;
    do {
      const piece = payload.subarray(at, at + maxPayload);
      at += maxPayload;
      const delta = this.#begin(now);
      writeUpdate(this.#chunk, delta, channel, { kind, code, payload: piece, more: at < payload.length });
      this.#added();
    } while (at < payload.length);
  }

  #put(details: readonly EventDetail[], channel: number, now: number): void {
    for (const detail of details) {
      const delta = this.#begin(now);
      writeEvent(this.#chunk, delta, channel, detail);
      this.#added();
    }
  }

  /** Before an event: its microseconds since the one before, never negative whatever the clock does. */
  #begin(now: number): number {
    const at = Math.max(this.#last, Math.round((now - this.#startedAt) * 1000), 0);
    if (this.#events === 0) {
      this.#from = at;
      this.#last = at;
      this.#arm();
    }
    const delta = at - this.#last;
    this.#last = at;
    this.#events++;
    return delta;
  }

  #added(): void {
    if (this.#chunk.length >= this.#limits.blockBytes) this.cut(false);
  }

  #arm(): void {
    this.#openedAt = this.#clock.now();
    if (this.#armed) return;
    this.#armed = true;
    void this.#wait(this.#limits.blockMs);
  }

  /** Cuts the chunk when it is old enough; a chunk begun meanwhile is waited for in its turn. */
  async #wait(ms: number): Promise<void> {
    try {
      for (let left = ms; left > 0; ) {
        await this.#clock.sleep(left, this.#over.signal);
        left = this.#events === 0 ? 0 : this.#openedAt + this.#limits.blockMs - this.#clock.now();
      }
      this.cut(false);
    } catch {
      // Only the end of the recorder ends the sleep; the end has cut the chunk.
    } finally {
      this.#armed = false;
    }
  }
}
