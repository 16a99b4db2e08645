/**
 * The line between the hot path and the disk: closed chunks are compressed and encrypted one after the other, what is
 * ready is written together and made durable by one fdatasync, and then reported. While one batch is being written the
 * next blocks are already being compressed.
 *
 * INVARIANT: a block is reported only after it is durable, and blocks reach the file in the order of their numbers.
 */
import type { KeyObject } from 'node:crypto';
import { wordsOf } from '../base/errors.ts';
import { type ClosedBlock, closeBlock, type History, noHistory, type OpenBlock } from './block.ts';
import { RecordingError } from './errors.ts';
import type { Reports } from './reports.ts';
import type { Spool } from './spool.ts';

export interface LineOptions {
  readonly spool: Spool;
  readonly reports: Reports;
  readonly key: KeyObject;
  /** The header's hash, with which the chain begins. */
  readonly binding: Uint8Array;
  /** Where the first block begins. */
  readonly offset: number;
  readonly queueBytes: number;
  readonly fail: (error: RecordingError) => void;
  /** Gets back the plaintext of each block that is written: nobody looks at it any more. */
  readonly written: (plain: Uint8Array<ArrayBuffer>) => void;
}

export interface Line {
  put(block: OpenBlock): void;
  /** Whether more than the limit is waiting, `open` bytes of an open chunk included. */
  congested(open: number): boolean;
  onDrain(listener: () => void): void;
  /** Resolves when everything put so far is durable and reported, or has failed. */
  settled(): Promise<void>;
  /** Gives up what is not yet reported. */
  abandon(): void;
  /** Waits as `settled` does, then closes the file. */
  close(): Promise<void>;
}

/** So many times the limit may wait before ignoring the congestion counts as failure. */
const patience = 8;

interface Ready extends ClosedBlock {
  readonly block: OpenBlock;
  readonly previous: Uint8Array;
}

export function openLine(options: LineOptions): Line {
  const { spool, reports, key, binding, queueBytes, fail } = options;
  const open: OpenBlock[] = [];
  const ready: Ready[] = [];
  const listeners: (() => void)[] = [];
  let packing: Promise<void> | undefined;
  let writing: Promise<void> | undefined;
  let history: History = noHistory;
  let previous = binding;
  let { offset } = options;
  let waiting = 0;
  let full = false;
  let dead = false;

  async function pack(): Promise<void> {
    try {
      for (let block = open.shift(); block !== undefined && !dead; block = open.shift()) {
        const closed = await closeBlock(block, history, previous, binding, key);
        ready.push({ ...closed, block, previous });
        history = closed.history;
        previous = closed.hash;
        writing ??= write().then(() => {
          writing = undefined;
        });
      }
    } catch (cause) {
      die(new RecordingError('recording.write', wordsOf(cause), { cause }));
    } finally {
      packing = undefined;
    }
  }

  async function write(): Promise<void> {
    while (ready.length > 0 && !dead) {
      const batch = ready.splice(0);
      if (!(await spool.write(batch.map((one) => one.bytes)))) dead = true;
      else for (const one of batch) written(one);
    }
  }

  function written({ block, bytes, hash, previous: before }: Ready): void {
    const { number, events, until } = block;
    reports.push({ number, offset, length: bytes.length, previous: before, hash, events, until });
    offset += bytes.length;
    waiting -= block.plain.length;
    options.written(block.plain);
    if (full && waiting <= queueBytes / 2) {
      full = false;
      for (const listener of listeners) listener();
    }
  }

  function die(error: RecordingError): void {
    dead = true;
    fail(error);
  }

  async function settled(): Promise<void> {
    while (packing !== undefined || writing !== undefined) await (packing ?? writing);
    await reports.settled();
  }

  return {
    put(block) {
      if (dead) return;
      waiting += block.plain.length;
      if (waiting > patience * queueBytes) return die(new RecordingError('recording.overrun', `${waiting} bytes`));
      open.push(block);
      packing ??= pack();
    },
    congested(unfinished) {
      if (waiting + unfinished > queueBytes) full = true;
      return full;
    },
    onDrain: (listener) => void listeners.push(listener),
    settled,
    abandon: () => reports.close(),
    async close() {
      await settled();
      reports.close();
      await spool.close();
    },
  };
}
