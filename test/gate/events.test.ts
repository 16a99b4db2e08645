/** The listener for events: what strangers may send, for how long, and what they are told. The keeper is a function here. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { request as httpRequest, type Server } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { connect as connectTls } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silent } from '../../src/base/log.ts';
import {
  type Certificate,
  type EventLimits,
  eventServer,
  type EventsOptions,
  renewCertificate,
  usualEventLimits,
} from '../../src/gate/events.ts';
import { LinkError } from '../../src/link/errors.ts';
import { makeCertificates } from '../lab/certificates.ts';

type Message = Parameters<EventsOptions['post']>[0];

interface Listener extends AsyncDisposable {
  readonly port: number;
  readonly asked: Message[];
  readonly server: Server;
}

const limits = { ...usualEventLimits, refusalMs: 0 };
/** Longer than any test: what ends is ended by something else. */
const patient = { headersMs: 120_000, requestMs: 120_000, idleMs: 120_000, keeperMs: 120_000 };

async function listen(options: Partial<EventsOptions> = {}): Promise<Listener> {
  const asked: Message[] = [];
  const post: EventsOptions['post'] = async (message, signal) => {
    asked.push(message);
    return (await options.post?.(message, signal)) ?? { kind: 'accepted', accounts: 1 };
  };
  const over = new AbortController();
  const server = eventServer(
    { connected: () => true, clock: systemClock, log: silent, limits, ...options, post },
    over.signal,
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    server,
    [Symbol.asyncDispose]: async () => {
      over.abort(new Error('the test is over'));
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer;
  readonly ca?: Buffer;
}

async function ask(port: number, { path = '/events/siem', method = 'POST', headers, body, ca }: Asked = {}) {
  const send = ca === undefined ? httpRequest : httpsRequest;
  const call = send({
    host: '127.0.0.1',
    port,
    path,
    method,
    agent: false,
    ...(ca && { ca }),
    headers: { ...headers },
  });
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  call.on('error', reject);
  call.on('response', (response) => {
    const parts: Buffer[] = [];
    response.on('data', (part: Buffer) => parts.push(part));
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: Buffer.concat(parts).toString(),
      }),
    );
    response.on('error', reject);
  });
  call.end(body);
  return await promise;
}

/** What comes back when these bytes are sent and nothing more, until the other side ends it. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let said = '';
  socket.on('data', (part: Buffer) => {
    said += part.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return said;
}

const signed = { 'webhook-id': 'msg_1', 'webhook-timestamp': '12', 'webhook-signature': 'v1,x v1,y' };

describe('an event', () => {
  test('reaches the keeper as it came: headers, and every byte of the body', async () => {
    await using listener = await listen();
    const body = Buffer.from([...Array(256).keys()]);
    const answer = await ask(listener.port, { headers: signed, body });
    expect([answer.status, answer.body, answer.headers['connection']]).toEqual([202, '{"accepted":1}\n', 'close']);
    expect(listener.asked).toEqual([
      {
        source: 'siem',
        id: 'msg_1',
        timestamp: '12',
        signature: 'v1,x v1,y',
        body: new Uint8Array(body),
        address: '127.0.0.1',
      },
    ]);
  });

  test('without headers, or with ones that are too long or there twice, goes on as one that is not signed', async () => {
    await using listener = await listen();
    await ask(listener.port);
    await ask(listener.port, { headers: { 'webhook-signature': 'x'.repeat(1025), 'webhook-id': ['a', 'b'] } });
    expect(listener.asked.map(({ id, timestamp, signature }) => [id, timestamp, signature])).toEqual([
      ['', '', ''],
      ['a, b', '', ''],
    ]);
  });

  test('that is signed and none is told why', async () => {
    await using listener = await listen({ post: async () => ({ kind: 'invalid', code: 'a.code', words: 'words' }) });
    const answer = await ask(listener.port);
    expect([answer.status, answer.body]).toEqual([400, '{"code":"a.code","error":"words"}\n']);
  });

  test('that is refused is told nothing, and not before its time', async () => {
    const at: number[] = [];
    const clock = {
      now: () => 1000,
      sleep: async (ms: number) => void at.push(ms),
    };
    await using listener = await listen({
      clock,
      limits: { ...limits, refusalMs: 400 },
      post: async () => ({ kind: 'unauthorized' }),
    });
    const answer = await ask(listener.port, { headers: signed });
    expect([answer.status, answer.body]).toEqual([401, '{"error":"unauthorized"}\n']);
    expect(at).toEqual([400]);
  });

  test.each<[string, Partial<EventsOptions>]>([
    ['is away', { connected: () => false }],
    ['is lost meanwhile', { post: () => Promise.reject(new LinkError('link.lost')) }],
    ['does not answer', { post: (_, signal) => untilAborted(signal), limits: { ...limits, keeperMs: 1 } }],
  ])('is to come again when the keeper %s', async (_, options) => {
    await using listener = await listen(options);
    const answer = await ask(listener.port, { body: '{}' });
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '10']);
  });
});

describe('what is no event', () => {
  test.each([
    ['GET', '/events/siem', 405],
    ['PUT', '/events/siem', 405],
    ['POST', '/', 404],
    ['POST', '/events', 404],
    ['POST', '/events/', 404],
    ['POST', '/events/Siem', 404],
    ['POST', '/events/siem/', 404],
    ['POST', '/events/siem?x=1', 404],
    ['POST', '/events/..%2fsiem', 404],
    ['POST', `/events/${'a'.repeat(64)}`, 404],
    ['POST', 'http://elsewhere/events/siem', 404],
  ])('%s %s: %i', async (method, path, status) => {
    await using listener = await listen();
    expect((await ask(listener.port, { method, path })).status).toBe(status);
    expect(listener.asked).toEqual([]);
  });

  test('16 KiB are taken, and not one byte more', async () => {
    await using listener = await listen();
    expect((await ask(listener.port, { body: Buffer.alloc(16 * 1024) })).status).toBe(202);
    const headers = { 'transfer-encoding': 'chunked' };
    for (const length of [16 * 1024 + 1, 500_000]) {
      expect((await ask(listener.port, { body: Buffer.alloc(length) })).status).toBe(413);
      expect((await ask(listener.port, { body: Buffer.alloc(length), headers })).status).toBe(413);
    }
    expect(listener.asked).toHaveLength(1);
  });

  test('a body that is said to be endless, or is, ends with its connection', async () => {
    await using listener = await listen({ limits: { ...limits, ...patient } });
    const head = 'POST /events/siem HTTP/1.1\r\nhost: x\r\n';
    expect(await raw(listener.port, `${head}content-length: 99999999999\r\n\r\n`)).toMatch(/^HTTP\/1\.1 413 /);
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    await raw(listener.port, `${head}transfer-encoding: chunked\r\n\r\n${chunk.repeat(20)}`);
    expect(listener.asked).toEqual([]);
  });

  test.each([
    ['headers that are too large', `POST /events/siem HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(9000)}\r\n\r\n`, 431],
    ['no http', 'SSH-2.0-nobody\r\n\r\n', 400],
    ['two lengths', 'POST /events/siem HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx', 400],
    [
      'a length and chunks',
      'POST /events/siem HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['no host', 'POST /events/siem HTTP/1.1\r\n\r\n', 400],
  ])('%s', async (_, bytes, status) => {
    await using listener = await listen();
    expect(await raw(listener.port, bytes)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(listener.asked).toEqual([]);
  });

  test('a second request on the same connection is not answered', async () => {
    await using listener = await listen();
    const one = 'POST /events/siem HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n';
    expect((await raw(listener.port, one + one)).match(/HTTP\/1\.1 202/g)).toHaveLength(1);
  });
});

describe('who is slow', () => {
  test.each<readonly [string, string, Partial<EventLimits>]>([
    ['with the headers', 'POST /events/siem HTTP/1.1\r\n', { headersMs: 50 }],
    [
      'with the body',
      'POST /events/siem HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nx',
      { headersMs: 50, requestMs: 100 },
    ],
    ['with the first byte', '', { idleMs: 50, keeperMs: 50 }],
  ])('%s loses the connection', async (_, bytes, impatient) => {
    await using listener = await listen({ limits: { ...limits, ...patient, ...impatient } });
    const said = await raw(listener.port, bytes);
    expect(said === '' || said.startsWith('HTTP/1.1 408')).toBe(true);
    expect(listener.asked).toEqual([]);
  });
});

test('one address has so many connections and no more: who waits makes room for a newcomer', async () => {
  await using listener = await listen({ limits: { ...limits, connections: { all: 8, perAddress: 2 } } });
  const idle = [1, 2, 3].map(() => connect(listener.port, '127.0.0.1'));
  for (const socket of idle) socket.on('error', () => {});
  await Promise.race(idle.map((socket) => once(socket, 'close')));
  expect((await ask(listener.port)).status).toBe(202);
  for (const socket of idle) socket.destroy();
});

test('one address may ask so often and no more', async () => {
  const rate = { burst: 2, perSecond: 0.001, networks: 10 };
  await using listener = await listen({ limits: { ...limits, rate } });
  const statuses = [];
  for (let i = 0; i < 4; i++) statuses.push((await ask(listener.port)).status);
  expect(statuses).toEqual([202, 202, 429, 429]);
  expect(listener.asked).toHaveLength(2);
});

test('with a certificate it speaks TLS 1.2 or later, and nothing in clear', async () => {
  await using folder = await mkdtempDisposable(`${tmpdir()}/events-`);
  const files = await makeCertificates(folder.path, { dns: [], ip: ['127.0.0.1'] });
  const [certificate, key, ca] = await Promise.all(
    [files.certificateFile, files.keyFile, files.caFile].map((file) => readFile(file)),
  );
  if (certificate === undefined || key === undefined || ca === undefined) throw new Error('no certificate');
  await using listener = await listen({ tls: { certificate, key } });
  expect((await ask(listener.port, { ca, body: '{}' })).status).toBe(202);
  await expect(ask(listener.port, { body: '{}' })).rejects.toThrow();
  const old = connectTls({
    host: '127.0.0.1',
    port: listener.port,
    ca,
    maxVersion: 'TLSv1.1',
    minVersion: 'TLSv1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  const [refused] = (await once(old, 'error')) as [Error];
  expect(refused).toBeInstanceOf(Error);
  expect(listener.asked).toHaveLength(1);
});

test('a certificate that was renewed is the one that newcomers see', async () => {
  await using folder = await mkdtempDisposable(`${tmpdir()}/events-`);
  const pair = async (): Promise<Certificate & { readonly ca: Buffer }> => {
    const files = await makeCertificates(folder.path, { dns: [], ip: ['127.0.0.1'] });
    const [certificate, key, ca] = [files.certificateFile, files.keyFile, files.caFile].map((file) =>
      readFileSync(file),
    );
    if (certificate === undefined || key === undefined || ca === undefined) throw new Error('no certificate');
    return { certificate, key, ca };
  };
  const [first, second] = [await pair(), await pair()];
  await using listener = await listen({ tls: first });
  expect((await ask(listener.port, { ca: first.ca })).status).toBe(202);
  renewCertificate(listener.server, second);
  expect((await ask(listener.port, { ca: second.ca })).status).toBe(202);
  await expect(ask(listener.port, { ca: first.ca })).rejects.toThrow();
});

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
}
