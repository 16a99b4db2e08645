/** The decoders by themselves: what the documents say order by order, and any bytes at all. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { text, utf8 } from '../../../../src/base/bytes.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { openBulk } from '../../../../src/protocol/rdp/bitmap/bulk.ts';
import { decodeInterleaved } from '../../../../src/protocol/rdp/bitmap/interleaved.ts';
import { decodePlanar } from '../../../../src/protocol/rdp/bitmap/planar.ts';

function pixels8(orders: readonly number[], width: number, height: number): number[] | string {
  const out = new Uint32Array(width * height);
  const wrong = decodeInterleaved(Uint8Array.from(orders), width, height, 8, out);
  return wrong === undefined ? [...out] : wrong.violation;
}

test('each order of the interleaved coding does what MS-RDPBCGR says', () => {
  // background, and again: the foreground stands between them
  expect(pixels8([0x02, 0x02], 4, 1)).toEqual([0, 0, 255, 0]);
  expect(pixels8([0xf0, 4, 0], 4, 1)).toEqual([0, 0, 0, 0]);
  // the second row copies the first, and the foreground stands between two of its runs
  expect(pixels8([0x62, 7, 0x64, 9, 0x01, 0x03], 4, 2)).toEqual('run goes past the end of its bitmap');
  expect(pixels8([0x62, 7, 0x62, 9, 0x01, 0x03], 4, 2)).toEqual([7, 7, 9, 9, 7, 7 ^ 255, 9, 9]);
  // a background that ends the first row does not count for the second
  expect(pixels8([0x04, 0x04], 4, 2)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  // foreground; set and used again; over the row above it inverts
  expect(pixels8([0x22, 0xc2, 5, 0x24], 4, 2)).toEqual([255, 255, 5, 5, 250, 250, 0, 0]);
  expect(pixels8([0xf1, 4, 0], 4, 1)).toEqual([255, 255, 255, 255]);
  // masks, in their short, long and longest form
  expect(pixels8([0x41, 0b1010_0110], 8, 1)).toEqual([0, 255, 255, 0, 0, 255, 0, 255]);
  expect(pixels8([0x40, 3, 0b0000_0101], 4, 1)).toEqual([255, 0, 255, 0]);
  expect(pixels8([0xd1, 9, 0b1111_0000], 8, 1)).toEqual([0, 0, 0, 0, 9, 9, 9, 9]);
  expect(pixels8([0xf7, 4, 0, 9, 0b1001], 4, 1)).toEqual([9, 0, 0, 9]);
  expect(pixels8([0xf9, 0xfa], 8, 2)).toEqual([255, 255, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 0]);
  // pixels as they are, two in turn, one white and one black
  expect(pixels8([0x84, 1, 2, 3, 4], 4, 1)).toEqual([1, 2, 3, 4]);
  expect(pixels8([0xe2, 1, 2], 4, 1)).toEqual([1, 2, 1, 2]);
  expect(pixels8([0xfd, 0xfe, 0xfd, 0xfe], 4, 1)).toEqual([255, 0, 255, 0]);
  // lengths that need a second byte
  expect(pixels8([0x60, 8, 3], 40, 1)).toEqual(Array.from({ length: 40 }, () => 3));
  expect(pixels8([0xc0, 4, 3], 20, 1)).toEqual(Array.from({ length: 20 }, () => 3));
});

test('orders that mean nothing, that are cut or that do not fill the bitmap are refused', () => {
  for (const byte of [0xa0, 0xbf, 0xf5, 0xfb, 0xfc, 0xff])
    expect(pixels8([byte, 1, 1, 1, 1, 1, 1, 1, 1], 8, 1)).toBeTypeOf('string');
  for (const orders of [
    [],
    [0x60],
    [0x63],
    [0xf3, 4],
    [0xe2, 1],
    [0x84, 1, 2, 3],
    [0x41],
    [0x03],
    [0x05],
    [0x04, 0xfe],
  ])
    expect(pixels8(orders, 4, 1)).toBeTypeOf('string');
});

test('planes are read as MS-RDPEGDI says', () => {
  const out = new Uint8Array(3 * 6);
  // raw, with a plane for alpha and a byte of padding; red, green, blue
  const raw = [0x00, 9, 9, 9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 0];
  expect(decodePlanar(Uint8Array.from(raw), 3, 2, out)).toBeUndefined();
  expect([...out]).toEqual(Array.from({ length: 18 }, (_, index) => index + 1));
  // runs: a row of its own values, then differences, each plus or minus
  const plane = [0x12, 0x13, 7, 0x30, 3, 4, 5];
  expect(decodePlanar(Uint8Array.from([0x30, ...plane, ...plane, ...plane]), 3, 2, out)).toHaveProperty('violation');
  const right = [0x30, 1, 2, 3, 0x12, 4, 0x00];
  expect(decodePlanar(Uint8Array.from([0x30, ...right, ...right, ...right]), 3, 2, out)).toHaveProperty('violation');
  const good = [0x30, 1, 2, 3, 0x20, 3, 4, 0x10, 255];
  expect(decodePlanar(Uint8Array.from([0x30, ...good, ...good, ...good]), 3, 2, out)).toBeUndefined();
  expect([...out.subarray(0, 6)]).toEqual([1, 2, 3, 255, 4, 131]);
  // long runs: sixteen or thirty-two more than the number beside
  const runs = [0x12, 0x32, 0xf1];
  const long = Uint8Array.from([0x30, ...runs, ...runs, ...runs]);
  expect(decodePlanar(long, 33 + 35 + 31, 1, new Uint8Array(300))).toBeUndefined();
  expect(decodePlanar(long, 33 + 35 + 30, 1, new Uint8Array(300))).toHaveProperty('violation');
});

test('colour loss, unknown bits and bytes left over are refused', () => {
  const out = new Uint8Array(3);
  for (const header of [0x21, 0x28, 0x60, 0xa0]) {
    expect(decodePlanar(Uint8Array.from([header, 1, 2, 3]), 1, 1, out)).toHaveProperty('violation');
  }
  expect(decodePlanar(Uint8Array.from([0x20, 1, 2, 3]), 1, 1, out)).toBeUndefined();
  expect(decodePlanar(Uint8Array.from([0x20, 1, 2, 3, 0, 0]), 1, 1, out)).toHaveProperty('violation');
  expect(decodePlanar(Uint8Array.from([0x30, 0x10, 1, 0x10, 2, 0x10, 3, 0]), 1, 1, out)).toHaveProperty('violation');
  expect(decodePlanar(new Uint8Array(), 1, 1, out)).toHaveProperty('violation');
});

/** Bits of a compressed message, padded to bytes. */
function bits(...parts: readonly string[]): Uint8Array {
  const all = parts.join('');
  const padded = all.padEnd(8 * Math.ceil(all.length / 8), '0');
  return Uint8Array.from({ length: padded.length / 8 }, (_, at) =>
    Number.parseInt(padded.slice(8 * at, 8 * at + 8), 2),
  );
}

const letters = (words: string): string =>
  Array.from(utf8(words), (byte) => byte.toString(2).padStart(8, '0')).join('');

test('the example of RFC 2118 is opened: letters, and matches by how far back and how long', () => {
  const message = bits(
    letters('for.whom.the.bell.tolls,'),
    // 16 back for 15, 40 back for 4, 19 back for 3
    `1111${'010000'}${'110111'}`,
    letters('.'),
    `1111${'101000'}${'1000'}`,
    `1111${'010011'}${'0'}`,
    letters('e!'),
  );
  const opened = openBulk().open(0x20, message);
  expect(isViolation(opened) ? opened : text(opened)).toBe('for.whom.the.bell.tolls,.the.bell.tolls.for.thee!');
});

test('a history goes on from message to message, begins anew at its front, and is forgotten when flushed', () => {
  const bulk = openBulk();
  const again = bits(`11111${'000011'}0`);
  expect(bulk.open(0x21, bits(letters('abc')))).toEqual(new Uint8Array([97, 98, 99]));
  expect(bulk.open(0x21, again)).toEqual(new Uint8Array([97, 98, 99]));
  // what is not compressed passes by
  expect(bulk.open(0x01, again)).toBe(again);
  expect(bulk.open(0x21, again)).toEqual(new Uint8Array([97, 98, 99]));
  expect(bulk.open(0x61, bits(letters('xyz'), `11111${'000011'}0`))).toEqual(new Uint8Array(Buffer.from('xyzxyz')));
  expect(bulk.open(0xa1, again)).toEqual(new Uint8Array(3));
});

test('matches out of the history, impossible lengths and younger ways of compression are refused, until a flush', () => {
  for (const message of [
    bits(`11111${'000000'}0`),
    bits(`110${'1'.repeat(16)}0`),
    bits(`11111${'000001'}${'1'.repeat(15)}`),
  ])
    expect(openBulk().open(0x21, message)).toHaveProperty('violation');
  expect(openBulk().open(0x22, bits(letters('a')))).toHaveProperty('violation');
  const bulk = openBulk();
  expect(bulk.open(0x21, bits(letters('a'), `11111${'000001'}1111111111111`))).toHaveProperty('violation');
  expect(bulk.open(0x21, bits(letters('a')))).toHaveProperty('violation');
  expect(bulk.open(0xa1, bits(letters('a')))).toEqual(new Uint8Array([97]));
});

test('any bytes are decoded or refused, and nothing is written past the bitmap', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom(8 as const, 15 as const, 16 as const, 24 as const),
      (bytes, width, height, depth) => {
        const out = new Uint32Array(width * height + 100).fill(0xabcdef01);
        decodeInterleaved(bytes, width, height, depth, out);
        expect(out.subarray(width * height).every((pixel) => pixel === 0xabcdef01)).toBe(true);
        const planes = new Uint8Array(3 * width * height + 100).fill(0xab);
        decodePlanar(bytes, width, height, planes);
        expect(planes.subarray(3 * width * height).every((byte) => byte === 0xab)).toBe(true);
      },
    ),
    { numRuns: 5000 },
  );
});
