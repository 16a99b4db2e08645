/**
 * One file that the target has open on a device of the client: what was read of it, what was written to it, and what
 * became of it. A drive's file has positions; printers and ports are streams, where everything comes in order.
 */
import type { FileChange, IoCall } from '../../../protocol/rdp/channels/channels.ts';
import type { Way } from '../policy.ts';
import { beginsAnew, deletesOnClose, isDirectory } from './drive-rights.ts';
import { type Ahead, FileHash } from './file-hash.ts';
import type { ChannelEvent } from './filter.ts';

export interface Place {
  readonly via: 'drive' | 'printer' | 'port';
  readonly device: string;
}

export class OpenFile {
  #place: Place;
  #ahead: Ahead;
  #name: string;
  #fresh: boolean;
  #directory: boolean;
  #deletes: boolean;
  /** How long the file is by what was seen of it; undefined while its old length is not known. */
  #length: bigint | undefined;
  /** Where it ends by a read that came short, and by what the client said. */
  #end: bigint | undefined;
  #told: bigint | undefined;
  #read: FileHash | undefined;
  #written: FileHash | undefined;

  constructor(place: Place, create: Extract<IoCall, { call: 'create' }>, ahead: Ahead) {
    this.#place = place;
    this.#ahead = ahead;
    this.#name = create.path;
    this.#fresh = place.via === 'drive' && beginsAnew(create.disposition);
    this.#directory = isDirectory(create.options);
    this.#deletes = deletesOnClose(create.options);
    this.#length = this.#fresh ? 0n : undefined;
  }

  get name(): string {
    return this.#name;
  }

  /** Bytes that the target got from the client. */
  read(position: bigint, data: Uint8Array, asked: number, events: ChannelEvent[]): void {
    const stream = this.#place.via !== 'drive';
    if (!stream && position === 0n && this.#read?.isBegun) this.#tellRead(events);
    this.#read ??= new FileHash(this.#ahead);
    this.#read.add(stream ? this.#read.next : position, data);
    if (data.length < asked) this.ends(position + BigInt(data.length));
  }

  /** A read found nothing at a position: the file ends there or before. */
  ends(position: bigint): void {
    if (this.#end === undefined || position < this.#end) this.#end = position;
  }

  /** The client told the size. */
  sized(size: bigint): void {
    this.#told = size;
  }

  /** Bytes that the target sends to the client; `wrote` tells later whether they were taken. */
  write(position: bigint, data: Uint8Array): void {
    this.#written ??= new FileHash(this.#ahead);
    this.#written.add(this.#place.via === 'drive' ? position : this.#written.next, data);
    const end = position + BigInt(data.length);
    if (this.#length !== undefined && end > this.#length) this.#length = end;
  }

  /** Whether the client took all of a write. */
  wrote(all: boolean): void {
    if (!all) this.#written?.break();
  }

  changed(change: FileChange, events: ChannelEvent[]): void {
    if (change.change === 'renamed') {
      this.#tell('renamed', events, change.to);
      this.#name = change.to;
    } else if (change.change === 'deleted') {
      this.#deletes = change.pending;
    } else if (change.change === 'resized') {
      this.#length = change.size;
      if (!this.#fresh) this.#tell('resized', events);
    }
  }

  /** Tells what happened to the file while it was open. Call it once. */
  close(events: ChannelEvent[]): void {
    this.#tellRead(events);
    if (this.#written !== undefined)
      this.#tellTransfer(
        'down',
        this.#written,
        this.#place.via === 'drive' ? this.#length : this.#written.next,
        events,
      );
    else if (this.#fresh) this.#tell('created', events);
    if (this.#deletes && this.#place.via === 'drive') this.#tell('deleted', events);
    this.#written = undefined;
  }

  #tellRead(events: ChannelEvent[]): void {
    const read = this.#read;
    this.#read = undefined;
    if (read === undefined || this.#directory) return;
    const size = this.#place.via === 'drive' ? (this.#end ?? this.#told) : read.next;
    this.#tellTransfer('up', read, size, events);
  }

  #tellTransfer(way: Way, hash: FileHash, size: bigint | undefined, events: ChannelEvent[]): void {
    events.push({ type: 'file.transferred', way, ...this.#place, ...hash.end(this.#name, size) });
  }

  #tell(change: 'created' | 'renamed' | 'deleted' | 'resized', events: ChannelEvent[], to?: string): void {
    events.push({ type: 'file.changed', device: this.#place.device, change, name: this.#name, to });
  }
}
