import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, hex } from '../../../../src/base/bytes.ts';
import {
  decodeChunk,
  encodeChunk,
  encodeChunks,
  Reassembly,
} from '../../../../src/protocol/rdp/channels/wire/static-channel.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { bytes, good } from './bytes.ts';

test('a short message is one chunk with its length and both marks', () => {
  const [chunk] = encodeChunks(bytes('01 00 00 00 00 00 00 00'), true);
  expect(hex(chunk ?? new Uint8Array())).toBe('0800000013000000' + '0100000000000000');
});

test('a message of any length comes back as it was, cut at 1600 bytes', () => {
  for (const length of [0, 1, 1599, 1600, 1601, 3200, 5000]) {
    const message = Uint8Array.from({ length }, (_, i) => i * 7);
    const chunks = encodeChunks(message, false);
    expect(chunks.length).toBe(Math.max(1, Math.ceil(length / 1600)));
    const parts = new Reassembly(8192);
    const wholes = chunks.map((chunk) => parts.push(good(decodeChunk(chunk))));
    expect(wholes.slice(0, -1).every((whole) => whole === undefined)).toBe(true);
    expect(wholes.at(-1)).toEqual({ kind: 'message', message });
  }
});

test('a compressed chunk, and a client chunk that is too long, are violations', () => {
  expect(decodeChunk(bytes('01 00 00 00 03 00 20 00 aa'))).toHaveProperty('violation');
  expect(decodeChunk(bytes('01 00 00 00 03 00 80 00 aa'))).toHaveProperty('violation');
  expect(decodeChunk(concat([bytes('ff ff 00 00 01 00 00 00'), new Uint8Array(16257)]))).toHaveProperty('violation');
});

test('chunks out of order, beyond the length or short of it are violations', () => {
  const chunk = (total: number, first: boolean, last: boolean, length: number): ReturnType<typeof decodeChunk> =>
    decodeChunk(
      encodeChunk({ total, first, last, showProtocol: false, control: undefined, data: new Uint8Array(length) }),
    );
  const after = (...list: ReturnType<typeof decodeChunk>[]): unknown => {
    const parts = new Reassembly(100);
    return list.map((one) => parts.push(good(one))).at(-1);
  };
  expect(after(chunk(4, false, true, 4))).toHaveProperty('violation');
  expect(after(chunk(4, true, false, 2), chunk(4, true, true, 2))).toHaveProperty('violation');
  expect(after(chunk(4, true, false, 2), chunk(4, false, true, 3))).toHaveProperty('violation');
  expect(after(chunk(4, true, false, 2), chunk(4, false, true, 1))).toHaveProperty('violation');
  expect(after(chunk(4, true, true, 3))).toHaveProperty('violation');
  expect(after(chunk(4, true, false, 5))).toHaveProperty('violation');
});

test('of a message over the limit only the start is kept, and the next message is read again', () => {
  const message = Uint8Array.from({ length: 5000 }, (_, i) => i);
  const parts = new Reassembly(1000);
  const wholes = encodeChunks(message, false).map((chunk) => parts.push(good(decodeChunk(chunk))));
  expect(wholes.at(-1)).toEqual({ kind: 'oversized', total: 5000, start: message.subarray(0, 32) });
  const [next] = encodeChunks(bytes('0a0b'), false);
  expect(parts.push(good(decodeChunk(next ?? new Uint8Array())))).toEqual({ kind: 'message', message: bytes('0a0b') });
});

test('no chunks make the reassembly throw or hold more than its limit', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 }), (pdus) => {
      const parts = new Reassembly(64);
      for (const pdu of pdus) {
        const chunk = decodeChunk(pdu);
        if (isViolation(chunk) || chunk.control !== undefined) continue;
        const whole = parts.push(chunk);
        if (whole === undefined) continue;
        if (isViolation(whole)) return;
        expect(whole.kind === 'message' ? whole.message.length : whole.start.length).toBeLessThanOrEqual(64);
      }
    }),
  );
});
