import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, fromHex, hex, utf8 } from '../../../src/base/bytes.ts';
import {
  decodeActive,
  decodeMcs,
  decodeShareData,
  disconnectUltimatum,
  encodeActive,
  isViolation,
  sendDataIndication,
  sendDataRequest,
  shareData,
  shareDataType,
} from '../../../src/protocol/rdp/rdp.ts';
import { openPictures } from '../../../src/proxy/rdp/pictures.ts';
import { RdpRelay } from '../../../src/proxy/rdp/relay.ts';

const io = { client: 1003, target: 1003 + 7 };
const user = { client: 1012, target: 1020 };

function open() {
  const toClient: Uint8Array[] = [];
  const toTarget: Uint8Array[] = [];
  const seen: unknown[] = [];
  const relay = new RdpRelay(
    {
      client: { io: io.client, user: user.client },
      target: { io: io.target, user: user.target },
      channels: [
        {
          name: 'echo',
          client: 1004,
          target: 1011,
          filter: {
            fromClient: (pdu) => ({ toTarget: [pdu.slice()], toClient: [], events: [] }),
            fromTarget: (pdu) => ({ toTarget: [], toClient: [pdu.slice()], events: [] }),
            close: () => [],
          },
        },
      ],
    },
    {
      toClient: (bytes) => void toClient.push(bytes.slice()),
      toTarget: (bytes) => void toTarget.push(bytes.slice()),
      pictures: openPictures({
        desktop: (size) => void seen.push(size),
        update: ({ code }) => void seen.push(code),
      }),
      input: (events) => void seen.push(...events),
      channelEvents: () => {},
      loggedIn: () => void seen.push('logged in'),
    },
  );
  return { relay, toClient, toTarget, seen };
}

const license = (type: number): Uint8Array => Uint8Array.of(0x80, 0, 0, 0, type, 3, 16, 0, 7, 0, 0, 0, 2, 0, 0, 0);
const bitmapSet = fromHex('1800010001000100000400030000000001000001000000') ?? new Uint8Array();
const active = (kind: 'demand' | 'confirm') =>
  encodeActive({
    kind,
    source: kind === 'demand' ? 1002 : user.client,
    shareId: 0x103ea,
    originator: 1002,
    descriptor: utf8('RDP\0'),
    sessionId: 0,
    capabilities: [
      { type: 2, data: bitmapSet },
      { type: 29, data: new Uint8Array(5) },
    ],
  });

/** A relay whose session is activated. */
function activated() {
  const it = open();
  it.relay.fromTarget(sendDataIndication(io.target, license(0xff)));
  it.relay.fromTarget(sendDataIndication(io.target, active('demand')));
  it.relay.fromClient(sendDataRequest(user.client, io.client, active('confirm')));
  it.toClient.length = 0;
  it.toTarget.length = 0;
  it.seen.length = 0;
  return it;
}

function dataOf(message: Uint8Array | undefined): { channel: number; user: number; data: Uint8Array } {
  const pdu = decodeMcs(message ?? new Uint8Array());
  if (isViolation(pdu) || pdu.kind !== 'data') throw new Error('no data');
  return pdu;
}

test('licensing passes both ways until it is over', () => {
  const it = open();
  it.relay.fromTarget(sendDataIndication(io.target, license(0x01)));
  expect(it.relay.licensed).toBe(false);
  it.relay.fromClient(sendDataRequest(user.client, io.client, license(0x13)));
  expect(dataOf(it.toTarget[0])).toMatchObject({ channel: io.target, user: user.target });
  it.relay.fromTarget(sendDataIndication(io.target, license(0xff)));
  expect(it.relay.licensed).toBe(true);
  expect(it.toClient.map((message) => dataOf(message).channel)).toEqual([io.client, io.client]);
});

test('before licensing is over a client says nothing else: no second Client Info, no input that nobody saw', () => {
  const info = Uint8Array.of(0x40, 0, 0, 0, 9, 4, 0, 0);
  const input = shareData(0, shareDataType.input, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0x1f, 0, 0, 0));
  const disguised = license(0x13);
  disguised[0] = 0xc0;
  for (const data of [info, input, active('confirm'), disguised, new Uint8Array()]) {
    const it = open();
    it.relay.fromTarget(sendDataIndication(io.target, license(0x01)));
    expect(() => it.relay.fromClient(sendDataRequest(user.client, io.client, data))).toThrow('before its end');
    expect(it.toTarget).toEqual([]);
  }
});

test('every activation is filtered on both sides, and tells the size of the desktop', () => {
  const it = open();
  it.relay.fromTarget(sendDataIndication(io.target, license(0xff)));
  for (let round = 0; round < 2; round++) {
    it.relay.fromTarget(sendDataIndication(io.target, active('demand')));
    it.relay.fromClient(sendDataRequest(user.client, io.client, active('confirm')));
  }
  for (const message of [...it.toClient.slice(1), ...it.toTarget]) {
    const read = decodeActive(dataOf(message).data);
    expect(isViolation(read) ? [] : read.capabilities.map(({ type }) => type)).toEqual([2]);
  }
  const confirm = decodeActive(dataOf(it.toTarget[0]).data);
  expect(isViolation(confirm) ? 0 : confirm.source).toBe(user.target);
  expect(it.seen).toEqual([
    { width: 1024, height: 768, depth: 24 },
    { width: 1024, height: 768, depth: 24 },
  ]);
});

test('what names the account, or holds a cookie that logs in, stays at the gate; its neighbours pass', () => {
  const it = activated();
  const secret = utf8('svc_rdp and its cookie');
  const both = concat([
    shareData(0x103ea, shareDataType.saveSessionInfo, secret),
    shareData(0x103ea, shareDataType.setErrorInfo, Uint8Array.of(0, 0, 0, 0)),
  ]);
  it.relay.fromTarget(sendDataIndication(io.target, both));
  it.relay.fromTarget(sendDataIndication(io.target, shareData(0x103ea, shareDataType.saveSessionInfo, secret)));
  expect(it.toClient).toHaveLength(1);
  expect(hex(concat(it.toClient))).not.toContain(hex(secret));
  const left = decodeShareData(dataOf(it.toClient[0]).data);
  expect(isViolation(left) ? 0 : left.type).toBe(shareDataType.setErrorInfo);
  expect(it.seen).toEqual(['logged in', 'logged in']);
});

test('a target that sends its clients elsewhere ends the session, before and after licensing', () => {
  const redirect = Uint8Array.of(8, 0, 0x1a, 0, 0xea, 3, 0, 0);
  expect(() => activated().relay.fromTarget(sendDataIndication(io.target, redirect))).toThrow('another machine');
  const early = open();
  expect(() => early.relay.fromTarget(sendDataIndication(io.target, Uint8Array.of(0, 4, 0, 0)))).toThrow(
    'another machine',
  );
  expect(early.toClient).toEqual([]);
});

test('input is seen before the target gets it, in both forms, as it came', () => {
  const it = activated();
  const fast = Uint8Array.of(4, 4, 0, 0x1e);
  it.relay.fromClient(fast);
  const slow = shareData(
    0x103ea,
    shareDataType.input,
    Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0x1f, 0, 0, 0),
  );
  it.relay.fromClient(sendDataRequest(user.client, io.client, slow));
  expect(it.seen).toMatchObject([
    { kind: 'key', scancode: 0x1e },
    { kind: 'key', scancode: 0x1f },
  ]);
  expect(hex(it.toTarget[0] ?? new Uint8Array())).toBe(hex(fast));
  const passed = dataOf(it.toTarget[1]);
  expect([passed.channel, passed.user]).toEqual([io.target, user.target]);
  expect([passed.data[4], passed.data[5]]).toEqual([user.target & 0xff, user.target >>> 8]);
});

test('input of a kind that nobody can read ends the session and reaches nobody', () => {
  const it = activated();
  expect(() => it.relay.fromClient(Uint8Array.of(4, 3, 0xff))).toThrow();
  expect(it.toTarget).toEqual([]);
});

test('a channel keeps its number on each side; one that is not let through reaches nobody', () => {
  const it = activated();
  it.relay.fromClient(sendDataRequest(user.client, 1004, utf8('up')));
  it.relay.fromTarget(sendDataIndication(1011, utf8('down')));
  it.relay.fromClient(sendDataRequest(user.client, 1005, utf8('denied')));
  it.relay.fromTarget(sendDataIndication(1004, utf8('nobody asked')));
  expect(it.toTarget.map(dataOf).map(({ channel, data }) => [channel, Buffer.from(data).toString()])).toEqual([
    [1011, 'up'],
  ]);
  expect(it.toClient.map(dataOf).map(({ channel, data }) => [channel, Buffer.from(data).toString()])).toEqual([
    [1004, 'down'],
  ]);
});

test('each side may say that it ends', () => {
  const client = activated();
  client.relay.fromClient(disconnectUltimatum());
  expect([client.relay.ending, client.toTarget.length]).toEqual(['client', 1]);
  const target = activated();
  target.relay.fromTarget(disconnectUltimatum());
  expect([target.relay.ending, target.toClient.length]).toEqual(['target', 1]);
});

test('whatever either side sends, the relay passes it on, drops it or ends the session; nothing else', () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.uint8Array({ minLength: 7, maxLength: 200 }),
      fc.constantFrom(0, 3),
      (up, body, first) => {
        const it = activated();
        const message = first === 3 ? sendDataRequest(user.client, up ? io.client : io.target, body) : body;
        if (first === 0) message[0] = 0;
        try {
          if (up) it.relay.fromClient(message);
          else it.relay.fromTarget(message);
        } catch (error) {
          expect(error).toHaveProperty('code');
        }
      },
    ),
    { numRuns: 2000 },
  );
});
