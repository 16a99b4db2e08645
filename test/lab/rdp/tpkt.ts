/** The first words of RDP on a bare socket, for the lab's own false servers: enough to get to TLS, and nothing more. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';

/** Reads one TPKT packet, header and all, and leaves what follows in the socket. Rejects if the socket ends before. */
export async function readTpkt(socket: Socket): Promise<Buffer> {
  const header = await exactly(socket, 4);
  return Buffer.concat([header, await exactly(socket, header.readUInt16BE(2) - 4)]);
}

async function exactly(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const chunk = socket.read(length) as Buffer | null;
    if (chunk !== null && chunk.length === length) return chunk;
    if (socket.readableEnded || socket.destroyed || chunk !== null)
      throw new Error('the peer left in the middle of a packet');
    await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')]);
  }
}

/** Connection Confirm with the chosen protocol: 1 TLS, 2 CredSSP over TLS. */
export function connectionConfirm(protocol: 1 | 2): Buffer {
  return Buffer.from([3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 1, 8, 0, protocol, 0, 0, 0]);
}

/** Whether a Connection Confirm chose something that goes on in TLS. */
export function choosesTls(confirm: Buffer): boolean {
  return confirm.length >= 19 && confirm[11] === 2 && confirm.readUInt32LE(15) !== 0;
}

/** Goes on in TLS as the server; resolves when the handshake is done. */
export async function serveTls(socket: Socket, secureContext: SecureContext): Promise<TLSSocket> {
  const tls = new TLSSocket(socket, { isServer: true, secureContext });
  await once(tls, 'secure');
  return tls;
}
