/**
 * A false target: it speaks RDP as far as TLS, shows a certificate of its own and from then on only listens. It keeps every
 * byte that it is sent, so that a test can show what was not told to it. It ends when it is disposed of.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { makeSelfSigned } from './self-signed.ts';
import { connectionConfirm, readTpkt, serveTls } from './tpkt.ts';

export interface FalseTarget extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** What it shows, as PEM. */
  readonly certificate: string;
  /** SHA-256 of that, 64 hexadecimal digits. */
  readonly fingerprint: string;
  /** Everybody who came, in order. */
  readonly visits: readonly Visit[];
  /** Resolves when this many visits are over in all. */
  over(count: number, signal?: AbortSignal): Promise<void>;
  /** Whether any visitor sent this text, in the clear of TLS or before it, in UTF-8 or UTF-16LE. */
  heard(text: string): boolean;
}

export interface Visit {
  /** The Connection Request, or what there was of it. */
  readonly request: Buffer;
  /** Whether the handshake of TLS came to its end. */
  readonly tls: boolean;
  /** What came inside TLS so far. */
  readonly inside: Buffer;
  readonly over: boolean;
}

export interface FalseTargetOptions {
  /** What it says it wants: TLS alone, or CredSSP, of which it answers nothing. */
  readonly chooses?: 'tls' | 'nla';
  /** Where it listens; 127.0.0.1 unless given. */
  readonly address?: string;
}

export async function startFalseTarget(options: FalseTargetOptions = {}): Promise<FalseTarget> {
  const { address = '127.0.0.1' } = options;
  const { certificate, key, fingerprint } = await makeSelfSigned('false target');
  const secureContext = createSecureContext({ cert: certificate, key, minVersion: 'TLSv1.2' });
  const visits: { request: Buffer; tls: boolean; inside: Buffer; over: boolean }[] = [];
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();

  async function listenTo(socket: Socket): Promise<void> {
    const visit: (typeof visits)[number] = {
      request: Buffer.alloc(0),
      tls: false,
      inside: Buffer.alloc(0),
      over: false,
    };
    visits.push(visit);
    try {
      visit.request = await readTpkt(socket);
      socket.write(connectionConfirm(options.chooses === 'nla' ? 2 : 1));
      const tls = await serveTls(socket, secureContext);
      visit.tls = true;
      for await (const chunk of tls) visit.inside = Buffer.concat([visit.inside, chunk as Buffer]);
    } catch {
      // Whoever leaves, leaves: what he said is kept.
    } finally {
      socket.destroy();
      visit.over = true;
      for (const look of waiting) look();
    }
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    void listenTo(socket);
  });
  server.listen(0, address);
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the false target has no port');
  return {
    address,
    port: bound.port,
    certificate,
    fingerprint,
    visits,
    over: async (count, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = (): void => {
        if (visits.filter((visit) => visit.over).length >= count) resolve();
      };
      const cut = (): void => reject(signal?.reason);
      waiting.add(look);
      signal?.addEventListener('abort', cut, { once: true });
      if (signal?.aborted) cut();
      look();
      await promise.finally(() => {
        waiting.delete(look);
        signal?.removeEventListener('abort', cut);
      });
    },
    heard: (text) => {
      const forms = [Buffer.from(text, 'utf8'), Buffer.from(text, 'utf16le')];
      return visits.some((visit) => forms.some((form) => visit.request.includes(form) || visit.inside.includes(form)));
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
