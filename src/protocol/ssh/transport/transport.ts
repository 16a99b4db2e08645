/**
 * The thin driver between one socket and one machine: reads, steps, writes, and keeps the time. It decides nothing
 * about SSH. All packets of one tick leave in one write; a slow peer shows as `congested` and stops nobody by itself.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { check } from '../../../base/signals.ts';
import { SshError } from '../errors.ts';
import type { Negotiated, Transport, TransportEnd, TransportLimits, TransportOptions } from '../types.ts';
import { disconnectReason } from '../wire/numbers.ts';
import { printable } from '../wire/transport-messages.ts';
import { drawRandom } from './chance.ts';
import { answer, configOf, defaultLimits, goodbyeFor } from './options.ts';
import { PayloadQueue } from './queue.ts';
import { Machine } from './machine.ts';

/** A batch this large does not wait for the end of the tick. */
const flushAt = 262144;
/** How long a goodbye may take to reach the peer. */
const goodbyeMs = 1000;

/**
 * Speaks SSH over the socket up to the end of the first key exchange. Rejects with SshError, or with the signal's
 * reason; the socket is closed then. After that the signal has no meaning: the transport lives until it is disposed of.
 * The socket belongs to the transport from the call on.
 */
export async function openTransport(
  socket: Socket | Duplex,
  options: TransportOptions,
  signal: AbortSignal,
): Promise<Transport> {
  const transport = new SocketTransport(socket, options);
  const cut = (): void => transport.fail(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  signal.addEventListener('abort', cut, { once: true });
  try {
    check(signal);
    await transport.established;
    return transport;
  } catch (error) {
    transport.fail(error instanceof Error ? error : new Error(String(error)));
    throw error;
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

class SocketTransport implements Transport {
  readonly role: TransportOptions['role'];
  readonly ended: Promise<TransportEnd>;
  /** Rejects when the transport ends before its first exchange is over. */
  readonly established: Promise<void>;
  #socket: Socket | Duplex;
  #limits: TransportLimits;
  #machine: Machine;
  #life = new AbortController();
  #end: TransportEnd | undefined;
  #settleEnd: (end: TransportEnd) => void;
  #settleEstablished: { resolve(): void; reject(error: Error): void };
  #closed: Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #queue: PayloadQueue;
  #take: ((payload: Uint8Array) => void) | undefined;
  #lastSequence = 0;
  #pausedByUser = false;
  #reading = true;
  #flushScheduled = false;
  #bytesIn = 0;
  #bytesOut = 0;
  #congested = false;
  #drained: (() => void)[] = [];

  constructor(socket: Socket | Duplex, options: TransportOptions) {
    this.role = options.role;
    this.#socket = socket;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#queue = new PayloadQueue(this.#limits.highWater);
    const ended = Promise.withResolvers<TransportEnd>();
    this.ended = ended.promise;
    this.#settleEnd = ended.resolve;
    const established = Promise.withResolvers<void>();
    this.established = established.promise;
    established.promise.catch(() => {});
    this.#settleEstablished = established;
    this.#machine = new Machine(configOf(options, this.#limits, drawRandom), {
      payload: (payload, sequence) => this.#deliver(payload, sequence),
      ask: (question) => void this.#answer(answer(question, options, this.#life.signal)),
      established: () => established.resolve(),
      disconnected: ({ reason, message }) => this.#finish({ kind: 'peer', reason, message }),
    });
    this.#closed = new Promise((resolve) => (socket.destroyed ? resolve() : socket.once('close', () => resolve())));
    if ('setNoDelay' in socket) socket.setNoDelay(true);
    socket.on('data', (chunk: Uint8Array) => this.#step(() => this.#receive(chunk)));
    socket.on('end', () => this.#finish({ kind: 'eof' }));
    socket.on('close', () => this.#finish({ kind: 'eof' }));
    socket.on('error', (cause) =>
      this.#finish({ kind: 'broken', error: new SshError('ssh.connection-lost', cause.message, { cause }) }),
    );
    this.#step(() => this.#machine.start());
    if (socket.destroyed) this.#finish({ kind: 'eof' });
  }

  get sessionId(): Uint8Array {
    const { sessionId } = this.#machine.keying;
    if (sessionId === undefined) throw new SshError('ssh.closed');
    return sessionId;
  }

  get negotiated(): Negotiated {
    const { negotiated } = this.#machine.keying;
    if (negotiated === undefined) throw new SshError('ssh.closed');
    return negotiated;
  }

  get peerVersion(): string {
    return printable(this.#machine.keying.peerVersion);
  }

  get peerExtensions(): ReadonlyMap<string, Uint8Array> {
    return this.#machine.peerExtensions;
  }

  get rekeys(): { readonly ours: number; readonly theirs: number } {
    return this.#machine.rekeys;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Runs one step of the machine; what it throws is the end. Then writes, reads on or not, and sets the clock. */
  #step(work: () => void): void {
    if (this.#end !== undefined) return;
    try {
      work();
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#flush();
    this.#regulate();
  }

  #receive(chunk: Uint8Array): void {
    this.#bytesIn += chunk.length;
    this.#machine.receive(chunk);
  }

  #deliver(payload: Uint8Array, sequence: number): void {
    // a taker may have ended us in the middle of a read
    if (this.#end !== undefined) return;
    this.#lastSequence = sequence;
    if (this.#take === undefined) this.#queue.push(new Uint8Array(payload), sequence);
    else this.#take(payload);
  }

  async #answer(answered: Promise<(machine: Machine) => void>): Promise<void> {
    try {
      const act = await answered;
      this.#step(() => act(this.#machine));
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  send(payload: Uint8Array): void {
    if (this.#end !== undefined) return;
    this.#machine.send(payload);
    if (this.#machine.pendingBytes >= flushAt) this.#flush();
    this.#schedule();
    this.#measure();
  }

  /** Everything that is sent until the end of this tick goes out together. */
  #schedule(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      if (this.#end !== undefined) return;
      this.#flush();
      this.#regulate();
    });
  }

  #flush(): void {
    const pieces = this.#machine.takeOutput();
    const last = pieces.at(-1);
    if (last === undefined || this.#socket.destroyed || this.#socket.writableEnded) return;
    if (pieces.length > 1) this.#socket.cork();
    for (const piece of pieces) {
      this.#bytesOut += piece.length;
      if (piece === last) this.#socket.write(piece, this.#written);
      else this.#socket.write(piece);
    }
    if (pieces.length > 1) this.#socket.uncork();
    this.#measure();
  }

  #written = (): void => {
    if (!this.#congested || this.#pending() > this.#limits.highWater / 2) return;
    this.#congested = false;
    for (const listener of this.#drained) listener();
  };

  #pending(): number {
    return this.#socket.writableLength + this.#machine.pendingBytes;
  }

  #measure(): void {
    const pending = this.#pending();
    if (pending > this.#limits.highWater) this.#congested = true;
    if (pending > 16 * this.#limits.highWater + flushAt) this.fail(new SshError('ssh.backlog'));
  }

  get congested(): boolean {
    return this.#congested;
  }

  onDrain(listener: () => void): void {
    this.#drained.push(listener);
  }

  /** Reads on unless somebody has to be waited for; sets the timer to when the machine wants to be woken. */
  #regulate(): void {
    if (this.#end !== undefined) return;
    const { keying, wakeAt } = this.#machine;
    const full = this.#pausedByUser || this.#queue.full;
    const reading = !keying.blocked && (keying.running || !full);
    if (reading !== this.#reading) {
      this.#reading = reading;
      if (reading) this.#socket.resume();
      else this.#socket.pause();
    }
    if (this.#timerAt !== wakeAt) {
      clearTimeout(this.#timer);
      this.#timerAt = wakeAt;
      const wait = Math.min(Math.max(wakeAt - performance.now(), 0), 2 ** 31 - 1);
      this.#timer = setTimeout(() => {
        this.#timerAt = Number.POSITIVE_INFINITY;
        this.#step(() => this.#machine.tick());
      }, Math.ceil(wait));
    }
    this.#written();
  }

  async next(signal: AbortSignal): Promise<Uint8Array | undefined> {
    if (this.#take !== undefined) throw new Error('next after relay');
    const entry = await this.#queue.next(signal);
    this.#regulate();
    if (entry === undefined) return undefined;
    this.#lastSequence = entry.sequence;
    return entry.payload;
  }

  relay(take: (payload: Uint8Array) => void): void {
    this.#take = take;
    for (const { payload, sequence } of this.#queue.drain()) {
      this.#lastSequence = sequence;
      take(payload);
    }
    this.#regulate();
  }

  unimplemented(): void {
    if (this.#end !== undefined) return;
    this.#machine.unimplemented(this.#lastSequence);
    this.#schedule();
  }

  pause(): void {
    this.#pausedByUser = true;
    this.#regulate();
  }

  resume(): void {
    this.#pausedByUser = false;
    this.#regulate();
  }

  rekey(): void {
    this.#step(() => this.#machine.rekey());
  }

  async disconnect(reason: number, message: string): Promise<void> {
    this.#leave({ reason, message }, { kind: 'local' });
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect(disconnectReason.byApplication, 'closed');
  }

  /** Ends the transport because it broke; tells the peer the kind of trouble, not its details. */
  fail(error: Error): void {
    this.#leave(goodbyeFor(error), { kind: 'broken', error });
  }

  #leave(words: { reason: number; message: string }, end: TransportEnd): void {
    if (this.#end !== undefined) return;
    this.#machine.end(words);
    this.#flush();
    this.#finish(end);
  }

  /** The one end. The socket gets a moment to carry the goodbye: destroying it at once could swallow it. */
  #finish(end: TransportEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    clearTimeout(this.#timer);
    this.#life.abort(end.kind === 'broken' ? end.error : new SshError('ssh.closed'));
    if (end.kind === 'broken') this.#settleEstablished.reject(end.error);
    else if (end.kind === 'peer') this.#settleEstablished.reject(new SshError('ssh.disconnected', end.message));
    else this.#settleEstablished.reject(new SshError('ssh.closed'));
    this.#queue.close(end.kind === 'broken' ? end.error : undefined);
    const socket = this.#socket;
    if (!socket.destroyed) {
      const timer = setTimeout(() => socket.destroy(), goodbyeMs);
      socket.once('close', () => clearTimeout(timer));
      socket.end();
      // read on, into nothing, to see the peer close
      socket.resume();
    }
    this.#settleEnd(end);
  }
}
