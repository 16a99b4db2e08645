/**
 * Somebody between a client and a server of RDP: it ends TLS on both sides with a certificate of its own, and passes on
 * what is said inside, which it sees. It changes nothing, so only who checks whom he talks to can notice it; and nobody
 * can if it was given the server's own key.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { makeSelfSigned, type SelfSigned } from './self-signed.ts';
import { choosesTls, readTpkt, serveTls } from './tpkt.ts';

export interface Between extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** What it shows to clients, as PEM. */
  readonly certificate: string;
  /** SHA-256 of that, 64 hexadecimal digits. */
  readonly fingerprint: string;
  /** What went by inside TLS, or in the clear where the two agreed on no TLS. */
  readonly seen: { readonly up: Buffer; readonly down: Buffer };
  /** Connections taken, and those for which both handshakes of TLS came to their end. */
  readonly accepted: number;
  readonly terminated: number;
}

/** Starts on 127.0.0.1, in front of `to`; `shown` is what it shows instead of a certificate of its own. */
export async function startBetween(
  to: { readonly address: string; readonly port: number },
  shown?: SelfSigned,
): Promise<Between> {
  const { certificate, key, fingerprint } = shown ?? (await makeSelfSigned('somebody between'));
  const secureContext = createSecureContext({ cert: certificate, key, minVersion: 'TLSv1.2' });
  const seen = { up: Buffer.alloc(0), down: Buffer.alloc(0) };
  const sockets = new Set<Socket>();
  let [accepted, terminated] = [0, 0];
  const keep = <S extends Socket>(socket: S): S => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };

  function pass(direction: 'up' | 'down', from: Socket, into: Socket): void {
    from.on('data', (chunk: Buffer) => {
      seen[direction] = Buffer.concat([seen[direction], chunk]);
      into.write(chunk);
    });
    from.on('end', () => into.end());
    from.on('close', () => into.destroy());
  }

  async function stand(client: Socket): Promise<void> {
    const server = keep(connect({ host: to.address, port: to.port }));
    client.once('close', () => server.destroy());
    server.once('close', () => client.destroy());
    await once(server, 'connect');
    server.write(await readTpkt(client));
    const confirm = await readTpkt(server);
    client.write(confirm);
    if (!choosesTls(confirm)) {
      pass('up', client, server);
      return pass('down', server, client);
    }
    const upper = keep(connectTls({ socket: server, rejectUnauthorized: false }));
    const [lower] = await Promise.all([serveTls(client, secureContext).then(keep), once(upper, 'secureConnect')]);
    terminated++;
    pass('up', lower, upper);
    pass('down', upper, lower);
  }

  const listener = createServer((client) => {
    accepted++;
    stand(keep(client)).catch(() => client.destroy());
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const bound = listener.address();
  if (bound === null || typeof bound === 'string') throw new Error('it has no port');
  return {
    address: '127.0.0.1',
    port: bound.port,
    certificate,
    fingerprint,
    seen,
    get accepted() {
      return accepted;
    },
    get terminated() {
      return terminated;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(listener, 'close');
      listener.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
