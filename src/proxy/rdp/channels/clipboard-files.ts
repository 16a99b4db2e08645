/**
 * Contents of files that cross the clipboard one way (MS-RDPECLIP §1.3.2.2.3): requests are matched with the list of
 * files that was offered, answers with requests, and what crossed of each file is hashed. A request for a file that no
 * list named never reaches the owner of the files.
 */
import { empty } from '../../../base/bytes.ts';
import {
  type ClipMessage,
  type FileContentsRequest,
  type FileDescriptor,
  fileSizeOf,
} from '../../../protocol/rdp/channels/channels.ts';
import type { Way } from '../policy.ts';
import { type Ahead, FileHash } from './file-hash.ts';
import type { ChannelEvent, ChannelLimits } from './filter.ts';

/** One file of a list, and what has crossed of it since it was last begun. */
interface OfferedFile {
  readonly name: string;
  size: bigint | undefined;
  hash: FileHash | undefined;
}

/** The files of one offer; its owner makes a new one with each list of files. */
export type OfferedFiles = readonly OfferedFile[];

export function offerFiles(list: readonly FileDescriptor[]): OfferedFiles {
  return list.map(({ name, size }) => ({ name, size, hash: undefined }));
}

type ContentsResponse = Extract<ClipMessage, { type: 'file-contents-response' }>;

export class ClipboardFiles {
  #way: Way;
  #limits: ChannelLimits;
  #pending: { readonly request: FileContentsRequest; readonly file: OfferedFile }[] = [];
  /** Files with a hash under way, the oldest first. */
  #begun = new Set<OfferedFile>();
  #ahead: Ahead;

  constructor(way: Way, limits: ChannelLimits) {
    this.#way = way;
    this.#limits = limits;
    this.#ahead = { bytes: limits.aheadBytes };
  }

  /** Whether a request may go to the owner of the files: it does if `files` holds what it names. */
  ask(request: FileContentsRequest, files: OfferedFiles | undefined): boolean {
    const file = files?.[request.index];
    if (file === undefined || this.#pending.length >= this.#limits.pending) return false;
    this.#pending.push({ request, file });
    return true;
  }

  /** The answer as it may pass, or undefined if nobody asked for it. One that does not fit its request fails. */
  answer(response: ContentsResponse, events: ChannelEvent[]): ContentsResponse | undefined {
    const at = this.#pending.findIndex(({ request }) => request.streamId === response.streamId);
    const [asked] = at === -1 ? [] : this.#pending.splice(at, 1);
    if (asked === undefined) return undefined;
    const { request, file } = asked;
    const fits = request.want === 'size' ? response.data.length === 8 : response.data.length <= request.bytes;
    if (!response.ok || !fits) return { ...response, ok: false, data: empty };
    if (request.want === 'size') {
      file.size = fileSizeOf(response.data);
      if (file.size === 0n) this.#part(file, 0n, empty, events);
    } else this.#part(file, request.position, response.data, events);
    return response;
  }

  #part(file: OfferedFile, position: bigint, data: Uint8Array, events: ChannelEvent[]): void {
    // read again from its start: what crossed before is told apart
    if (position === 0n && file.hash?.isBegun) this.#end(file, events);
    if (data.length === 0 && file.size !== 0n) return;
    file.hash ??= this.#begin(file, events);
    file.hash.add(position, data);
    if (file.hash.isWhole(file.size)) this.#end(file, events);
  }

  #begin(file: OfferedFile, events: ChannelEvent[]): FileHash {
    const [oldest] = this.#begun;
    if (oldest !== undefined && this.#begun.size >= this.#limits.openFiles) this.#end(oldest, events);
    this.#begun.add(file);
    return new FileHash(this.#ahead);
  }

  #end(file: OfferedFile, events: ChannelEvent[]): void {
    const { hash } = file;
    file.hash = undefined;
    this.#begun.delete(file);
    if (hash === undefined) return;
    const transfer = hash.end(file.name, file.size);
    events.push({ type: 'file.transferred', way: this.#way, via: 'clipboard', device: 'clipboard', ...transfer });
  }

  /** Tells of every file that was begun and not finished. */
  close(): ChannelEvent[] {
    const events: ChannelEvent[] = [];
    for (const file of this.#begun) this.#end(file, events);
    return events;
  }
}
