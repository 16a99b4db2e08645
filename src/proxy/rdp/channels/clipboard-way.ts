/**
 * The clipboard one way: content that its owner offers and the other side reads (MS-RDPECLIP §1.3.2). The owner's list of
 * formats is cut down to what policy allows; a request for anything else is answered by the gate and never reaches the
 * owner; an answer that nobody waits for goes nowhere. So no denied content moves, whatever either side does.
 */
import { createHash } from 'node:crypto';
import { empty } from '../../../base/bytes.ts';
import {
  type ClipMessage,
  decodeFileList,
  type FileContentsRequest,
  type Format,
  isViolation,
  type Violation,
} from '../../../protocol/rdp/channels/channels.ts';
import type { Way } from '../policy.ts';
import { ClipboardFiles, type OfferedFiles, offerFiles } from './clipboard-files.ts';
import {
  type ClipKind,
  type ClipRights,
  isFileList,
  kindOf,
  kindOfId,
  mayCross,
  readText,
  titleOf,
} from './clipboard-kinds.ts';
import type { ChannelEvent, ChannelLimits } from './filter.ts';

/** One list of formats as it was let through, and the files behind it once they were told. */
interface Offer {
  readonly formats: ReadonlyMap<
    number,
    { readonly format: Format; readonly kind: ClipKind; readonly fileList: boolean }
  >;
  files: OfferedFiles | undefined;
}

/** A request for data on its way; the owner answers them in order. A denied one waits for its turn to be refused. */
type Pending =
  | { readonly denied: true }
  | { readonly denied: false; readonly format: Format; readonly kind: ClipKind; readonly fileList: Offer | undefined };

/** Messages that pass on, messages answered instead, and what is worth knowing. */
export interface ClipStep {
  readonly onward: ClipMessage[];
  readonly back: ClipMessage[];
  readonly events: ChannelEvent[];
}

const failed: ClipMessage = { type: 'data-response', ok: false, data: empty };

export class ClipboardWay {
  #way: Way;
  #rights: ClipRights;
  #limits: ChannelLimits;
  #offer: Offer = { formats: new Map(), files: undefined };
  #locks = new Map<number, Offer>();
  #pending: Pending[] = [];
  #files: ClipboardFiles;

  constructor(way: Way, rights: ClipRights, limits: ChannelLimits) {
    this.#way = way;
    this.#rights = rights;
    this.#limits = limits;
    this.#files = new ClipboardFiles(way, limits);
  }

  /** The owner offers new content. What may not cross is taken off the list; an empty list says that there is nothing. */
  offer(list: Extract<ClipMessage, { type: 'format-list' }>, longNames: boolean): ClipStep {
    const formats = new Map<number, { format: Format; kind: ClipKind; fileList: boolean }>();
    const denied = new Set<ClipKind>();
    for (const format of list.formats) {
      const kind = kindOf(format, longNames);
      if (!mayCross(kind, this.#rights)) denied.add(kind);
      else if (!formats.has(format.id))
        formats.set(format.id, { format, kind, fileList: isFileList(format, longNames) });
    }
    const nothingBefore = this.#offer.formats.size === 0;
    this.#offer = { formats, files: undefined };
    const events = [...denied].map((kind) => this.#refused(kind, 'the grant does not name it'));
    // An empty list takes away what its reader has copied himself. Servers need the client's first one, clients need none.
    if (this.#way === 'down' && nothingBefore && formats.size === 0 && denied.size > 0)
      return { onward: [], back: [{ type: 'format-list-response', ok: true }], events };
    return { onward: [{ ...list, formats: [...formats.values()].map(({ format }) => format) }], back: [], events };
  }

  #refused(what: string, why: string): ChannelEvent {
    return { type: 'clipboard.refused', way: this.#way, what, why };
  }

  /** The reader asks for content. */
  request(id: number): ClipStep | Violation {
    if (this.#pending.length >= this.#limits.pending) return { violation: 'too many clipboard requests at once' };
    const offered = this.#offer.formats.get(id);
    // a system format may be asked for without having been listed: its owner makes it from another one
    const kind = offered?.kind ?? kindOfId(id);
    const format = offered?.format ?? { id, name: '' };
    if (kind !== 'unknown' || offered !== undefined) {
      if (mayCross(kind, this.#rights)) {
        this.#pending.push({ denied: false, format, kind, fileList: offered?.fileList ? this.#offer : undefined });
        return { onward: [{ type: 'data-request', format: id }], back: [], events: [] };
      }
    }
    const events = [this.#refused(titleOf(format), 'it was not offered under this grant')];
    if (this.#pending.length === 0) return { onward: [], back: [failed], events };
    this.#pending.push({ denied: true });
    return { onward: [], back: [], events };
  }

  /** The owner answers the oldest request. Refusals that waited behind it follow. */
  response(response: Extract<ClipMessage, { type: 'data-response' }>): ClipStep {
    const asked = this.#pending.shift();
    if (asked === undefined || asked.denied)
      return { onward: [], back: [], events: [this.#refused('data', 'nobody asked for it')] };
    const events: ChannelEvent[] = [];
    const passes = response.ok && this.#record(asked, response.data, events);
    const onward: ClipMessage[] = [passes ? response : failed];
    for (; this.#pending[0]?.denied; this.#pending.shift()) onward.push(failed);
    return { onward, back: [], events };
  }

  /** Notes content that is about to cross; false if it may not, because it cannot be read as what it was asked as. */
  #record(asked: Extract<Pending, { denied: false }>, data: Uint8Array, events: ChannelEvent[]): boolean {
    const format = titleOf(asked.format);
    if (asked.fileList !== undefined) {
      const list = decodeFileList(data, this.#limits.listedFiles);
      if (isViolation(list)) {
        events.push(this.#refused(format, list.violation));
        return false;
      }
      asked.fileList.files = offerFiles(list);
      events.push({
        type: 'clipboard.files',
        way: this.#way,
        files: list.map(({ name, size }) => ({ name, size })),
      });
      return true;
    }
    const facts = {
      way: this.#way,
      format,
      bytes: data.length,
      sha256: createHash('sha256').update(data).digest('hex'),
    };
    if (asked.kind === 'text')
      events.push({ type: 'clipboard.text', ...facts, ...readText(asked.format, data, this.#limits.textLength) });
    else events.push({ type: 'clipboard.data', ...facts });
    return true;
  }

  /** The reader asks for the size of a file or a part of it, of the list it locked or of the newest. */
  fileRequest(request: FileContentsRequest): ClipStep {
    const { clipDataId } = request;
    const offer = (clipDataId === undefined ? undefined : this.#locks.get(clipDataId)) ?? this.#offer;
    if (this.#rights.files && this.#files.ask(request, offer.files)) return { onward: [request], back: [], events: [] };
    const refusal: ClipMessage = {
      type: 'file-contents-response',
      ok: false,
      streamId: request.streamId,
      data: empty,
    };
    return { onward: [], back: [refusal], events: [this.#refused('file contents', 'no such file was offered')] };
  }

  fileResponse(response: Extract<ClipMessage, { type: 'file-contents-response' }>): ClipStep {
    const events: ChannelEvent[] = [];
    const passes = this.#files.answer(response, events);
    if (passes === undefined) events.push(this.#refused('file contents', 'nobody asked for them'));
    return { onward: passes === undefined ? [] : [passes], back: [], events };
  }

  /** The reader wants the present offer kept, or no longer. Of too many locks the oldest goes. */
  lock(message: Extract<ClipMessage, { type: 'lock' | 'unlock' }>): ClipStep {
    if (!this.#rights.files) return { onward: [], back: [], events: [] };
    this.#locks.delete(message.clipDataId);
    if (message.type === 'lock') {
      const [oldest] = this.#locks.keys();
      if (oldest !== undefined && this.#locks.size >= this.#limits.locks) this.#locks.delete(oldest);
      this.#locks.set(message.clipDataId, this.#offer);
    }
    return { onward: [message], back: [], events: [] };
  }

  close(): ChannelEvent[] {
    return this.#files.close();
  }
}
