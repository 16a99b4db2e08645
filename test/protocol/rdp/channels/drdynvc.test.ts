import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, hex } from '../../../../src/base/bytes.ts';
import {
  decodeDynamic,
  type DynamicMessage,
  encodeDynamic,
  encodeDynamicData,
} from '../../../../src/protocol/rdp/channels/wire/drdynvc.ts';
import { soundName } from '../../../../src/protocol/rdp/channels/wire/rdpsnd.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { bytes, good } from './bytes.ts';

test('capabilities carry charges from a target of version 2 on, and never from a client', () => {
  const fromTarget = bytes('50 00 02 00 33 33 11 11 3d 0a a7 04');
  expect(decodeDynamic(fromTarget, 'target')).toEqual({
    type: 'caps',
    version: 2,
    charges: [0x3333, 0x1111, 0x0a3d, 0x04a7],
  });
  expect(decodeDynamic(bytes('50 00 01 00'), 'target')).toEqual({ type: 'caps', version: 1, charges: [] });
  expect(decodeDynamic(bytes('50 00 02 00'), 'client')).toEqual({ type: 'caps', version: 2, charges: [] });
  expect(hex(encodeDynamic(good(decodeDynamic(fromTarget, 'target'))))).toBe(hex(fromTarget));
});

test('create is a request from the target and a response from the client', () => {
  expect(decodeDynamic(bytes('10 03 74 65 73 74 64 76 63 00'), 'target')).toEqual({
    type: 'create-request',
    channel: 3,
    priority: 0,
    name: 'testdvc',
  });
  expect(decodeDynamic(bytes('10 03 01 00 00 c0'), 'client')).toEqual({
    type: 'create-response',
    channel: 3,
    status: 0xc0000001,
  });
});

test('data is read whatever its unused bits say', () => {
  // MS-RDPEDYC §4.3.2: 34 is data with a bit that means nothing
  expect(decodeDynamic(bytes('34 03 71 71'), 'client')).toEqual({ type: 'data', channel: 3, data: bytes('7171') });
  expect(decodeDynamic(bytes('24 03 7b 0c 71 71'), 'client')).toEqual({
    type: 'data-first',
    channel: 3,
    total: 0x0c7b,
    data: bytes('7171'),
  });
});

test('compressed data, another transport, and sizes that nobody knows are violations', () => {
  for (const head of ['60', '70', '80', '90', '00', 'a0', '33', '2c'])
    expect(decodeDynamic(bytes(`${head} 03 00 00 00 00 00 00`), 'target'), head).toHaveProperty('violation');
});

const messages: [DynamicMessage, 'client' | 'target'][] = [
  [{ type: 'caps', version: 2, charges: [1, 2, 3, 4] }, 'target'],
  [{ type: 'caps', version: 1, charges: [] }, 'client'],
  [{ type: 'create-request', channel: 300, priority: 2, name: 'ECHO' }, 'target'],
  [{ type: 'create-response', channel: 70000, status: 0 }, 'client'],
  [{ type: 'data-first', channel: 5, total: 70000, data: bytes('0102') }, 'client'],
  [{ type: 'data', channel: 256, data: bytes('0102') }, 'target'],
  [{ type: 'close', channel: 255 }, 'client'],
];

test.each(messages)('%o is read as it was written', (message, from) => {
  expect(decodeDynamic(encodeDynamic(message), from)).toEqual(message);
});

test.each(messages)('%o cut off in its head is a violation', (message, from) => {
  const written = encodeDynamic(message);
  const head = written.length - ('data' in message ? message.data.length : 0);
  for (let end = 0; end < head; end++)
    expect(decodeDynamic(written.subarray(0, end), from), `${end}`).toHaveProperty('violation');
});

test('data of any length is cut into messages of at most 1600 bytes', () => {
  for (const length of [0, 1, 1597, 1598, 1599, 1600, 5000])
    for (const channel of [1, 300, 70000]) {
      const data = Uint8Array.from({ length }, (_, i) => i);
      const parts = encodeDynamicData(channel, data).map((part) => {
        expect(part.length).toBeLessThanOrEqual(1600);
        const message = good(decodeDynamic(part, 'client'));
        if (message.type === 'data-first') expect(message.total).toBe(length);
        return 'data' in message ? message.data : new Uint8Array();
      });
      expect(hex(concat(parts))).toBe(hex(data));
    }
});

test('no bytes make the decoder throw, and what it reads can be written', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom('client', 'target'), (input, from) => {
      const message = decodeDynamic(input, from);
      if (!isViolation(message)) expect(decodeDynamic(encodeDynamic(message), from)).toEqual(message);
      soundName(input);
    }),
  );
});

test('sound messages have names', () => {
  expect(soundName(bytes('07 00 10 00'))).toBe('formats');
  expect(soundName(bytes('0d 00 10 00'))).toBe('wave-2');
  expect(soundName(bytes('63 00 10 00'))).toBe('unknown 99');
  expect(soundName(bytes('07 00 10'))).toHaveProperty('violation');
});
