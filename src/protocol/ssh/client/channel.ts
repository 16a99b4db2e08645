/**
 * One session channel of our own client: numbers, windows, end of file and close (RFC 4254 §5), in both directions.
 *
 * It trusts no number of the peer: a window is never overdrawn and never overflows, data beyond ours is a violation. The
 * peer's end of file does not end ours, and CLOSE is sent once, when both are done or when the owner gives up.
 */
import { SshError } from '../errors.ts';
import type { Transport } from '../types.ts';
import { type ConnectionMessage, encodeConnection, stderrType } from '../wire/connection.ts';
import { type ChannelRequest, encodeRequest } from '../wire/connection-requests.ts';

/** How a command ended. `none`: the server closed the channel without saying. */
export type Exit =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'signal'; readonly signal: string; readonly message: string }
  | { readonly kind: 'none' };

export type Stream = 'stdout' | 'stderr';

/** What the peer may send before it hears from us again, and the packets we ask it for. */
export const ownWindow = 512 * 1024;
const ownMaxPacket = 32_768;
/** We never send larger packets, whatever the peer allows. */
const largestChunk = 32_768;
const windowLimit = 0xffffffff;

export class Channel {
  readonly id: number;
  exit: Exit = { kind: 'none' };
  /** Resolves at the peer's CLOSE; rejects when the channel or its connection breaks. */
  readonly closed: Promise<void>;
  #transport: Transport;
  #drained: () => Promise<void>;
  #receive: (stream: Stream, data: Uint8Array) => void;
  #peer: { readonly id: number; readonly maxPacket: number } | undefined;
  #sendWindow = 0;
  #receiveWindow = ownWindow;
  #spent = 0;
  #peerEof = false;
  #eofSent = false;
  #closeSent = false;
  #over: { readonly error: SshError | undefined } | undefined;
  #replies: ((granted: boolean) => void)[] = [];
  #waiting: (() => void)[] = [];
  #opened: { resolve: () => void; reject: (error: SshError) => void } | undefined;
  #end: { resolve: () => void; reject: (error: SshError) => void };

  constructor(
    id: number,
    transport: Transport,
    drained: () => Promise<void>,
    receive: (stream: Stream, data: Uint8Array) => void,
  ) {
    this.id = id;
    this.#transport = transport;
    this.#drained = drained;
    this.#receive = receive;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.closed = promise;
    // Whoever waits sees the rejection; nobody waiting is not a crash.
    promise.catch(() => {});
    this.#end = { resolve, reject };
  }

  /** Asks for the channel; resolves when the server gave it. Called once. */
  open(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#opened = { resolve, reject };
    const numbers = { sender: this.id, window: ownWindow, maxPacket: ownMaxPacket };
    this.#transport.send(encodeConnection({ kind: 'open', type: 'session', ...numbers, body: new Uint8Array(0) }));
    return promise;
  }

  /** A request that wants an answer; whether the server granted it. Answers come in the order of the requests. */
  request(request: Exclude<ChannelRequest, { type: 'unknown' }>): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    if (this.#over !== undefined || this.#peer === undefined) return Promise.resolve(false);
    this.#replies.push(resolve);
    this.#transport.send(encodeRequest(this.#peer.id, request, true));
    return promise;
  }

  /** Sends all bytes as the peer's window allows; false if the channel ended before. The bytes must not change meanwhile. */
  async write(bytes: Uint8Array): Promise<boolean> {
    let at = 0;
    while (at < bytes.length) {
      if (this.#over !== undefined || this.#eofSent || this.#closeSent || this.#peer === undefined) return false;
      if (this.#sendWindow === 0) {
        await new Promise<void>((resolve) => {
          this.#waiting.push(resolve);
        });
      } else if (this.#transport.congested) {
        await this.#drained();
      } else {
        const size = Math.min(bytes.length - at, this.#sendWindow, this.#peer.maxPacket, largestChunk);
        const message = encodeConnection({
          kind: 'data',
          recipient: this.#peer.id,
          data: bytes.subarray(at, at + size),
        });
        this.#transport.send(message);
        // It may be a secret, and the transport has its copy.
        message.fill(0);
        this.#sendWindow -= size;
        at += size;
      }
    }
    return true;
  }

  /** No more input from us; output goes on. */
  eof(): void {
    if (this.#eofSent || this.#closeSent || this.#over !== undefined || this.#peer === undefined) return;
    this.#eofSent = true;
    this.#transport.send(encodeConnection({ kind: 'eof', recipient: this.#peer.id }));
  }

  /** Gives the channel up. Late data of the peer is still taken in and dropped by whoever receives it. */
  close(): void {
    if (this.#closeSent || this.#over?.error !== undefined || this.#peer === undefined) return;
    this.#closeSent = true;
    this.#wake();
    this.#transport.send(encodeConnection({ kind: 'close', recipient: this.#peer.id }));
  }

  /** Gives so many received bytes back to the peer's window, once half of it is used up. */
  consumed(bytes: number): void {
    this.#spent += bytes;
    if (this.#spent < ownWindow / 2 || this.#peer === undefined || this.#over !== undefined || this.#closeSent) return;
    this.#receiveWindow += this.#spent;
    this.#transport.send(encodeConnection({ kind: 'window-adjust', recipient: this.#peer.id, bytes: this.#spent }));
    this.#spent = 0;
  }

  /** One message of the peer about this channel. Throws an SshError for what breaks the rules. */
  handle(message: Extract<ConnectionMessage, { recipient: number }>): void {
    if (this.#peer === undefined && message.kind !== 'open-confirmation' && message.kind !== 'open-failure')
      throw new SshError('ssh.protocol', `${message.kind} for a channel that is not open`);
    switch (message.kind) {
      case 'open-confirmation':
        if (this.#opened === undefined || this.#peer !== undefined)
          throw new SshError('ssh.protocol', 'a channel confirmed twice');
        this.#peer = { id: message.sender, maxPacket: message.maxPacket };
        this.#sendWindow = message.window;
        return this.#opened.resolve();
      case 'open-failure': {
        if (this.#peer !== undefined) throw new SshError('ssh.protocol', 'an open channel refused');
        const words = JSON.stringify(message.description.slice(0, 200));
        return this.fail(new SshError('ssh.channel-refused', `reason ${message.reason}, ${words}`));
      }
      case 'window-adjust':
        if (this.#sendWindow + message.bytes > windowLimit) throw new SshError('ssh.protocol', 'window overflow');
        this.#sendWindow += message.bytes;
        return this.#wake();
      case 'data':
        return this.#take('stdout', message.data);
      case 'extended-data':
        // RFC 4254 §5.2 knows one type; another one is counted and dropped.
        return this.#take(message.type === stderrType ? 'stderr' : undefined, message.data);
      case 'eof':
        this.#peerEof = true;
        return;
      case 'close':
        return this.#finish(undefined);
      case 'request':
        return this.#answer(message);
      case 'success':
      case 'failure': {
        const reply = this.#replies.shift();
        if (reply === undefined) throw new SshError('ssh.protocol', 'an answer to no request');
        return reply(message.kind === 'success');
      }
    }
  }

  /** Lets writers look again whether they may. */
  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #take(stream: Stream | undefined, data: Uint8Array): void {
    if (this.#peerEof) throw new SshError('ssh.protocol', 'data after the end of file');
    if (data.length > this.#receiveWindow) throw new SshError('ssh.protocol', 'more data than the window allows');
    this.#receiveWindow -= data.length;
    if (stream === undefined || this.#closeSent) this.consumed(data.length);
    else this.#receive(stream, data);
  }

  #answer(message: Extract<ConnectionMessage, { kind: 'request' }>): void {
    const { request } = message;
    if (request.type === 'exit-status') this.exit = { kind: 'status', status: request.status };
    else if (request.type === 'exit-signal')
      this.exit = { kind: 'signal', signal: request.signal, message: request.message };
    // Keep-alives come as requests that nobody knows: a failure is the answer they want.
    else if (message.wantReply && this.#peer !== undefined)
      this.#transport.send(encodeConnection({ kind: 'failure', recipient: this.#peer.id }));
  }

  /** Ends the channel because something broke: everything that waits on it learns of `error`. */
  fail(error: SshError): void {
    this.#finish(error);
  }

  #finish(error: SshError | undefined): void {
    if (this.#over !== undefined) return;
    if (error === undefined) this.close();
    this.#over = { error };
    this.#wake();
    for (const reply of this.#replies.splice(0)) reply(false);
    if (error === undefined) return this.#end.resolve();
    this.#opened?.reject(error);
    this.#end.reject(error);
  }
}
