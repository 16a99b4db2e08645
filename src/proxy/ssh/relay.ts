/**
 * The relay of one spliced connection, without sockets: a message of one side in, at most a few messages out. Whatever is
 * allowed goes on as it came, byte for byte; what is not allowed is answered here, in the order that the asking side expects.
 * Bulk data is looked at no further than its channel number.
 */
import { text } from '../../base/bytes.ts';
import {
  type ChannelRequest,
  type ConnectionMessage,
  connectionMsg,
  decodeConnection,
  encodeConnection,
  openFailure,
  recipientOf,
} from '../../protocol/ssh/ssh.ts';
import { ProxyError } from '../errors.ts';
import { type Channel, Channels, owe, type Reply, settle } from './channels.ts';
import { classifyExec, mayAskClient, mayAskTarget, mayOpen, mayReportToClient, needed } from './policy.ts';

/** Who looks on: the recording, the audit trail. Bytes are views valid during the call. */
export interface Watcher {
  opened(channel: Channel): void;
  /** A request that is on its way to the target. */
  requested(channel: Channel, name: string, request: ChannelRequest): void;
  refused(what: string, reason: string, channel: Channel | undefined): void;
  bytes(channel: Channel, stream: 'input' | 'output' | 'error-output', bytes: Uint8Array): void;
  /** The target says how the program ended. */
  reported(channel: Channel, request: ChannelRequest): void;
  closed(channel: Channel): void;
}

export interface Ways {
  readonly toClient: (payload: Uint8Array) => void;
  readonly toTarget: (payload: Uint8Array) => void;
}

const data = connectionMsg.channelData;
const extended = connectionMsg.channelExtendedData;
const adjust = connectionMsg.channelWindowAdjust;

export class Relay {
  readonly #allowed: ReadonlySet<string>;
  readonly #ways: Ways;
  readonly #watcher: Watcher;
  readonly #channels = new Channels();
  /** Answers to global requests that the client waits for, and that the target waits for. */
  readonly #owed: Reply[] = [];
  readonly #owedToTarget: Reply[] = [];

  /** `allowed` are the sub-protocols of the grant. */
  constructor(allowed: ReadonlySet<string>, ways: Ways, watcher: Watcher) {
    this.#allowed = allowed;
    this.#ways = ways;
    this.#watcher = watcher;
  }

  /** Channels that are open, for their end when the connection goes. */
  open(): Iterable<Channel> {
    return this.#channels.all();
  }

  /** One payload of the client. Throws `proxy.protocol` when it makes no sense. */
  fromClient(payload: Uint8Array): void {
    const number = payload[0];
    if (number === data) {
      const channel = this.#channels.ofClient(recipientOf(payload) ?? -1);
      if (channel === undefined || channel.clientClosed)
        throw new ProxyError('proxy.protocol', 'client: data for a channel that is not open');
      this.#watcher.bytes(channel, 'input', bytesOf(payload, 5));
      return this.#ways.toTarget(payload);
    }
    if (number === adjust)
      return this.#adjust(this.#channels.ofClient(recipientOf(payload) ?? -1), payload, 'toTarget');
    // No client has an error output (RFC 4254 §5.2), and nobody would look at what came this way.
    if (number === extended) throw new ProxyError('proxy.protocol', 'client: extended data');
    if (isLate(number)) return;
    this.#clientMessage(parse(payload, 'client'), payload);
  }

  /** One payload of the target. */
  fromTarget(payload: Uint8Array): void {
    const number = payload[0];
    if (number === data || number === extended) {
      const channel = this.#channels.ofTarget(recipientOf(payload) ?? -1);
      if (channel?.targetId === undefined || channel.targetClosed)
        throw new ProxyError('proxy.protocol', 'target: data for a channel that is not open');
      if (number === data) this.#watcher.bytes(channel, 'output', bytesOf(payload, 5));
      else this.#watcher.bytes(channel, 'error-output', bytesOf(payload, 9));
      return this.#ways.toClient(payload);
    }
    if (number === adjust)
      return this.#adjust(this.#channels.ofTarget(recipientOf(payload) ?? -1), payload, 'toClient');
    if (isLate(number)) return;
    this.#targetMessage(parse(payload, 'target'), payload);
  }

  /** Window for a channel that is closed already may still come from a side that reads what it had; it is for nobody. */
  #adjust(channel: Channel | undefined, payload: Uint8Array, way: 'toClient' | 'toTarget'): void {
    if (payload.length !== 9) throw new ProxyError('proxy.protocol', 'a window adjustment of a wrong length');
    if (channel?.targetId === undefined) return;
    if (way === 'toTarget' ? channel.clientClosed : channel.targetClosed) return;
    this.#ways[way](payload);
  }

  #clientMessage(message: ConnectionMessage, payload: Uint8Array): void {
    switch (message.kind) {
      case 'global-request':
        if (mayAskTarget(message.name)) {
          if (message.wantReply) this.#owe(this.#owed, 'relay', nothing, 'client');
          return this.#ways.toTarget(payload);
        }
        this.#watcher.refused(message.name, 'this request is not allowed', undefined);
        if (message.wantReply) this.#owe(this.#owed, 'refuse', refuseGlobal(this.#ways.toClient), 'client');
        return;
      case 'request-success':
      case 'request-failure':
        this.#settle(
          this.#owedToTarget,
          () => this.#ways.toTarget(payload),
          refuseGlobal(this.#ways.toTarget),
          'client',
        );
        return;
      case 'open':
        return this.#openChannel(message, payload);
      case 'open-confirmation':
      case 'open-failure':
        // The target may open nothing, so the client has nothing to answer.
        throw new ProxyError('proxy.protocol', `client: ${message.kind} without a question`);
      case 'request':
        return this.#clientRequest(this.#ofClient(message.recipient), message, payload);
      case 'success':
      case 'failure': {
        const channel = this.#ofClient(message.recipient);
        const refuse = refuseRequest(this.#ways.toTarget, message.recipient);
        this.#settle(channel.owedToTarget, () => this.#ways.toTarget(payload), refuse, 'client');
        return;
      }
      case 'eof':
        this.#ofClient(message.recipient);
        return this.#ways.toTarget(payload);
      case 'close': {
        const channel = this.#ofClient(message.recipient);
        channel.clientClosed = true;
        this.#ways.toTarget(payload);
        return this.#closeIfOver(channel);
      }
      case 'window-adjust':
      case 'data':
      case 'extended-data':
        return;
      default:
        message satisfies never;
    }
  }

  #targetMessage(message: ConnectionMessage, payload: Uint8Array): void {
    switch (message.kind) {
      case 'global-request':
        if (mayAskClient(message.name)) {
          if (message.wantReply) this.#owe(this.#owedToTarget, 'relay', nothing, 'target');
          return this.#ways.toClient(payload);
        }
        if (message.wantReply) this.#owe(this.#owedToTarget, 'refuse', refuseGlobal(this.#ways.toTarget), 'target');
        return;
      case 'request-success':
      case 'request-failure':
        this.#settle(this.#owed, () => this.#ways.toClient(payload), refuseGlobal(this.#ways.toClient), 'target');
        return;
      case 'open':
        this.#watcher.refused(message.type, 'a target may open no channel', undefined);
        return this.#ways.toTarget(
          encodeConnection({
            kind: 'open-failure',
            recipient: message.sender,
            reason: openFailure.prohibited,
            description: 'not allowed',
          }),
        );
      case 'open-confirmation': {
        const channel = this.#asked(message.recipient);
        if (!this.#channels.confirm(channel.clientId, message.sender))
          throw new ProxyError('proxy.protocol', 'target: a channel twice');
        this.#watcher.opened(channel);
        return this.#ways.toClient(payload);
      }
      case 'open-failure':
        this.#channels.forget(this.#asked(message.recipient));
        return this.#ways.toClient(payload);
      case 'request':
        return this.#targetRequest(this.#ofTarget(message.recipient), message, payload);
      case 'success':
      case 'failure': {
        const channel = this.#ofTarget(message.recipient);
        const refuse = refuseRequest(this.#ways.toClient, channel.clientId);
        const answered = this.#settle(channel.owed, () => this.#ways.toClient(payload), refuse, 'target');
        // Nothing was started, so the client may try another way, as PuTTY's pscp does.
        if (answered === 'program' && message.kind === 'failure') channel.use = { kind: 'none' };
        return;
      }
      case 'eof':
        this.#ofTarget(message.recipient);
        return this.#ways.toClient(payload);
      case 'close': {
        const channel = this.#ofTarget(message.recipient);
        channel.targetClosed = true;
        this.#ways.toClient(payload);
        return this.#closeIfOver(channel);
      }
      case 'window-adjust':
      case 'data':
      case 'extended-data':
        return;
      default:
        message satisfies never;
    }
  }

  #openChannel(message: Extract<ConnectionMessage, { kind: 'open' }>, payload: Uint8Array): void {
    const prohibited = !mayOpen(message.type);
    const channel = prohibited ? undefined : this.#channels.open(message.sender);
    if (channel !== undefined) return this.#ways.toTarget(payload);
    const reason = prohibited ? 'this kind of channel is not allowed' : 'too many channels';
    this.#watcher.refused(message.type, reason, undefined);
    this.#ways.toClient(
      encodeConnection({
        kind: 'open-failure',
        recipient: message.sender,
        reason: prohibited ? openFailure.prohibited : openFailure.resourceShortage,
        description: reason,
      }),
    );
  }

  #clientRequest(
    channel: Channel,
    message: Extract<ConnectionMessage, { kind: 'request' }>,
    payload: Uint8Array,
  ): void {
    const { name, request, wantReply } = message;
    const need = needed(name, detailOf(request));
    // One program a channel (RFC 4254 §6.5), so that nothing that is watched as one thing becomes another.
    const second = need !== undefined && channel.use.kind !== 'none';
    if (need === false || second || (need !== undefined && !this.#allowed.has(need))) {
      this.#watcher.refused(
        need === false ? name : (need ?? name),
        second ? 'a program runs in this channel already' : 'the grant does not allow it',
        channel,
      );
      if (wantReply) this.#owe(channel.owed, 'refuse', refuseRequest(this.#ways.toClient, channel.clientId), 'client');
      return;
    }
    if (request.type === 'pty-req') channel.pty = true;
    if (request.type === 'shell') channel.use = { kind: 'shell' };
    if (request.type === 'exec') {
      channel.use = {
        kind: 'exec',
        command: request.command.slice(),
        files: classifyExec(text(request.command)).files,
      };
    }
    if (request.type === 'subsystem') channel.use = { kind: 'subsystem', name: request.subsystem };
    this.#watcher.requested(channel, name, request);
    if (wantReply) this.#owe(channel.owed, need === undefined ? 'relay' : 'program', nothing, 'client');
    this.#ways.toTarget(payload);
  }

  #targetRequest(
    channel: Channel,
    message: Extract<ConnectionMessage, { kind: 'request' }>,
    payload: Uint8Array,
  ): void {
    if (mayReportToClient(message.name)) {
      if (message.wantReply) this.#owe(channel.owedToTarget, 'relay', nothing, 'target');
      this.#watcher.reported(channel, message.request);
      return this.#ways.toClient(payload);
    }
    if (!message.wantReply) return;
    this.#owe(channel.owedToTarget, 'refuse', refuseRequest(this.#ways.toTarget, channel.targetId ?? 0), 'target');
  }

  #closeIfOver(channel: Channel): void {
    if (!channel.clientClosed || !channel.targetClosed) return;
    this.#channels.forget(channel);
    this.#watcher.closed(channel);
  }

  #ofClient(recipient: number): Channel {
    const channel = this.#channels.ofClient(recipient);
    if (channel === undefined || channel.clientClosed)
      throw new ProxyError('proxy.protocol', 'client: a message for a channel that is not open');
    return channel;
  }

  #ofTarget(recipient: number): Channel {
    const channel = this.#channels.ofTarget(recipient);
    if (channel?.targetId === undefined || channel.targetClosed)
      throw new ProxyError('proxy.protocol', 'target: a message for a channel that is not open');
    return channel;
  }

  /** The channel that the client has asked for and the target has not answered yet. */
  #asked(recipient: number): Channel {
    const channel = this.#channels.ofTarget(recipient);
    if (channel === undefined || channel.targetId !== undefined)
      throw new ProxyError('proxy.protocol', 'target: an answer about a channel that nobody asked for');
    return channel;
  }

  #owe(owed: Reply[], reply: Reply, refuseNow: () => void, asking: string): void {
    if (!owe(owed, reply, refuseNow))
      throw new ProxyError('proxy.protocol', `${asking}: too many requests without an answer`);
  }

  #settle(owed: Reply[], relay: () => void, refuse: () => void, answering: string): Reply {
    const answered = settle(owed, relay, refuse);
    if (answered === undefined) throw new ProxyError('proxy.protocol', `${answering}: an answer without a question`);
    return answered;
  }
}

function nothing(): void {}

function refuseGlobal(way: (payload: Uint8Array) => void): () => void {
  return () => way(encodeConnection({ kind: 'request-failure' }));
}

function refuseRequest(way: (payload: Uint8Array) => void, recipient: number): () => void {
  return () => way(encodeConnection({ kind: 'failure', recipient }));
}

/** Messages of user authentication after its success are to be ignored (RFC 4252 §5.3). */
function isLate(number: number | undefined): boolean {
  return number !== undefined && number >= 50 && number <= 79;
}

function parse(payload: Uint8Array, side: string): ConnectionMessage {
  const message = decodeConnection(payload);
  if ('violation' in message) throw new ProxyError('proxy.protocol', `${side}: ${message.violation}`);
  return message;
}

/** The bytes of a data message behind `head`; the length in front of them must be theirs. */
function bytesOf(payload: Uint8Array, head: number): Uint8Array {
  if (payload.length < head + 4) throw new ProxyError('proxy.protocol', 'data without a length');
  const bytes = payload.subarray(head + 4);
  const length = new DataView(payload.buffer, payload.byteOffset, payload.length).getUint32(head);
  if (length !== bytes.length) throw new ProxyError('proxy.protocol', 'a length that lies');
  return bytes;
}

/** What a request is about, for the policy: the command or the subsystem. */
function detailOf(request: ChannelRequest): string {
  if (request.type === 'exec') return text(request.command);
  if (request.type === 'subsystem') return request.subsystem;
  return '';
}
