/**
 * Input and output on the devices that were let through (MS-RDPEFS §3.3.5.2). Every request of the target is remembered
 * until the client completes it; a completion that nobody waits for goes nowhere. A request on another device, on a file
 * that is not open, or beyond what policy allows on a drive, is completed by the gate and never reaches the client.
 */
import {
  createDone,
  type Device,
  encodeRefusal,
  type IoCall,
  type IoCompletion,
  type IoRequest,
  isViolation,
  ntStatus,
  readDone,
  sizeDone,
  type Violation,
  writeDone,
} from '../../../protocol/rdp/channels/channels.ts';
import type { RdpPolicy } from '../policy.ts';
import { refusedOnDrive } from './drive-rights.ts';
import type { Ahead } from './file-hash.ts';
import type { ChannelEvent, ChannelLimits } from './filter.ts';
import { OpenFile, type Place } from './open-file.ts';

export interface KnownDevice {
  readonly type: Device['type'];
  readonly name: string;
}

/** A request that the client has not completed; of a write only the length is kept. */
interface Asked {
  readonly device: number;
  readonly id: number;
  readonly known: KnownDevice;
  readonly call: Exclude<IoCall, { call: 'write' }> | { readonly call: 'write'; readonly bytes: number };
  readonly file: OpenFile | undefined;
}

/** What becomes of a request: it passes, or it is answered with these bytes. */
export type Judged = { readonly passes: true } | { readonly passes: false; readonly answer: Uint8Array };

export class DeviceIo {
  #policy: RdpPolicy;
  #limits: ChannelLimits;
  #asked = new Map<string, Asked>();
  #files = new Map<string, { readonly device: number; readonly file: OpenFile }>();
  /** Sizes that the client told of files by path: some targets ask for them through another opening of the same file. */
  #sizes = new Map<string, bigint>();
  #ahead: Ahead;

  constructor(policy: RdpPolicy, limits: ChannelLimits) {
    this.#policy = policy;
    this.#limits = limits;
    this.#ahead = { bytes: limits.aheadBytes };
  }

  /** Judges a request; `known` is the device it is for, if the target may know it. */
  request(request: IoRequest, known: KnownDevice | undefined, events: ChannelEvent[]): Judged | Violation {
    const key = `${request.device}:${request.completion}`;
    if (this.#asked.has(key)) return { violation: 'a device request has the number of another one' };
    const file = this.#files.get(`${request.device}:${request.file}`)?.file;
    const status = known === undefined ? ntStatus.noSuchDevice : this.#refused(request.call, known, file);
    if (status !== undefined || known === undefined) {
      const name = request.call.call === 'create' ? request.call.path : (file?.name ?? '');
      const why = `${request.call.call} refused with ${(status ?? 0).toString(16)}`;
      events.push({ type: 'file.refused', device: known?.name ?? `device ${request.device}`, name, why });
      return { passes: false, answer: encodeRefusal(request, status ?? ntStatus.noSuchDevice) };
    }
    if (this.#asked.size >= this.#limits.pending) return { violation: 'too many device requests at once' };
    const { call } = request;
    if (call.call === 'write') file?.write(call.offset, call.data);
    if (call.call === 'write' || call.call === 'set-information') this.#sizes.delete(`${request.device}:${file?.name}`);
    const kept = call.call === 'write' ? { call: call.call, bytes: call.data.length } : call;
    this.#asked.set(key, { device: request.device, id: request.file, known, call: kept, file });
    return { passes: true };
  }

  #refused(call: IoCall, known: KnownDevice, file: OpenFile | undefined): number | undefined {
    if (known.type === 'drive') {
      const { drives } = this.#policy;
      const status = refusedOnDrive(call, drives === 'none' ? 'read' : drives);
      if (status !== undefined) return status;
    } else if (call.call === 'unknown') return ntStatus.notSupported;
    if (call.call === 'create' && this.#files.size >= this.#limits.openFiles) return ntStatus.tooManyOpened;
    const needsFile = call.call === 'read' || call.call === 'write' || call.call === 'set-information';
    return needsFile && file === undefined && known.type !== 'smartcard' ? ntStatus.invalidHandle : undefined;
  }

  /** Takes a completion. Whether it passes on to the target, or what does in its place. */
  completion(done: IoCompletion, events: ChannelEvent[]): boolean | Uint8Array | Violation {
    const key = `${done.device}:${done.completion}`;
    const asked = this.#asked.get(key);
    if (asked === undefined) return false;
    this.#asked.delete(key);
    return done.status === ntStatus.success ? this.#succeeded(asked, done, events) : this.#failed(asked, done, events);
  }

  #succeeded(asked: Asked, done: IoCompletion, events: ChannelEvent[]): true | Violation {
    const { call, file } = asked;
    switch (call.call) {
      case 'create': {
        const created = createDone(done.tail);
        if (isViolation(created)) return created;
        const key = `${asked.device}:${created.file}`;
        // a client that gives one number to two files: the first is told now, because it cannot be told apart later
        this.#files.get(key)?.file.close(events);
        if (asked.known.type === 'smartcard') return true;
        const opened = new OpenFile(placeOf(asked.known), call, this.#ahead);
        const size = this.#sizes.get(`${asked.device}:${call.path}`);
        if (size !== undefined) opened.sized(size);
        this.#files.set(key, { device: asked.device, file: opened });
        return true;
      }
      case 'close':
        this.#close(asked, events);
        return true;
      case 'read': {
        const data = readDone(done.tail);
        if (isViolation(data)) return data;
        if (data.length > call.bytes) return { violation: 'a client read more than it was asked' };
        file?.read(call.offset, data, call.bytes, events);
        return true;
      }
      case 'write': {
        const length = writeDone(done.tail);
        file?.wrote(length === call.bytes);
        return true;
      }
      case 'set-information':
        file?.changed(call.change, events);
        return true;
      case 'query-information': {
        const size = call.level === 5 ? sizeDone(done.tail) : undefined;
        if (size === undefined || file === undefined) return true;
        file.sized(size);
        const [oldest] = this.#sizes.keys();
        if (oldest !== undefined && this.#sizes.size >= this.#limits.openFiles) this.#sizes.delete(oldest);
        this.#sizes.set(`${asked.device}:${file.name}`, size);
        return true;
      }
      default:
        return true;
    }
  }

  #failed(asked: Asked, done: IoCompletion, events: ChannelEvent[]): true | Uint8Array {
    const { call, file } = asked;
    if (call.call === 'write') file?.wrote(false);
    if (call.call === 'read' && done.status === ntStatus.endOfFile) file?.ends(call.offset);
    if (call.call === 'close') this.#close(asked, events);
    // a read that did not succeed brings no content: what it carries was counted nowhere
    return call.call === 'read' ? encodeRefusal(done, done.status) : true;
  }

  #close(asked: Asked, events: ChannelEvent[]): void {
    asked.file?.close(events);
    const key = `${asked.device}:${asked.id}`;
    if (this.#files.get(key)?.file === asked.file) this.#files.delete(key);
  }

  /** A device is gone, or all are: tells of the files that were open on it. */
  forget(device: number | undefined, events: ChannelEvent[]): void {
    for (const [key, open] of this.#files) {
      if (device !== undefined && open.device !== device) continue;
      open.file.close(events);
      this.#files.delete(key);
    }
    this.#sizes.clear();
    for (const [key, asked] of this.#asked)
      if (device === undefined || asked.device === device) this.#asked.delete(key);
  }
}

function placeOf(known: KnownDevice): Place {
  const via = known.type === 'drive' || known.type === 'printer' ? known.type : 'port';
  return { via, device: known.name };
}
