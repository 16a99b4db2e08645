/**
 * The listener for signed events: `POST /events/SOURCE` and nothing else. It bounds what a stranger may send and for how
 * long, hands headers and body to the keeper as they came, and turns the keeper's word into a status. It has no key but
 * that of its certificate, and knows no source.
 *
 * Whoever is refused gets the same words after the same time, whether the source is unknown, the signature wrong, or the
 * message too old or taken before.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { isRefusal, wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { deadline } from '../base/signals.ts';
import { LinkError } from '../link/errors.ts';
import { type Keeper, longestEvent } from '../link/link.ts';
import { openRate, type RateLimits } from './rate.ts';
import { networkOf, openStrangers, type StrangerLimits } from './strangers.ts';

/** In PEM: the chain, and its key. */
export interface Certificate {
  readonly certificate: Uint8Array;
  readonly key: Uint8Array;
}

export interface EventsOptions {
  /** Undefined: http in clear. */
  readonly tls?: Certificate;
  readonly post: Keeper['event.post'];
  /** Whether the keeper answers now. */
  readonly connected: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<EventLimits>;
}

export interface EventLimits {
  readonly connections: StrangerLimits;
  readonly rate: RateLimits;
  /** In milliseconds: for the headers, for the whole request, without a byte, for the keeper's answer. */
  readonly headersMs: number;
  readonly requestMs: number;
  readonly idleMs: number;
  readonly keeperMs: number;
  /** A refusal is never told sooner than this after the request came. */
  readonly refusalMs: number;
}

export const usualEventLimits: EventLimits = {
  connections: { all: 128, perAddress: 32 },
  rate: { burst: 60, perSecond: 1, networks: 10_000 },
  headersMs: 5_000,
  requestMs: 10_000,
  idleMs: 5_000,
  keeperMs: 10_000,
  refusalMs: 400,
};

/** Beyond this a body that is too large anyway is not even thrown away, but the connection is. */
const longestWaste = 1024 * 1024;
const minVersion = 'TLSv1.2';
const path = /^\/events\/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)$/;

interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, string | number>>;
  readonly headers?: Readonly<Record<string, string>>;
}

const replies = {
  unauthorized: { status: 401, body: { error: 'unauthorized' } },
  notFound: { status: 404, body: { error: 'not found' } },
  notAllowed: { status: 405, body: { error: 'method not allowed' }, headers: { allow: 'POST' } },
  tooLarge: { status: 413, body: { error: 'body too large' } },
  tooMany: { status: 429, body: { error: 'too many requests' }, headers: { 'retry-after': '60' } },
  away: { status: 503, body: { error: 'unavailable' }, headers: { 'retry-after': '10' } },
} as const satisfies Record<string, Reply>;

/** The server, not yet listening. Closing it is the caller's; `signal` ends questions that are under way. */
export function eventServer(options: EventsOptions, signal: AbortSignal): Server {
  const limits: EventLimits = { ...usualEventLimits, ...options.limits };
  const { clock, log } = options;
  const strangers = openStrangers(limits.connections);
  const rate = openRate(limits.rate);
  const bounds = {
    maxHeaderSize: 8 * 1024,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: 1000,
    insecureHTTPParser: false,
    noDelay: true,
  };
  const take: RequestListener = (request, response) => {
    answer(request).then(
      (reply) => send(response, reply),
      (error: unknown) => {
        log.debug({ reason: wordsOf(error) }, 'an event ended without an answer');
        request.destroy();
      },
    );
  };

  async function answer(request: IncomingMessage): Promise<Reply> {
    const arrived = clock.now();
    const address = request.socket.remoteAddress ?? '';
    if (!rate.take(networkOf(address), arrived)) return replies.tooMany;
    const source = path.exec(request.url ?? '')?.[1];
    if (source === undefined) return replies.notFound;
    if (request.method !== 'POST') return replies.notAllowed;
    if (!options.connected()) return replies.away;
    const body = await bodyOf(request);
    if (body === undefined) return replies.tooLarge;
    const reply = await ask({ source, ...headersOf(request), body, address });
    if (reply.status === 401) await clock.sleep(Math.max(0, arrived + limits.refusalMs - clock.now()), signal);
    return reply;
  }

  async function ask(message: Parameters<Keeper['event.post']>[0]): Promise<Reply> {
    try {
      using late = deadline(signal, limits.keeperMs, () => new LinkError('link.lost', 'the keeper does not answer'));
      const verdict = await options.post(message, late.signal);
      if (isRefusal(verdict)) return replies.away;
      switch (verdict.kind) {
        case 'accepted':
          return { status: 202, body: { accepted: verdict.accounts } };
        case 'invalid':
          return { status: 400, body: { code: verdict.code, error: verdict.words } };
        case 'unauthorized':
          return replies.unauthorized;
        default:
          return verdict satisfies never;
      }
    } catch (error) {
      log.warn({ source: message.source, reason: wordsOf(error) }, 'an event could not be judged');
      return replies.away;
    }
  }

  const server =
    options.tls === undefined
      ? createServer(bounds, take)
      : createTlsServer(
          {
            ...bounds,
            ...contextOf(options.tls),
            minVersion,
            handshakeTimeout: limits.headersMs,
          },
          take,
        );
  server.maxHeadersCount = 64;
  server.timeout = limits.idleMs + limits.keeperMs;
  server.on('connection', (socket: Socket) => {
    const stranger = strangers.admit(socket.remoteAddress ?? '', () => socket.destroy());
    socket.once('close', () => stranger[Symbol.dispose]());
  });
  return server;
}

/** For a server that was made with a certificate: connections from now on get this one. */
export function renewCertificate(server: Server, tls: Certificate): void {
  if (server instanceof TlsServer) server.setSecureContext({ ...contextOf(tls), minVersion });
}

function contextOf({ certificate, key }: Certificate): { cert: Buffer; key: Buffer } {
  return { cert: Buffer.from(certificate), key: Buffer.from(key) };
}

/** As they came; one that is missing, or longer than any that is taken, is empty. */
function headersOf({ headers }: IncomingMessage): { id: string; timestamp: string; signature: string } {
  const text = (name: string): string => {
    const value = String(headers[name] ?? '');
    return value.length > 1024 ? '' : value;
  };
  return { id: text('webhook-id'), timestamp: text('webhook-timestamp'), signature: text('webhook-signature') };
}

/** The bytes of the body, or undefined if there are too many. Rejects when the sender goes away. */
async function bodyOf(request: IncomingMessage): Promise<Uint8Array | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > longestWaste) return undefined;
  const parts: Uint8Array[] = [];
  let size = 0;
  // What is too large is thrown away up to a bound, so that the sender can read why.
  for await (const part of request as AsyncIterable<Uint8Array>) {
    size += part.length;
    if (size > longestWaste) return undefined;
    if (size <= longestEvent) parts.push(part);
  }
  return size > longestEvent ? undefined : new Uint8Array(Buffer.concat(parts));
}

/** Each connection is for one request. */
function send(response: ServerResponse, { status, body, headers }: Reply): void {
  const text = Buffer.from(`${JSON.stringify(body)}\n`);
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': text.length,
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.end(text);
}
