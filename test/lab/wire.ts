/**
 * A wire that can be cut: a TCP relay on loopback in front of a real server. Tests pause it, black-hole it or break it
 * at an exact byte; it never changes a byte that it lets through.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** `up`: from the client to the server. `down`: from the server to the client. */
export type Direction = 'up' | 'down';
/** `reset`: RST to both ends. `close`: FIN to both ends, after what was let through before. */
export type Cut = 'reset' | 'close';

export interface Wire extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** Bytes let through so far, over all connections. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Connections accepted so far, and those still open. */
  readonly accepted: number;
  readonly open: number;
  /** Stops reading from both ends: their windows fill up. */
  pause(): void;
  /** Reads on and throws away: packets vanish, nobody is told. New connections open and stay silent. */
  blackhole(): void;
  /** Ends pausing and black-holing, also one that was to come. What was swallowed is lost, so a stream that lost bytes is broken for ever. */
  resume(): void;
  /** Breaks every connection that is open now. New ones work. */
  cut(how: Cut): void;
  /**
   * Breaks the connection that carries it as soon as this many more bytes went through, and not one byte more. A reset
   * may overtake the last of them if the receiver does not read.
   */
  cutAfter(direction: Direction, bytes: number, how: Cut): void;
  /** Lets this many more bytes through, and is a black hole from then on. */
  silenceAfter(direction: Direction, bytes: number): void;
  /** Refuses new connections (they are reset as soon as they open), or takes them again. */
  refuse(refusing: boolean): void;
  /** Resolves as soon as this many bytes in all went through in this direction. */
  reached(direction: Direction, bytes: number, signal?: AbortSignal): Promise<void>;
  /** Resolves as soon as this many connections were accepted in all. */
  connected(count: number, signal?: AbortSignal): Promise<void>;
  /** Closes the listener and every connection. */
  close(): Promise<void>;
}

type Flow = 'running' | 'paused' | 'swallowing';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Lays a wire to a server, on a free port of 127.0.0.1. */
export async function openWire(to: { readonly address: string; readonly port: number }): Promise<Wire> {
  const pairs = new Set<Pair>();
  const sockets = new Set<Socket>();
  const bytes: Record<Direction, number> = { up: 0, down: 0 };
  const limits: Record<Direction, { at: number; how: Cut | 'silence' } | undefined> = {
    up: undefined,
    down: undefined,
  };
  const waiting = new Set<() => void>();
  let accepted = 0;
  let refusing = false;
  let flow: Flow = 'running';

  function changed(): void {
    for (const look of waiting) look();
  }

  async function until(reached: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    if (reached()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (reached()) resolve();
    };
    const cut = (): void => reject(signal?.reason);
    if (signal?.aborted) cut();
    waiting.add(look);
    signal?.addEventListener('abort', cut, { once: true });
    try {
      await promise;
    } finally {
      waiting.delete(look);
      signal?.removeEventListener('abort', cut);
    }
  }

  function breakPair(pair: Pair, how: Cut): void {
    pairs.delete(pair);
    for (const socket of [pair.client, pair.server]) {
      if (how === 'reset') socket.resetAndDestroy();
      else {
        socket.removeAllListeners('data');
        // Both read on, so that the FIN is not turned into an RST by bytes that nobody fetched.
        socket.on('data', () => {});
        socket.end();
        socket.resume();
      }
    }
  }

  function carry(pair: Pair, direction: Direction, chunk: Buffer): void {
    const [from, into] = direction === 'up' ? [pair.client, pair.server] : [pair.server, pair.client];
    if (flow === 'swallowing') return;
    const limit = limits[direction];
    const room = limit === undefined ? chunk.length : Math.min(chunk.length, limit.at - bytes[direction]);
    bytes[direction] += room;
    const full = !into.write(room === chunk.length ? chunk : chunk.subarray(0, room));
    if (limit !== undefined && bytes[direction] >= limit.at) {
      limits[direction] = undefined;
      const { how } = limit;
      if (how === 'silence') {
        setFlow('swallowing');
        return changed();
      }
      // The last bytes leave before the connection breaks: an RST would throw away what is still queued.
      into.write('', () => breakPair(pair, how));
      from.pause();
    } else if (full) {
      from.pause();
      into.once('drain', () => {
        if (flow !== 'paused') from.resume();
      });
    }
    changed();
  }

  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) => {
    accepted++;
    if (refusing) {
      client.resetAndDestroy();
      return changed();
    }
    const target = connect({ host: to.address, port: to.port, allowHalfOpen: true, noDelay: true });
    const pair: Pair = { client, server: target };
    pairs.add(pair);
    client.on('data', (chunk: Buffer) => carry(pair, 'up', chunk));
    target.on('data', (chunk: Buffer) => carry(pair, 'down', chunk));
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      socket.on('end', () => {
        if (flow !== 'swallowing') other.end();
      });
      // An end that breaks is broken to the other side in the same way.
      socket.on('error', () => other.resetAndDestroy());
      sockets.add(socket);
      socket.on('close', () => {
        sockets.delete(socket);
        if (client.closed && target.closed) pairs.delete(pair);
        changed();
      });
    }
    if (flow === 'paused') target.pause();
    else client.resume();
    changed();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the wire has no port');

  function setFlow(next: Flow): void {
    flow = next;
    for (const { client, server: target } of pairs) {
      for (const socket of [client, target]) {
        if (next === 'paused') socket.pause();
        else socket.resume();
      }
    }
  }

  async function close(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  }

  return {
    address: '127.0.0.1',
    port: bound.port,
    bytes,
    get accepted() {
      return accepted;
    },
    get open() {
      return pairs.size;
    },
    pause: () => setFlow('paused'),
    blackhole: () => setFlow('swallowing'),
    resume: () => {
      for (const direction of ['up', 'down'] as const)
        if (limits[direction]?.how === 'silence') limits[direction] = undefined;
      setFlow('running');
    },
    cut: (how) => {
      for (const pair of pairs) breakPair(pair, how);
    },
    cutAfter: (direction, count, how) => {
      limits[direction] = { at: bytes[direction] + count, how };
    },
    silenceAfter: (direction, count) => {
      limits[direction] = { at: bytes[direction] + count, how: 'silence' };
    },
    refuse: (next) => {
      refusing = next;
    },
    reached: (direction, count, signal) => until(() => bytes[direction] >= count, signal),
    connected: (count, signal) => until(() => accepted >= count, signal),
    close,
    [Symbol.asyncDispose]: close,
  };
}
