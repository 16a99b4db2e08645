/**
 * Whether the clients' port is free, looked at once before anything is started. Gates share their port among themselves,
 * and the kernel would let those of two Sallyports share one: each would get a part of the other's clients.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { wordsOf } from '../base/errors.ts';
import { SupervisorError } from './errors.ts';

/** Throws `supervisor.cannot-listen` with the address and what the kernel says. Port 0 is always free. */
export async function portMustBeFree(at: { readonly address: string; readonly port: number }): Promise<void> {
  if (at.port === 0) return;
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen({ host: at.address, port: at.port });
    await once(server, 'listening');
  } catch (error) {
    throw new SupervisorError('supervisor.cannot-listen', wordsOf(error), { cause: error });
  }
  const closed = once(server, 'close');
  server.close();
  await closed;
}
