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
  sound,
  walkShare,
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

const license = (type: number): Uint8Array => Uint8Array.of(0x80, 0, 0, 0, type, 3, 12, 0, 7, 0, 0, 0, 2, 0, 0, 0);
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

test('licensing with a length in its unused half, as xrdp writes it, is licensing', () => {
  const it = open();
  const message = license(0xff);
  message.set(message.subarray(6, 8), 2);
  it.relay.fromTarget(sendDataIndication(io.target, message));
  expect([it.relay.licensed, it.toClient.length]).toEqual([true, 1]);
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
  expect(hex(concat(it.toClient))).not.toContain(hex(secret));
  const shares = it.toClient.flatMap((message) => sound(walkShare(dataOf(message).data)));
  const passed = shares.map((share) => sound(decodeShareData(share.bytes)));
  const { saveSessionInfo, setErrorInfo } = shareDataType;
  expect(passed.map(({ type }) => type)).toEqual([saveSessionInfo, setErrorInfo, saveSessionInfo]);
  // that somebody logged in, and not who
  expect(passed[0]?.body[0]).toBe(2);
  expect(passed[0]?.body.subarray(1).every((byte) => byte === 0)).toBe(true);
  expect(it.seen).toEqual(['logged in', 'logged in']);
});

test('bytes behind the data of a message end the session: some peers would read them', () => {
  const hidden = shareData(
    0x103ea,
    shareDataType.input,
    Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0x1f, 0, 0, 0),
  );
  const up = sendDataRequest(user.client, io.client, hidden);
  up[13] = 0;
  const down = sendDataIndication(io.target, shareData(0x103ea, shareDataType.saveSessionInfo, utf8('cookie')));
  down[13] = 0;
  const it = activated();
  expect(() => it.relay.fromClient(up)).toThrow('behind the data');
  expect(() => it.relay.fromTarget(down)).toThrow('behind the data');
  expect([it.toClient, it.toTarget]).toEqual([[], []]);
});

test('before licensing is over only licensing passes, whole and alone', () => {
  const it = open();
  for (const bytes of [
    active('confirm'),
    Uint8Array.of(0x80, 0, 0, 0, 0x13, 3, 99, 0, 1),
    Uint8Array.of(0xc0, 0, 0, 0, 0x13, 3, 8, 0, 1, 2, 3, 4),
  ])
    expect(() => it.relay.fromClient(sendDataRequest(user.client, io.client, bytes))).toThrow('before its end');
  expect(it.toTarget).toEqual([]);
});

test('a target that leaves licensing out is filtered all the same, whatever the length of its first message', () => {
  for (let name = 1; name < 200; name++) {
    const it = open();
    const demand = encodeActive({
      kind: 'demand',
      source: 1002,
      shareId: 0x103ea,
      originator: 0,
      descriptor: new Uint8Array(name),
      sessionId: 0,
      capabilities: [
        { type: 2, data: bitmapSet },
        { type: 29, data: new Uint8Array(5) },
      ],
    });
    it.relay.fromTarget(sendDataIndication(io.target, demand));
    const read = decodeActive(dataOf(it.toClient[0]).data);
    expect(isViolation(read) ? [] : read.capabilities.map(({ type }) => type)).toEqual([2]);
  }
});

test('a client can neither switch the picture off nor speak of caches that it was not given', () => {
  const it = activated();
  const say = (type: number, body: Uint8Array) =>
    it.relay.fromClient(sendDataRequest(user.client, io.client, shareData(0x103ea, type, body)));
  say(shareDataType.suppressOutput, Uint8Array.of(0, 0, 0, 0));
  say(shareDataType.persistentKeys, new Uint8Array(24));
  expect(it.toTarget).toEqual([]);
  say(shareDataType.suppressOutput, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0xff, 3, 0xff, 2));
  expect(it.toTarget).toHaveLength(1);
});

test('a desktop that the recording could not draw ends the session before the client hears of it', () => {
  const it = open();
  it.relay.fromTarget(sendDataIndication(io.target, license(0xff)));
  const wide = bitmapSet.slice();
  wide.set([0x00, 0x2d], 8);
  const demand = encodeActive({
    kind: 'demand',
    source: 1002,
    shareId: 1,
    originator: 0,
    descriptor: utf8('RDP\0'),
    sessionId: 0,
    capabilities: [{ type: 2, data: wide }],
  });
  expect(() => it.relay.fromTarget(sendDataIndication(io.target, demand))).toThrow('11520x768');
  expect(it.toClient).toHaveLength(1);
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
