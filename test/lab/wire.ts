/**
 * A wire that can be cut: a TCP relay on loopback in front of a real server. Tests pause it, black-hole it or break it
 * at an exact byte; it never changes a byte that it lets through.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** `up`: from the client to the server. `down`: from the server to the client. */
export type Direction = 'up' | 'down';
/** `reset`: RST to both ends. `close`: FIN to both ends. */
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
  /** Ends pausing and black-holing. What was swallowed is lost, so a stream that lost bytes is broken for ever. */
  resume(): void;
  /** Breaks every connection that is open now. New ones work. */
  cut(how: Cut): void;
  /** Breaks a connection as soon as this many more bytes went through it in this direction, and not one byte more. */
  cutAfter(direction: Direction, bytes: number, how: Cut): void;
  /** Refuses new connections (they are reset as soon as they open), or takes them again. */
  refuse(refusing: boolean): void;
  /** Resolves as soon as this many bytes in all went through in this direction. */
  reached(direction: Direction, bytes: number, signal?: AbortSignal): Promise<void>;
  /** Resolves as soon as this many connections were accepted in all. */
  connected(count: number, signal?: AbortSignal): Promise<void>;
  /** Closes the listener and every connection. */
  close(): Promise<void>;
}
