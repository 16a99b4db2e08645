/**
 * Every message of a desktop's session, each looked at before it passes. What is understood passes under policy, what could hide
 * something from the recording never does, and what would give a credential away ends at the gate. It moves bytes from
 * one side to the other and waits for nothing; who writes and who reads is the splice's.
 *
 * INVARIANT: no picture reaches the client that the watcher was not shown first, and no input the target.
 */
import {
  type Active,
  decodeActive,
  decodeFastPathInput,
  decodeMcs,
  decodeShareData,
  decodeSlowInput,
  desktopOf,
  disconnectUltimatum,
  encodeActive,
  filterConfirm,
  filterDemand,
  type InputEvent,
  licensing,
  type McsPdu,
  sendDataIndication,
  sendDataRequest,
  serverUser,
  readdress,
  setShareSource,
  shareData,
  type Share,
  type ShareData,
  shareDataType,
  sharePdu,
  sound,
  walkShare,
} from '../../protocol/rdp/rdp.ts';
import { ProxyError } from '../errors.ts';
import type { Channel, ChannelEvent, Passed } from './channels/filter.ts';
import type { Pictures } from './pictures.ts';

/** One static channel that reaches both sides. */
export interface RelayedChannel {
  readonly name: string;
  readonly client: number;
  readonly target: number;
  readonly filter: Channel;
}

export interface Numbers {
  readonly client: { readonly io: number; readonly user: number };
  readonly target: { readonly io: number; readonly user: number };
  readonly channels: readonly RelayedChannel[];
}

/** Where bytes go, and who looks on. */
export interface RelayEnds {
  toClient(bytes: Uint8Array): void;
  toTarget(bytes: Uint8Array): void;
  /** Desktop sizes, pictures and pointers, before they pass. */
  readonly pictures: Pictures;
  input(events: readonly InputEvent[]): void;
  channelEvents(channel: string, events: readonly ChannelEvent[]): void;
  /** The target has logged the account in, as far as it says so. */
  loggedIn(): void;
}

type Data = Extract<McsPdu, { kind: 'data' }>;

/** How a side said that it ends. */
export type Ending = 'client' | 'target';

const redirectionFlag = 0x04;

/** A redirection in place of licensing (MS-RDPBCGR §2.2.13.2.1): a security header with its flag, and nothing in its high half. */
function isRedirection(data: Uint8Array): boolean {
  return ((data[1] ?? 0) & redirectionFlag) !== 0 && data[2] === 0 && data[3] === 0;
}

/** Save Session Info that says that somebody has logged in, and not who (§2.2.10.1.1, INFOTYPE_LOGON_PLAINNOTIFY). */
const plainNotification: Uint8Array = Uint8Array.of(2, 0, 0, 0, ...new Uint8Array(576));

export class RdpRelay {
  readonly #numbers: Numbers;
  readonly #ends: RelayEnds;
  readonly #ofClient: ReadonlyMap<number, RelayedChannel>;
  readonly #ofTarget: ReadonlyMap<number, RelayedChannel>;
  #licensed = false;
  #shareId = 0;
  #ending: Ending | undefined;

  constructor(numbers: Numbers, ends: RelayEnds) {
    this.#numbers = numbers;
    this.#ends = ends;
    this.#ofClient = new Map(numbers.channels.map((channel) => [channel.client, channel]));
    this.#ofTarget = new Map(numbers.channels.map((channel) => [channel.target, channel]));
  }

  /** Licensing is over: messages of the share follow. */
  get licensed(): boolean {
    return this.#licensed;
  }

  get shareId(): number {
    return this.#shareId;
  }

  /** A side has said that it ends, by the protocol's own words. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** One whole message of the client. Throws `RdpError` or `ProxyError` for what must not pass. */
  fromClient(message: Uint8Array): void {
    if (message[0] !== 3) {
      this.#ends.input(sound(decodeFastPathInput(message)));
      return this.#ends.toTarget(message);
    }
    const pdu = sound(decodeMcs(message));
    if (pdu.kind === 'disconnect') {
      this.#ending = 'client';
      return this.#ends.toTarget(disconnectUltimatum());
    }
    // late joins have been answered for good by the acceptor; nothing else is a client's to say
    if (pdu.kind !== 'data') return;
    if (pdu.channel === this.#numbers.client.io) return this.#ioFromClient(message, pdu);
    const channel = this.#ofClient.get(pdu.channel);
    if (channel === undefined) return;
    this.#passed(channel, sound(channel.filter.fromClient(pdu.data)));
  }

  /** One whole message of the target. Throws as `fromClient` does. */
  fromTarget(message: Uint8Array): void {
    if (message[0] !== 3) return this.#ends.toClient(this.#ends.pictures.fastPath(message));
    const pdu = sound(decodeMcs(message));
    if (pdu.kind === 'disconnect') {
      this.#ending = 'target';
      return this.#ends.toClient(disconnectUltimatum());
    }
    if (pdu.kind !== 'data') return;
    if (pdu.channel === this.#numbers.target.io) return this.#ioFromTarget(message, pdu);
    const channel = this.#ofTarget.get(pdu.channel);
    if (channel === undefined) return;
    this.#passed(channel, sound(channel.filter.fromTarget(pdu.data)));
  }

  /** What channels still had to tell when the session ended. */
  close(): void {
    for (const { name, filter } of this.#numbers.channels) this.#ends.channelEvents(name, filter.close());
  }

  #passed(channel: RelayedChannel, passed: Passed): void {
    if (passed.events.length > 0) this.#ends.channelEvents(channel.name, passed.events);
    for (const bytes of passed.toTarget)
      this.#ends.toTarget(sendDataRequest(this.#numbers.target.user, channel.target, bytes));
    for (const bytes of passed.toClient) this.#ends.toClient(sendDataIndication(channel.client, bytes));
  }

  #ioFromClient(message: Uint8Array, { data, at }: Data): void {
    const { user, io } = this.#numbers.target;
    if (!this.#licensed) {
      // anything else would pass unread, a second Client Info with a login of the client's own among it
      if (licensing(data, 'client') === undefined)
        throw new ProxyError('proxy.protocol', 'something else than licensing before its end');
      return this.#ends.toTarget(sendDataRequest(user, io, data));
    }
    const passed = this.#shares(data, (share) => this.#shareFromClient(share));
    if (passed === data) {
      readdress(message, user, io);
      for (const share of sound(walkShare(message.subarray(at, at + data.length)))) setShareSource(share.bytes, user);
      this.#ends.toTarget(message);
    } else if (passed.length > 0) this.#ends.toTarget(sendDataRequest(user, io, passed));
  }

  #shareFromClient(share: Share): Uint8Array | undefined {
    const { user } = this.#numbers.target;
    if (share.type === sharePdu.confirmActive) {
      const active = sound(decodeActive(share.bytes));
      this.#desktop(active);
      return encodeActive(filterConfirm(active, user));
    }
    if (share.type !== sharePdu.data) return undefined;
    const data = sound(decodeShareData(share.bytes));
    if (data.compression !== 0) throw new ProxyError('proxy.protocol', 'compressed input');
    switch (data.type) {
      case shareDataType.input:
        this.#ends.input(sound(decodeSlowInput(data.body)));
        return share.bytes;
      // who switches the picture off could work where no recording sees it
      case shareDataType.suppressOutput:
        return (data.body[0] ?? 0) === 0 ? undefined : share.bytes;
      // of caches that were taken out of both sides' capabilities
      case shareDataType.persistentKeys:
      case shareDataType.cacheError:
      case shareDataType.offscreenError:
        return undefined;
      default:
        return share.bytes;
    }
  }

  #ioFromTarget(message: Uint8Array, { data }: Data): void {
    const { io } = this.#numbers.client;
    if (!this.#licensed) {
      const license = licensing(data, 'server');
      if (license !== undefined) {
        this.#licensed = license === 'last';
        return this.#ends.toClient(sendDataIndication(io, data));
      }
      if (isRedirection(data)) throw new ProxyError('proxy.redirected');
      // some servers leave licensing out
      this.#licensed = true;
    }
    const passed = this.#shares(data, (share) => this.#shareFromTarget(share));
    if (passed === data) {
      readdress(message, serverUser, io);
      this.#ends.toClient(message);
    } else if (passed.length > 0) this.#ends.toClient(sendDataIndication(io, passed));
  }

  #shareFromTarget(share: Share): Uint8Array | undefined {
    switch (share.type) {
      case sharePdu.demandActive: {
        const active = sound(decodeActive(share.bytes));
        this.#shareId = active.shareId;
        this.#desktop(active);
        return encodeActive(filterDemand(active));
      }
      case sharePdu.deactivateAll:
        return share.bytes;
      case sharePdu.redirection:
        throw new ProxyError('proxy.redirected');
      case sharePdu.data:
        return this.#dataFromTarget(share, sound(decodeShareData(share.bytes)));
      default:
        return undefined;
    }
  }

  #dataFromTarget(share: Share, data: ShareData): Uint8Array | undefined {
    // it names the account, and may hold a cookie that logs in without a password
    if (data.type === shareDataType.saveSessionInfo) {
      this.#ends.pictures.withhold(data);
      this.#ends.loggedIn();
      return shareData(data.shareId, data.type, plainNotification);
    }
    if (data.compression === 0) this.#renumber(data);
    return this.#ends.pictures.share(share.bytes, data);
  }

  /** Numbers of users inside Synchronize and Control are those of the other side (§2.2.1.14, §2.2.1.16). */
  #renumber({ type, body }: ShareData): void {
    if (type !== shareDataType.synchronize && type !== shareDataType.control) return;
    const { client, target } = this.#numbers;
    if (((body[2] ?? 0) | ((body[3] ?? 0) << 8)) !== target.user) return;
    body[2] = client.user & 0xff;
    body[3] = client.user >>> 8;
  }

  #desktop(active: Active): void {
    const size = desktopOf(active);
    if (active.kind === 'demand' && size !== undefined) this.#ends.pictures.desktop(size);
  }

  /** `data` itself if every share passes as it is, else what is left of them. */
  #shares(data: Uint8Array, pass: (share: Share) => Uint8Array | undefined): Uint8Array {
    const parts: Uint8Array[] = [];
    let same = true;
    for (const share of sound(walkShare(data))) {
      const passed = pass(share);
      if (passed !== share.bytes) same = false;
      if (passed !== undefined) parts.push(passed);
    }
    if (same) return data;
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
