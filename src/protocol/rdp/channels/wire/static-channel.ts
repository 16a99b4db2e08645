/**
 * The frame of static virtual channels (MS-RDPBCGR §2.2.6.1): a message is cut into chunks, each with the length of the
 * whole message and flags. Pure. Bulk compression of channels is never negotiated by the gate, so a chunk that claims it
 * is refused; what is written carries no flag but those of the cut.
 */
import { empty } from '../../../../base/bytes.ts';
import { LittleReader } from '../../../wire/little-reader.ts';
import { LittleWriter } from '../../../wire/little-writer.ts';
import type { Violation } from '../../../wire/violation.ts';

/** CHANNEL_CHUNK_LENGTH: what every peer takes. */
export const chunkBytes = 1600;
/** The largest chunk that a server may announce in its capability set (§2.2.7.1.10). */
const largestChunk = 16256;

const FIRST = 0x01;
const LAST = 0x02;
const SHOW_PROTOCOL = 0x10;
const SUSPEND = 0x20;
const RESUME = 0x40;
/** PACKET_COMPRESSED, PACKET_AT_FRONT, PACKET_FLUSHED. */
const COMPRESSION = 0x00e00000;

/** One chunk. `control` is a chunk without data that stops or restarts the traffic of all channels. */
export interface Chunk {
  readonly total: number;
  readonly first: boolean;
  readonly last: boolean;
  readonly showProtocol: boolean;
  readonly control: 'suspend' | 'resume' | undefined;
  readonly data: Uint8Array;
}

/** Reads one channel PDU: length u32, flags u32, data to the end. */
export function decodeChunk(bytes: Uint8Array): Chunk | Violation {
  const reader = new LittleReader(bytes);
  const total = reader.u32();
  const flags = reader.u32();
  if ((flags & COMPRESSION) !== 0) reader.fail('a compressed channel chunk was never agreed');
  const data = reader.rest();
  if (data.length > largestChunk) reader.fail('a channel chunk is too long');
  const control = (flags & SUSPEND) !== 0 ? 'suspend' : (flags & RESUME) !== 0 ? 'resume' : undefined;
  if (control !== undefined && data.length > 0) reader.fail('a channel control chunk carries data');
  if (reader.violation !== undefined) return { violation: reader.violation };
  return {
    total,
    first: (flags & FIRST) !== 0,
    last: (flags & LAST) !== 0,
    showProtocol: (flags & SHOW_PROTOCOL) !== 0,
    control,
    data,
  };
}

/** Writes a chunk that carries data as it was read. */
export function encodeChunk(chunk: Chunk): Uint8Array {
  const flags = (chunk.first ? FIRST : 0) | (chunk.last ? LAST : 0) | (chunk.showProtocol ? SHOW_PROTOCOL : 0);
  return new LittleWriter(8 + chunk.data.length).u32(chunk.total).u32(flags).raw(chunk.data).finish();
}

/** Cuts a message into channel PDUs of at most 1600 bytes of data each. The PDUs are copies. */
export function encodeChunks(message: Uint8Array, showProtocol: boolean): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  do {
    const data = message.subarray(at, at + chunkBytes);
    const flags =
      (at === 0 ? FIRST : 0) | (at + data.length === message.length ? LAST : 0) | (showProtocol ? SHOW_PROTOCOL : 0);
    chunks.push(new LittleWriter(8 + data.length).u32(message.length).u32(flags).raw(data).finish());
    at += data.length;
  } while (at < message.length);
  return chunks;
}

/** A control chunk: no data, only the flag. */
export function encodeControl(control: 'suspend' | 'resume'): Uint8Array {
  return new LittleWriter(8)
    .u32(0)
    .u32(control === 'suspend' ? SUSPEND : RESUME)
    .finish();
}

/**
 * A message whose last chunk arrived. Of an `oversized` one only the start was kept: enough to tell its sender's
 * counterpart that it will not come.
 */
export type Whole =
  | { readonly kind: 'message'; readonly message: Uint8Array }
  | { readonly kind: 'oversized'; readonly total: number; readonly start: Uint8Array };

/** What is kept of a message that is too long. */
const keptStart = 32;

/**
 * Puts the chunks of one direction together again. It holds at most `limit` bytes and never more than twice what came,
 * whatever length was announced.
 */
export class Reassembly {
  #limit: number;
  #buffer: Uint8Array = empty;
  #at = 0;
  #total: number | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes a chunk. The message that it completes, or undefined; a message is the caller's until the next chunk. */
  push(chunk: Chunk): Whole | undefined | Violation {
    if (chunk.first !== (this.#total === undefined))
      return { violation: chunk.first ? 'a channel message starts inside another' : 'a channel message has no start' };
    const total = this.#total ?? chunk.total;
    if (chunk.data.length > total - this.#at) return { violation: 'a channel message is longer than it said' };
    if (chunk.last && this.#at + chunk.data.length !== total)
      return { violation: 'a channel message is shorter than it said' };
    if (chunk.first && chunk.last && total <= this.#limit) return { kind: 'message', message: chunk.data };
    this.#total = total;
    this.#keep(chunk.data, total > this.#limit ? keptStart : total);
    this.#at += chunk.data.length;
    return chunk.last ? this.#end(total) : undefined;
  }

  #keep(data: Uint8Array, most: number): void {
    const end = Math.min(this.#at + data.length, most);
    if (this.#at >= end) return;
    if (end > this.#buffer.length) {
      const grown = new Uint8Array(Math.min(most, Math.max(end, 2 * this.#buffer.length)));
      grown.set(this.#buffer.subarray(0, this.#at));
      this.#buffer = grown;
    }
    this.#buffer.set(data.subarray(0, end - this.#at), this.#at);
  }

  #end(total: number): Whole {
    const bytes = this.#buffer;
    this.#buffer = empty;
    this.#at = 0;
    this.#total = undefined;
    if (total > this.#limit) return { kind: 'oversized', total, start: bytes.subarray(0, Math.min(keptStart, total)) };
    return { kind: 'message', message: bytes.subarray(0, total) };
  }
}
