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
  stderrType,
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
  /** Answers to global requests that the client waits for. */
  readonly #owed: Reply[] = [];

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
    if (number === data || number === adjust || number === extended) {
      const channel = this.#channels.ofClient(recipientOf(payload) ?? -1);
      if (channel === undefined) throw new ProxyError('proxy.protocol', 'client: data for a channel that is not open');
      if (number === data) this.#watcher.bytes(channel, 'input', bytesOf(payload, 5));
      this.#ways.toTarget(payload);
      return;
    }
    if (isLate(number)) return;
    this.#clientMessage(parse(payload, 'client'), payload);
  }

  /** One payload of the target. */
  fromTarget(payload: Uint8Array): void {
    const number = payload[0];
    if (number === data || number === adjust || number === extended) {
      const channel = this.#channels.ofTarget(recipientOf(payload) ?? -1);
      if (channel === undefined) throw new ProxyError('proxy.protocol', 'target: data for a channel that is not open');
      if (number === data) this.#watcher.bytes(channel, 'output', bytesOf(payload, 5));
      if (number === extended && payload[8] === stderrType)
        this.#watcher.bytes(channel, 'error-output', bytesOf(payload, 9));
      this.#ways.toClient(payload);
      return;
    }
    if (isLate(number)) return;
    this.#targetMessage(parse(payload, 'target'), payload);
  }

  #clientMessage(message: ConnectionMessage, payload: Uint8Array): void {
    switch (message.kind) {
      case 'global-request':
        if (mayAskTarget(message.name)) {
          if (message.wantReply) this.#owe(this.#owed, 'relay', () => {});
          return this.#ways.toTarget(payload);
        }
        this.#watcher.refused(message.name, 'this request is not allowed', undefined);
        if (message.wantReply) this.#owe(this.#owed, 'refuse', () => this.#refuseGlobal());
        return;
      case 'request-success':
      case 'request-failure':
        return this.#ways.toTarget(payload);
      case 'open':
        return this.#openChannel(message, payload);
      case 'open-confirmation':
      case 'open-failure':
        // The target may open nothing, so the client has nothing to answer.
        throw new ProxyError('proxy.protocol', `client: ${message.kind} without a question`);
      case 'request':
        return this.#clientRequest(this.#ofClient(message.recipient), message, payload);
      case 'eof':
      case 'success':
      case 'failure':
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
        if (mayAskClient(message.name)) return this.#ways.toClient(payload);
        if (message.wantReply) this.#ways.toTarget(encodeConnection({ kind: 'request-failure' }));
        return;
      case 'request-success':
      case 'request-failure':
        return this.#settle(this.#owed, payload, () => this.#refuseGlobal());
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
        const channel = this.#ofTarget(message.recipient);
        if (!this.#channels.confirm(channel.clientId, message.sender))
          throw new ProxyError('proxy.protocol', 'target: a channel twice');
        this.#watcher.opened(channel);
        return this.#ways.toClient(payload);
      }
      case 'open-failure':
        this.#channels.forget(this.#ofTarget(message.recipient));
        return this.#ways.toClient(payload);
      case 'request':
        return this.#targetRequest(this.#ofTarget(message.recipient), message, payload);
      case 'success':
      case 'failure': {
        const channel = this.#ofTarget(message.recipient);
        return this.#settle(channel.owed, payload, () => this.#refuseRequest(channel));
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
      if (wantReply) this.#owe(channel.owed, 'refuse', () => this.#refuseRequest(channel));
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
    if (wantReply) this.#owe(channel.owed, 'relay', () => {});
    this.#ways.toTarget(payload);
  }

  #targetRequest(
    channel: Channel,
    message: Extract<ConnectionMessage, { kind: 'request' }>,
    payload: Uint8Array,
  ): void {
    if (mayReportToClient(message.name)) {
      this.#watcher.reported(channel, message.request);
      return this.#ways.toClient(payload);
    }
    if (message.wantReply) this.#ways.toTarget(encodeConnection({ kind: 'failure', recipient: channel.targetId ?? 0 }));
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
    if (channel === undefined || channel.targetClosed)
      throw new ProxyError('proxy.protocol', 'target: a message for a channel that is not open');
    return channel;
  }

  #owe(owed: Reply[], reply: Reply, refuseNow: () => void): void {
    if (!owe(owed, reply, refuseNow))
      throw new ProxyError('proxy.protocol', 'client: too many requests without an answer');
  }

  #settle(owed: Reply[], payload: Uint8Array, refuse: () => void): void {
    if (!settle(owed, () => this.#ways.toClient(payload), refuse))
      throw new ProxyError('proxy.protocol', 'target: an answer without a question');
  }

  #refuseGlobal(): void {
    this.#ways.toClient(encodeConnection({ kind: 'request-failure' }));
  }

  #refuseRequest(channel: Channel): void {
    this.#ways.toClient(encodeConnection({ kind: 'failure', recipient: channel.clientId }));
  }
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
