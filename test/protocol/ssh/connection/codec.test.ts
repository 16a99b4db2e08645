/** Messages of the connection protocol: there and back, cut short, and made up. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type ConnectionMessage,
  dataLength,
  decodeConnection,
  encodeConnection,
  isData,
  recipientOf,
} from '../../../../src/protocol/ssh/wire/connection.ts';
import {
  type ChannelRequest,
  decodeTcpip,
  encodeRequest,
  encodeTcpip,
} from '../../../../src/protocol/ssh/wire/connection-requests.ts';
import { isViolation } from '../../../../src/protocol/ssh/wire/reader.ts';
import { Writer } from '../../../../src/protocol/ssh/wire/writer.ts';

const bytes = Uint8Array.of(1, 2, 3);
const messages: readonly Exclude<ConnectionMessage, { kind: 'request' }>[] = [
  { kind: 'global-request', name: 'tcpip-forward', wantReply: true, body: bytes },
  { kind: 'request-success', body: bytes },
  { kind: 'request-failure' },
  { kind: 'open', type: 'session', sender: 7, window: 2 ** 32 - 1, maxPacket: 32_768, body: bytes },
  { kind: 'open-confirmation', recipient: 7, sender: 2 ** 32 - 1, window: 0, maxPacket: 1, body: bytes },
  { kind: 'open-failure', recipient: 7, reason: 4, description: 'nö' },
  { kind: 'window-adjust', recipient: 1, bytes: 2 ** 32 - 1 },
  { kind: 'data', recipient: 3_000_000_000, data: bytes },
  { kind: 'extended-data', recipient: 1, type: 1, data: bytes },
  { kind: 'eof', recipient: 1 },
  { kind: 'close', recipient: 1 },
  { kind: 'success', recipient: 1 },
  { kind: 'failure', recipient: 1 },
];

const requests: readonly Exclude<ChannelRequest, { type: 'unknown' }>[] = [
  {
    type: 'pty-req',
    term: 'xterm-256color',
    cols: 80,
    rows: 24,
    widthPixels: 640,
    heightPixels: 480,
    modes: new Map([
      [1, 3],
      [53, 0],
      [128, 38_400],
      [129, 38_400],
    ]),
  },
  { type: 'env', name: 'LANG', value: bytes },
  { type: 'shell' },
  { type: 'exec', command: Uint8Array.of(0xff, 0x20, 0x00) },
  { type: 'subsystem', subsystem: 'sftp' },
  { type: 'window-change', cols: 1, rows: 2, widthPixels: 3, heightPixels: 4 },
  { type: 'signal', signal: 'INT' },
  { type: 'exit-status', status: 255 },
  { type: 'exit-signal', signal: 'KILL', coreDumped: true, message: 'killed' },
  { type: 'xon-xoff', clientCanDo: true },
  { type: 'break', milliseconds: 500 },
  { type: 'eow@openssh.com' },
  { type: 'auth-agent-req@openssh.com' },
  { type: 'x11-req', single: true, protocol: 'MIT-MAGIC-COOKIE-1', cookie: bytes, screen: 0 },
];

const payloads: readonly (readonly [string, Uint8Array])[] = [
  ...messages.map((message) => [message.kind, encodeConnection(message)] as const),
  ...requests.map((request) => [request.type, encodeRequest(9, request, true)] as const),
];

test('every message comes back as it went', () => {
  for (const message of messages) expect(decodeConnection(encodeConnection(message))).toEqual(message);
  for (const request of requests) {
    const decoded = decodeConnection(encodeRequest(9, request, true));
    expect(decoded).toEqual({ kind: 'request', recipient: 9, name: request.type, wantReply: true, request });
  }
});

test('every truncation is a violation or, where a body is free, a shorter body; an extension never passes unseen', () => {
  const free = new Set(['global-request', 'request-success', 'open', 'open-confirmation']);
  for (const [name, payload] of payloads) {
    for (let length = 0; length < payload.length; length++) {
      const decoded = decodeConnection(payload.subarray(0, length));
      if (!free.has(name)) expect(isViolation(decoded), `${name} cut at ${length}`).toBe(true);
    }
    if (!free.has(name)) expect(isViolation(decodeConnection(Uint8Array.of(...payload, 0))), name).toBe(true);
  }
});

test('terminal modes of a real pty-req are read by opcode, in their order', () => {
  // As OpenSSH sends them: speeds first, then modes, ended by 0.
  const modes = new Writer().u8(129).u32(38_400).u8(128).u32(38_400).u8(1).u32(3).u8(50).u32(1).u8(0).finish();
  const body = new Writer().text('xterm').u32(80).u32(24).u32(0).u32(0).string(modes).finish();
  const payload = new Writer().u8(98).u32(0).text('pty-req').bool(true).raw(body).finish();
  const decoded = decodeConnection(payload);
  if (isViolation(decoded) || decoded.kind !== 'request' || decoded.request.type !== 'pty-req')
    throw new Error('no pty');
  expect([...decoded.request.modes]).toEqual([
    [129, 38_400],
    [128, 38_400],
    [1, 3],
    [50, 1],
  ]);
});

test('modes that end in the middle of a value are a violation', () => {
  const body = new Writer()
    .text('vt')
    .u32(1)
    .u32(1)
    .u32(0)
    .u32(0)
    .string(Uint8Array.of(53, 0, 0))
    .finish();
  const payload = new Writer().u8(98).u32(0).text('pty-req').bool(true).raw(body).finish();
  expect(decodeConnection(payload)).toEqual({ violation: 'terminal modes end in the middle' });
});

test('a maximum packet size of 0 is a violation, in an opening and in a confirmation', () => {
  const numbers = { sender: 0, window: 1, maxPacket: 0, body: bytes };
  expect(isViolation(decodeConnection(encodeConnection({ kind: 'open', type: 'session', ...numbers })))).toBe(true);
  expect(isViolation(decodeConnection(encodeConnection({ kind: 'open-confirmation', recipient: 0, ...numbers })))).toBe(
    true,
  );
});

test('unknown requests keep their name and their bytes', () => {
  const payload = new Writer().u8(98).u32(2).text('winadj@putty.projects.tartarus.org').bool(true).raw(bytes).finish();
  expect(decodeConnection(payload)).toMatchObject({
    name: 'winadj@putty.projects.tartarus.org',
    request: { type: 'unknown', body: bytes },
  });
});

test('the quick look reads number, channel and length, and refuses a length that lies', () => {
  const data = encodeConnection({ kind: 'data', recipient: 0xfffffffe, data: bytes });
  expect([isData(data), recipientOf(data), dataLength(data)]).toEqual([true, 0xfffffffe, 3]);
  const extended = encodeConnection({ kind: 'extended-data', recipient: 5, type: 1, data: bytes });
  expect([isData(extended), recipientOf(extended), dataLength(extended)]).toEqual([false, 5, 3]);
  expect(dataLength(Uint8Array.of(...data, 0))).toBeUndefined();
  expect(dataLength(data.subarray(0, 8))).toBeUndefined();
  expect(recipientOf(data.subarray(0, 4))).toBeUndefined();
  expect(recipientOf(encodeConnection({ kind: 'request-failure' }))).toBeUndefined();
  expect(recipientOf(new Uint8Array(0))).toBeUndefined();
});

test('the quick look and the decoder agree on whatever comes', () => {
  const number = fc.integer({ min: 78, max: 102 });
  fc.assert(
    fc.property(number, fc.uint8Array({ maxLength: 64 }), (kind, rest) => {
      const payload = Uint8Array.of(kind, ...rest);
      const decoded = decodeConnection(payload);
      if (isViolation(decoded)) return;
      if ('recipient' in decoded) expect(recipientOf(payload)).toBe(decoded.recipient);
      if ('data' in decoded) expect(dataLength(payload)).toBe(decoded.data.length);
      if (decoded.kind !== 'request' && decoded.kind !== 'open-failure')
        expect(decodeConnection(encodeConnection(decoded))).toEqual(decoded);
    }),
    { numRuns: 2000 },
  );
});

test('altered messages are read or refused, and never throw', () => {
  const change = fc.record({ which: fc.nat(payloads.length - 1), at: fc.nat(200), to: fc.nat(255) });
  fc.assert(
    fc.property(change, ({ which, at, to }) => {
      const copy = payloads[which]?.[1].slice() ?? bytes;
      copy[at % copy.length] = to;
      decodeConnection(copy);
    }),
    { numRuns: 2000 },
  );
});

test('where a tunnel goes is read, and a port beyond 65535 refused', () => {
  const body = { host: 'db1', port: 5432, originHost: '127.0.0.1', originPort: 40_000 };
  expect(decodeTcpip(encodeTcpip(body))).toEqual(body);
  expect(isViolation(decodeTcpip(encodeTcpip({ ...body, port: 65_536 })))).toBe(true);
});
