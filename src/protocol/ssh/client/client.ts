/**
 * A small SSH client over a transport that is logged in: commands and shells, nothing else. For connectors, which change
 * passwords on machines. It opens no tunnels, and refuses every channel that the server would open towards us.
 */
import { concat } from '../../../base/bytes.ts';
import { Secret } from '../../../base/secret.ts';
import { orAborted } from '../../../base/signals.ts';
import { SshError } from '../errors.ts';
import type { Transport, TransportEnd } from '../types.ts';
import { connectionMsg, decodeConnection, encodeConnection, openFailure } from '../wire/connection.ts';
import { isViolation } from '../wire/reader.ts';
import { disconnectReason } from '../wire/numbers.ts';
import { Channel, type Exit, type Stream } from './channel.ts';
import { Shell } from './shell.ts';

export interface PtyOptions {
  readonly term: string;
  readonly cols: number;
  readonly rows: number;
  /** Terminal modes by opcode (RFC 4254 §8), e.g. 53 → 0 for no echo. */
  readonly modes?: ReadonlyMap<number, number>;
}

export interface ExecOptions {
  /** Sent as the command's input, then end of file; a secret must live until then. Without it the input is empty. */
  readonly stdin?: Uint8Array | Secret;
  readonly pty?: PtyOptions;
  /** Bytes of both streams together before the command is given up. Default 1 MiB. */
  readonly maxOutput?: number;
}

export interface ExecResult {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly exit: Exit;
}

type Run = { readonly type: 'shell' } | { readonly type: 'exec'; readonly command: Uint8Array };

const mostChannels = 64;

export class SshClient implements AsyncDisposable {
  readonly transport: Transport;
  /** What the server showed before the login, as it came. */
  readonly banner: string;
  #channels = new Map<number, Channel>();
  #next = 0;
  #over: SshError | undefined;
  #drains: (() => void)[] = [];

  /** Takes the transport over: every payload from now on is this client's. */
  constructor(transport: Transport, banner = '') {
    this.transport = transport;
    this.banner = banner;
    transport.onDrain(() => {
      for (const wake of this.#drains.splice(0)) wake();
    });
    void transport.ended.then((end) => this.#fail(errorOf(end)));
    transport.relay((payload) => this.#take(payload));
  }

  get ended(): Promise<TransportEnd> {
    return this.transport.ended;
  }

  /**
   * Runs a command and waits for its end. A status other than 0 is a result, not an error. Throws `ssh.channel-refused`,
   * `ssh.request-refused`, `ssh.too-much-output`, or what ended the connection.
   */
  async exec(command: string, options: ExecOptions, signal: AbortSignal): Promise<ExecResult> {
    const parts: Record<Stream, Uint8Array[]> = { stdout: [], stderr: [] };
    const most = options.maxOutput ?? 1 << 20;
    const input = options.stdin instanceof Secret ? options.stdin.reveal() : options.stdin;
    let received = 0;
    const channel = this.#create((stream, data) => {
      received += data.length;
      if (received > most) {
        channel.close();
        channel.fail(new SshError('ssh.too-much-output', `more than ${most} bytes`));
        return;
      }
      parts[stream].push(data.slice());
      channel.consumed(data.length);
    });
    try {
      await this.#open(channel, signal);
      await this.#start(channel, { type: 'exec', command: Buffer.from(command) }, options.pty, signal);
      void this.#feed(channel, input, options.pty !== undefined);
      await orAborted(channel.closed, signal);
      return { stdout: concat(parts.stdout), stderr: concat(parts.stderr), exit: channel.exit };
    } finally {
      channel.close();
    }
  }

  /** A shell on a terminal, for dialogues. */
  shell(pty: PtyOptions, signal: AbortSignal): Promise<Shell> {
    return this.#interactive({ type: 'shell' }, pty, signal);
  }

  /** A command whose input and output are a dialogue, on a terminal if it wants one, as `passwd` does. */
  dialogue(command: string, pty: PtyOptions | undefined, signal: AbortSignal): Promise<Shell> {
    return this.#interactive({ type: 'exec', command: Buffer.from(command) }, pty, signal);
  }

  async #interactive(run: Run, pty: PtyOptions | undefined, signal: AbortSignal): Promise<Shell> {
    const channel: Channel = this.#create((_stream, data) => shell.receive(data));
    const shell = new Shell(channel);
    try {
      await this.#open(channel, signal);
      await this.#start(channel, run, pty, signal);
      return shell;
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  #create(receive: (stream: Stream, data: Uint8Array) => void): Channel {
    if (this.#over !== undefined) throw this.#over;
    if (this.#channels.size >= mostChannels) throw new SshError('ssh.channel-refused', 'too many of our own are open');
    const drained = (): Promise<void> =>
      new Promise((resolve) => {
        this.#drains.push(resolve);
      });
    const channel = new Channel(this.#next++, this.transport, drained, receive);
    this.#channels.set(channel.id, channel);
    return channel;
  }

  async #open(channel: Channel, signal: AbortSignal): Promise<void> {
    const opened = channel.open();
    try {
      await orAborted(opened, signal);
    } catch (error) {
      // Should it still be opened later, it is closed at once.
      opened.then(
        () => channel.close(),
        () => {},
      );
      throw error;
    }
  }

  async #start(channel: Channel, run: Run, pty: PtyOptions | undefined, signal: AbortSignal): Promise<void> {
    const terminal =
      pty === undefined
        ? Promise.resolve(true)
        : channel.request({
            type: 'pty-req',
            term: pty.term,
            cols: pty.cols,
            rows: pty.rows,
            widthPixels: 0,
            heightPixels: 0,
            modes: pty.modes ?? new Map(),
          });
    const running = channel.request(run);
    const granted = await orAborted(Promise.all([terminal, running]), signal);
    if (granted[0] && granted[1]) return;
    if (this.#over !== undefined) throw this.#over;
    throw new SshError('ssh.request-refused', granted[0] ? run.type : 'terminal');
  }

  /** The input of a command, then its end; a command that ends earlier just does not read it. */
  async #feed(channel: Channel, input: Uint8Array | undefined, terminal: boolean): Promise<void> {
    if (input !== undefined) await channel.write(input);
    // On a terminal an end of input that nobody asked for would hang up on the program.
    if (input !== undefined || !terminal) channel.eof();
  }

  /** Every message of the server, in order. What breaks the rules ends the connection. */
  #take(payload: Uint8Array): void {
    try {
      this.#dispatch(payload);
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      this.#fail(error);
      void this.transport.disconnect(disconnectReason.protocolError, 'protocol error');
    }
  }

  #dispatch(payload: Uint8Array): void {
    const number = payload[0] ?? 0;
    if (number < connectionMsg.globalRequest || number > connectionMsg.channelFailure)
      return this.transport.unimplemented();
    const message = decodeConnection(payload);
    if (isViolation(message)) throw new SshError('ssh.malformed', message.violation);
    if ('recipient' in message) {
      const channel = this.#channels.get(message.recipient);
      if (channel === undefined) throw new SshError('ssh.protocol', `${message.kind} for an unknown channel`);
      channel.handle(message);
      if (message.kind === 'close' || message.kind === 'open-failure') this.#channels.delete(channel.id);
    } else if (message.kind === 'global-request') {
      if (message.wantReply) this.transport.send(encodeConnection({ kind: 'request-failure' }));
    } else if (message.kind === 'open') {
      const refusal = { reason: openFailure.prohibited, description: 'not wanted' };
      this.transport.send(encodeConnection({ kind: 'open-failure', recipient: message.sender, ...refusal }));
    } else throw new SshError('ssh.protocol', 'an answer to no request');
  }

  #fail(error: SshError): void {
    this.#over ??= error;
    for (const channel of this.#channels.values()) channel.fail(error);
    this.#channels.clear();
    for (const wake of this.#drains.splice(0)) wake();
  }

  /** Says goodbye and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new SshError('ssh.connection-lost', 'closed by us'));
    await this.transport.disconnect(disconnectReason.byApplication, 'done');
    await this.transport[Symbol.asyncDispose]();
  }
}

function errorOf(end: TransportEnd): SshError {
  switch (end.kind) {
    case 'local':
      return new SshError('ssh.connection-lost', 'closed by us');
    case 'eof':
      return new SshError('ssh.connection-lost', 'the server closed it');
    case 'peer':
      return new SshError('ssh.disconnected', JSON.stringify(end.message.slice(0, 200)));
    case 'broken':
      return end.error instanceof SshError
        ? end.error
        : new SshError('ssh.connection-lost', undefined, { cause: end.error });
  }
}
