/**
 * Two ends of a Transport without sockets, keys or packets: what one sends the other receives, in order and later. For
 * tests of the layers above, which see nothing but payloads.
 */
import { orAborted } from '../../../../src/base/signals.ts';
import type { Transport, TransportEnd } from '../../../../src/protocol/ssh/types.ts';

export interface MemoryEnd extends Transport {
  /** Copies of everything this end has sent. */
  readonly sent: Uint8Array[];
  peerExtensions: ReadonlyMap<string, Uint8Array>;
  /** Breaks both ends, as a network does. */
  cut(error: Error): void;
}

const negotiated = { kex: '', hostKey: '', cipherOut: '', cipherIn: '', macOut: '', macIn: '', strict: true };

class End implements MemoryEnd {
  readonly role: 'client' | 'server';
  readonly sessionId = Uint8Array.from({ length: 32 }, (_, i) => i);
  readonly negotiated = negotiated;
  readonly peerVersion = 'SSH-2.0-memory';
  peerExtensions: ReadonlyMap<string, Uint8Array> = new Map();
  readonly rekeys = { ours: 0, theirs: 0 };
  readonly bytesIn = 0;
  readonly bytesOut = 0;
  readonly congested = false;
  readonly sent: Uint8Array[] = [];
  readonly ended: Promise<TransportEnd>;
  peer: End | undefined;
  #end: (end: TransportEnd) => void = () => {};
  #over: TransportEnd | undefined;
  #inbox: Uint8Array[] = [];
  #wake: () => void = () => {};
  #take: ((payload: Uint8Array) => void) | undefined;

  constructor(role: 'client' | 'server') {
    this.role = role;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  send(payload: Uint8Array): void {
    const copy = payload.slice();
    if (this.#over !== undefined) return;
    this.sent.push(copy.slice());
    queueMicrotask(() => this.peer?.deliver(copy));
  }

  deliver(payload: Uint8Array): void {
    if (this.#over !== undefined) return;
    if (this.#take !== undefined) return this.#take(payload);
    this.#inbox.push(payload);
    this.#wake();
  }

  async next(signal: AbortSignal): Promise<Uint8Array | undefined> {
    for (;;) {
      const payload = this.#inbox.shift();
      if (payload !== undefined) return payload;
      if (this.#over?.kind === 'broken') throw this.#over.error;
      if (this.#over !== undefined) return undefined;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await orAborted(woken, signal);
    }
  }

  relay(take: (payload: Uint8Array) => void): void {
    this.#take = take;
    for (const payload of this.#inbox.splice(0)) take(payload);
  }

  finish(end: TransportEnd): void {
    if (this.#over !== undefined) return;
    this.#over = end;
    this.#end(end);
    this.#wake();
  }

  onDrain(): void {}
  unimplemented(): void {}
  pause(): void {}
  resume(): void {}
  rekey(): void {}

  async disconnect(reason: number, message: string): Promise<void> {
    this.finish({ kind: 'local' });
    // After everything that was sent before.
    queueMicrotask(() => this.peer?.finish({ kind: 'peer', reason, message }));
  }

  cut(error: Error): void {
    this.finish({ kind: 'broken', error });
    this.peer?.finish({ kind: 'broken', error });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.finish({ kind: 'local' });
    queueMicrotask(() => this.peer?.finish({ kind: 'eof' }));
  }
}

export function memoryTransports(): { client: MemoryEnd; server: MemoryEnd } {
  const client = new End('client');
  const server = new End('server');
  client.peer = server;
  server.peer = client;
  return { client, server };
}
