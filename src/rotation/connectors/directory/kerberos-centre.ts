/** A key distribution centre: where it is, and asking it one question over TCP. It says nothing about who is right. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { concat } from '../../../base/bytes.ts';
import { type Fault, faultOfDial } from './faults.ts';
import { type Reply, readReply } from './wire/kerberos-messages.ts';

export interface Centre {
  readonly host: string;
  readonly port: number;
  /** In capitals. */
  readonly realm: string;
}

/** An answer without a list of groups has two kilobytes. */
const mostReply = 256 * 1024;

/** One question and its answer on a connection of their own (RFC 4120 §7.2.2: four octets of length, then the message). */
export async function ask(centre: Centre, question: Uint8Array, signal: AbortSignal): Promise<Reply | Fault> {
  signal.throwIfAborted();
  const socket = connect({ host: centre.host, port: centre.port });
  const end = (): Socket => socket.destroy();
  signal.addEventListener('abort', end, { once: true });
  try {
    await once(socket, 'connect', { signal });
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, question.length);
    socket.write(concat([head, question]));
    const bytes = await readFrame(socket);
    signal.throwIfAborted();
    if (bytes === undefined) return { fault: 'cut', words: 'Kerberos ended the connection without an answer' };
    return readReply(bytes) ?? { fault: 'unexpected', words: 'the answer is no message of Kerberos' };
  } catch (error) {
    signal.throwIfAborted();
    return faultOfDial(error);
  } finally {
    signal.removeEventListener('abort', end);
    socket.destroy();
  }
}

async function readFrame(socket: Socket): Promise<Uint8Array | undefined> {
  let held: Uint8Array = new Uint8Array(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    held = concat([held, chunk]);
    if (held.length < 4) continue;
    const length = new DataView(held.buffer, held.byteOffset, 4).getUint32(0);
    if (length > mostReply) return new Uint8Array(0);
    if (held.length >= 4 + length) return held.subarray(4, 4 + length);
  }
  return undefined;
}
