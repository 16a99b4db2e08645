/**
 * Which certificate a server for RDP shows: the first exchange (MS-RDPBCGR §2.2.1.1) and a TLS handshake, ended before any
 * name is sent. Runs in the worker.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { wordsOf } from '../../base/errors.ts';
import { orAborted } from '../../base/signals.ts';
import type { Answer } from './job.ts';
import { classOf } from './target.ts';

/** TPKT, X.224 connection request, and a negotiation request for TLS or CredSSP. */
const request = Buffer.from('030000130ee000000000000100080003000000', 'hex');
/** TPKT, X.224 connection confirm, and the negotiation's answer. */
const answerLength = 19;
const negotiated = 2;

/** `confirmed` with the leaf's DER in base64 as words; `failed` when there was none to see. */
export async function scanCertificate(address: string, port: number, signal: AbortSignal): Promise<Answer> {
  const socket = connect({ host: address, port, noDelay: true });
  socket.on('error', () => {});
  try {
    await once(socket, 'connect', { signal });
    socket.write(request);
    let heard = Buffer.alloc(0);
    while (heard.length < answerLength) {
      const [bytes] = (await orAborted(Promise.race([once(socket, 'data'), ended(socket)]), signal)) as [Buffer];
      heard = Buffer.concat([heard, bytes]);
    }
    socket.pause();
    // Type 2 with one of the protocols that are TLS inside.
    if (heard[0] !== 3 || heard[5] !== 0xd0 || heard[11] !== negotiated || (heard.readUInt32LE(15) & 3) === 0)
      return { outcome: 'failed', class: 'unexpected', words: 'it does not offer TLS for rdp' };
    const secured = connectTls({ socket, rejectUnauthorized: false, minVersion: 'TLSv1.2' });
    secured.on('error', () => {});
    await once(secured, 'secureConnect', { signal });
    const { raw } = secured.getPeerCertificate();
    secured.destroy();
    if (raw === undefined) return { outcome: 'failed', class: 'unexpected', words: 'it showed no certificate' };
    return { outcome: 'confirmed', class: 'none', words: raw.toString('base64') };
  } catch (error) {
    signal.throwIfAborted();
    return { outcome: 'failed', class: classOf(error), words: wordsOf(error) };
  } finally {
    socket.destroy();
  }
}

async function ended(socket: NodeJS.EventEmitter): Promise<never> {
  await once(socket, 'close');
  throw new Error('the connection was closed');
}
