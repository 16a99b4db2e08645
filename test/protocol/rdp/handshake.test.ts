/** Both sides of a handshake over a pair of streams in memory: every way out, every truncation, and whatever else comes. */
import { type Duplex, duplexPair } from 'node:stream';
import { createSecureContext } from 'node:tls';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { concat } from '../../../src/base/bytes.ts';
import { type Accepted, acceptClient, type AcceptOptions } from '../../../src/protocol/rdp/acceptor.ts';
import { joinTarget, reachTarget, sendClientInfo } from '../../../src/protocol/rdp/connector.ts';
import { RdpError } from '../../../src/protocol/rdp/errors.ts';
import { RdpStream } from '../../../src/protocol/rdp/stream.ts';
import { encodeClientInfo } from '../../../src/protocol/rdp/wire/client-info.ts';
import { block, encodeConnectInitial, encodeConnectResponse } from '../../../src/protocol/rdp/wire/gcc.ts';
import {
  attachConfirm,
  attachUser,
  disconnectUltimatum,
  erectDomain,
  joinChannel,
  joinConfirm,
  sendDataRequest,
} from '../../../src/protocol/rdp/wire/mcs.ts';
import { encodeClientNet, serverBlocks } from '../../../src/protocol/rdp/wire/settings.ts';
import {
  encodeConnectionConfirm,
  encodeConnectionRequest,
  encodeNegotiationFailure,
  security,
} from '../../../src/protocol/rdp/wire/x224.ts';
import { machine, settings } from '../../e2e/rdp-wire-client.ts';
import { testCertificate } from '../ntlm/certificate.ts';

const certificate = testCertificate('gate');
const secure = createSecureContext({ cert: certificate.cert, key: certificate.key });
const plain: AcceptOptions<never> = { secure: undefined, judge: undefined };
const never = new AbortController().signal;
const edit = { selected: security.tls, depth: 24, width: 1024, height: 768, monitors: true };
const channels = [{ name: 'cliprdr', options: 0 }];
const net = { type: block.csNet, data: encodeClientNet(channels) };
const info = encodeClientInfo(machine, { domain: '', user: 'alice', password: Buffer.from('p\0w\0'), shell: '' });

afterEach(() => vi.useRealTimers());

/** What a good client sends to an acceptor without TLS, message by message. */
const goodClient: readonly Uint8Array[] = [
  encodeConnectionRequest(security.tls),
  encodeConnectInitial([...settings, net]),
  erectDomain(),
  attachUser(),
  ...[1012, 1003, 1004].map((channel) => joinChannel(1012, channel)),
  sendDataRequest(1012, 1003, info),
];
/** And a good server to a connector that has no TLS to do. */
const goodServer: readonly Uint8Array[] = [
  encodeConnectResponse(serverBlocks(security.tls, { io: 1003, channels: [1004] })),
  attachConfirm(1012),
  ...[1012, 1003, 1004].map((channel) => joinConfirm(1012, channel)),
];

type Ended<T> = { readonly value: T | undefined } | { readonly error: unknown };

async function ended<T>(work: Promise<T>): Promise<Ended<T>> {
  try {
    return { value: await work };
  } catch (error) {
    return { error };
  }
}

const listeners = (side: Duplex): number => side.eventNames().reduce((sum, name) => sum + side.listenerCount(name), 0);

/** Runs one side against bytes that somebody else sends, then ends them; nothing is left listening to the signal. */
async function against<T>(
  sent: Uint8Array,
  run: (stream: RdpStream, signal: AbortSignal) => Promise<T>,
  end = true,
): Promise<Ended<T>> {
  const [ours, theirs] = duplexPair();
  theirs.on('error', () => {});
  theirs.resume();
  await using stream = new RdpStream(ours);
  const before = listeners(ours);
  const answer = ended(run(stream, never));
  theirs.write(sent);
  if (end) theirs.end();
  const outcome = await answer;
  expect(listeners(ours)).toBeLessThanOrEqual(before);
  return outcome;
}

const accept = (sent: Uint8Array, end?: boolean) =>
  against(sent, (stream, signal) => acceptClient(stream, plain, signal), end);
const join = (sent: Uint8Array) =>
  against(sent, (stream, signal) => joinTarget(stream, settings, edit, channels, signal));

function codeOf(outcome: Ended<unknown>): string {
  if (!('error' in outcome)) return 'no error';
  return outcome.error instanceof RdpError ? outcome.error.code : String(outcome.error);
}

function typed(outcome: Ended<unknown>): void {
  if ('error' in outcome) expect(outcome.error).toBeInstanceOf(RdpError);
}

/** Both sides over TLS inside a pair of streams. */
async function overTls(): Promise<{ accepted: Accepted<never> | undefined; chain: readonly Uint8Array[] }> {
  const [a, b] = duplexPair();
  await using server = new RdpStream(a);
  await using client = new RdpStream(b);
  const accepting = acceptClient<never>(server, { secure, judge: undefined }, never);
  const reached = await reachTarget(client, 'tls', 'gate.example', never);
  const joined = await joinTarget(client, settings, edit, channels, never);
  sendClientInfo(client, joined, info.slice());
  return { accepted: await accepting, chain: reached.chain };
}

test('a connector and an acceptor agree over TLS on streams that are no sockets', async () => {
  const { accepted, chain } = await overTls();
  expect(accepted).toMatchObject({ selected: security.tls, info: { user: 'alice' }, channels: [{ id: 1004 }] });
  expect(Buffer.from(chain[0] ?? []).equals(certificate.der)).toBe(true);
});

test('the proof of a client that goes no further is given up, and of one that does is handed on', async () => {
  const asking = [encodeConnectionRequest(security.nla), ...goodClient.slice(1)];
  const given: string[] = [];
  const options = { secure: undefined, judge: async () => 'proof', discard: (proof: string) => void given.push(proof) };
  const meet = async (sent: readonly Uint8Array[]) =>
    await against(concat(sent), (stream, signal) => acceptClient(stream, options, signal));
  expect(await meet(asking)).toMatchObject({ value: { proof: 'proof', selected: security.nla } });
  expect(given).toEqual([]);
  for (let count = 1; count < asking.length; count++)
    expect(codeOf(await meet(asking.slice(0, count)))).toBe('rdp.closed');
  expect(given).toEqual(Array(asking.length - 1).fill('proof'));
});

test('a good client is taken as far as Client Info, also when it comes in single bytes', async () => {
  expect(await accept(concat(goodClient))).toMatchObject({ value: { user: 1012, io: 1003, info: { user: 'alice' } } });
  const [ours, theirs] = duplexPair();
  theirs.resume();
  await using stream = new RdpStream(ours);
  const accepting = acceptClient(stream, plain, never);
  for (const byte of concat(goodClient)) theirs.write(Uint8Array.of(byte));
  expect(await accepting).toMatchObject({ info: { user: 'alice' } });
});

test('every truncation of a good handshake ends both sides with an error of ours', async () => {
  for (const [good, run] of [
    [concat(goodClient), accept],
    [concat(goodServer), join],
  ] as const)
    for (let length = 0; length < good.length; length++)
      expect(codeOf(await run(good.subarray(0, length))), `${length} bytes`).toBe('rdp.closed');
});

test('messages out of order, of the other side or too many end the handshake', async () => {
  const [request, initial, erect, attach, ...rest] = goodClient;
  const head = [request, initial].filter((one) => one !== undefined);
  const lost = (...messages: readonly (Uint8Array | undefined)[]) =>
    accept(concat(messages.filter((one) => one !== undefined)));
  const core = settings.filter(({ type }) => type !== block.csCore);
  const cases: readonly (readonly [string, Promise<Ended<unknown>>, string])[] = [
    ['settings before negotiation', lost(initial, request), 'rdp.protocol'],
    ['joins before settings', lost(request, erect, attach), 'rdp.protocol'],
    ['a confirm from a client', lost(...head, attachConfirm(1012)), 'rdp.protocol'],
    ['settings twice', lost(...head, initial), 'rdp.protocol'],
    ['no core block', lost(request, encodeConnectInitial([...core, net])), 'rdp.protocol'],
    ['more joins than channels', lost(...head, ...Array.from({ length: 40 }, () => rest[0])), 'rdp.protocol'],
    ['data that is no Client Info', lost(...head, sendDataRequest(1012, 1003, new Uint8Array(40))), 'rdp.protocol'],
    ['a client that leaves politely', lost(...head, disconnectUltimatum()), 'rdp.closed'],
    ['no TLS offered', lost(encodeConnectionRequest(security.rdp)), 'rdp.negotiation'],
    ['joins before they are asked for, from a server', join(concat(goodServer.slice(1))), 'rdp.protocol'],
    [
      'a server that answers a join with a request',
      join(concat([...goodServer.slice(0, 2), joinChannel(1012, 1003)])),
      'rdp.protocol',
    ],
    ['a server that ends', join(concat([...goodServer.slice(0, 1), disconnectUltimatum()])), 'rdp.closed'],
  ];
  for (const [what, run, code] of cases) expect(codeOf(await run), what).toBe(code);
});

test('a client that is too slow is let go of after ten seconds without a message, and after three minutes in all', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const silent = accept(new Uint8Array([3, 0]), false);
  await vi.advanceTimersByTimeAsync(9_900);
  await vi.advanceTimersByTimeAsync(200);
  expect(codeOf(await silent)).toBe('rdp.too-slow');
  const half = accept(concat(goodClient.slice(0, 4)), false);
  await vi.advanceTimersByTimeAsync(180_100);
  expect(codeOf(await half)).toBe('rdp.too-slow');
});

test('bytes that come before TLS are not taken for encrypted ones, on either side', async () => {
  const withTls = (sent: Uint8Array) =>
    against(sent, (stream, signal) => acceptClient(stream, { secure, judge: undefined }, signal));
  expect(await withTls(concat(goodClient.slice(0, 2)))).toMatchObject({
    error: { code: 'rdp.protocol', message: expect.stringContaining('before TLS') as string },
  });
  const reach = (sent: Uint8Array) => against(sent, (stream, signal) => reachTarget(stream, 'tls', 'host', signal));
  const early = concat([encodeConnectionConfirm(security.tls), ...goodServer]);
  expect(await reach(early)).toMatchObject({
    error: { code: 'rdp.protocol', message: expect.stringContaining('before TLS') as string },
  });
});

test('a server that chooses what was not asked for, or refuses, is left', async () => {
  const reach = (sent: Uint8Array, wanted: 'tls' | 'nla') =>
    against(sent, (stream, signal) => reachTarget(stream, wanted, 'host', signal));
  for (const [wanted, sent] of [
    ['nla', encodeConnectionConfirm(security.tls)],
    ['nla', encodeConnectionConfirm(security.nlaEx)],
    ['tls', encodeConnectionConfirm(security.nla)],
    ['tls', encodeConnectionConfirm(security.rdp)],
    ['tls', encodeNegotiationFailure(5)],
  ] as const)
    expect(codeOf(await reach(sent, wanted)), wanted).toBe('rdp.negotiation');
});

test('rubbish instead of TLS ends with an error about TLS at once, not with the deadline', async () => {
  for (const side of ['server', 'client'] as const) {
    const [ours, theirs] = duplexPair();
    theirs.on('error', () => {});
    await using stream = new RdpStream(ours);
    const late = AbortSignal.timeout(5000);
    const run = side === 'server' ? stream.secureServer(secure, late) : stream.secureClient({}, late);
    const outcome = ended<unknown>(run);
    theirs.resume();
    theirs.write(Buffer.alloc(4096, 0xa7));
    expect(codeOf(await outcome), side).toBe('rdp.tls');
  }
});

test('whatever is changed in a good handshake, both sides end with a result or an error of ours', async () => {
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on('unhandledRejection', hear);
  try {
    for (const [good, run] of [
      [concat(goodClient), accept],
      [concat(goodServer), join],
    ] as const)
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
          async (changes) => {
            const bytes = good.slice();
            for (const [at, value] of changes) bytes[at] = value;
            typed(await run(bytes));
          },
        ),
        { numRuns: 400 },
      );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
        typed(await accept(bytes));
        typed(await join(bytes));
      }),
      { numRuns: 200 },
    );
  } finally {
    process.off('unhandledRejection', hear);
  }
  expect(unheard).toEqual([]);
});
