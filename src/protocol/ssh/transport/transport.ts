/** The thin driver: one socket, one machine. */
import type { Duplex } from 'node:stream';
import type { Transport, TransportOptions } from '../types.ts';

export declare function openTransport(
  socket: Duplex,
  options: TransportOptions,
  signal: AbortSignal,
): Promise<Transport>;
