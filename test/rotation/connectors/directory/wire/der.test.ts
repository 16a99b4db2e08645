import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, fromHex, hex } from '../../../../../src/base/bytes.ts';
import {
  element,
  explicit,
  flags,
  integer,
  readElements,
  readFields,
  readInteger,
  readOne,
  readSequence,
  sequence,
} from '../../../../../src/rotation/connectors/directory/wire/der.ts';

const bytes = (digits: string): Uint8Array => fromHex(digits) ?? new Uint8Array(0);

test('lengths are written in the shortest form and read back at every border', () => {
  for (const size of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
    const content = new Uint8Array(size).fill(7);
    const whole = element(0x04, content);
    expect(readOne(whole, 0x04)).toEqual(content);
  }
  expect(hex(element(0x04, new Uint8Array(128)).subarray(0, 3))).toBe('048180');
  expect(hex(element(0x04, new Uint8Array(256)).subarray(0, 4))).toBe('04820100');
});

test('whole numbers are two complements of at most five octets', () => {
  for (const value of [0, 1, 127, 128, 255, 256, 2 ** 31 - 1, 2 ** 32 - 1])
    expect(readInteger(integer(value))).toBe(value);
  expect(hex(integer(128))).toBe('02020080');
  expect(readInteger(bytes('0201ff'))).toBe(-1);
  expect(readInteger(bytes('0200'))).toBeUndefined();
  expect(readInteger(bytes('0206000000000001'))).toBeUndefined();
});

test('a bit string of 32 bits begins with its highest', () => {
  expect(hex(flags(0x00010000))).toBe('03050000010000');
});

test('what is no definite length, no short tag, or ends too soon is undefined', () => {
  for (const wrong of [
    '30',
    '3080',
    '3080 0000',
    '30 01',
    '1f8101 00',
    '0485 0000000001 00',
    '0484ffffffff',
    '04820001',
  ])
    expect(readElements(bytes(wrong.replaceAll(' ', ''))), wrong).toBeUndefined();
});

test('one element is one element, to the last byte', () => {
  expect(readOne(bytes('040100'), 0x04)).toEqual(Uint8Array.of(0));
  expect(readOne(bytes('04010000'), 0x04)).toBeUndefined();
  expect(readOne(bytes('040100'), 0x02)).toBeUndefined();
  expect(readOne(undefined, 0x02)).toBeUndefined();
});

test('fields are found by number, and a number that comes twice is malformed', () => {
  const fields = readFields(sequence(explicit(0, integer(5)), explicit(3, integer(7))));
  expect([readInteger(fields?.get(0)), readInteger(fields?.get(3)), fields?.get(1)]).toEqual([5, 7, undefined]);
  expect(readFields(sequence(explicit(0, integer(5)), explicit(0, integer(6))))).toBeUndefined();
  expect(readFields(sequence(integer(5)))).toBeUndefined();
});

test('more elements than any message has are malformed', () => {
  expect(readElements(concat(Array<Uint8Array>(1024).fill(bytes('0500'))))).toHaveLength(1024);
  expect(readElements(concat(Array<Uint8Array>(1025).fill(bytes('0500'))))).toBeUndefined();
});

test('whatever bytes come, reading ends, and what it finds lies within them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (any) => {
      const found = readElements(any) ?? [];
      const inside = found.reduce((sum, { content }) => sum + content.length, 0);
      expect(inside).toBeLessThanOrEqual(any.length);
      readFields(any);
      readSequence(any);
      readInteger(any);
    }),
  );
});

test('a truncated element is never taken for a whole one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (content, cut) => {
      const whole = element(0x04, content);
      expect(readElements(whole.subarray(0, 1 + (cut % Math.max(1, whole.length - 1))))).toBeUndefined();
    }),
  );
});
