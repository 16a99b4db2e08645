/** A TCP connection to a target, whatever it speaks. */
import { connect, type Socket } from 'node:net';
import { wordsOf } from '../base/errors.ts';
import { deadline, orAborted } from '../base/signals.ts';
import { ProxyError } from './errors.ts';

const connectMs = 15_000;

/** Throws `proxy.target-unreachable`, or the signal's reason. */
export async function connectTo(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host: address, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
  using limit = deadline(signal, connectMs, () => new ProxyError('proxy.target-unreachable', 'no connection in 15 s'));
  try {
    await orAborted(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      }),
      limit.signal,
    );
    return socket;
  } catch (error) {
    socket.destroy();
    if (signal.aborted) throw signal.reason;
    throw error instanceof ProxyError
      ? error
      : new ProxyError('proxy.target-unreachable', wordsOf(error), { cause: error });
  }
}
