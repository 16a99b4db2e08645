/** Updates out of what a server sends, and the screen that they make. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat } from '../../../../src/base/bytes.ts';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { openBulk } from '../../../../src/protocol/rdp/bitmap/bulk.ts';
import { openScreen, type Screen } from '../../../../src/protocol/rdp/bitmap/screen.ts';
import { openFastPath, slowPathUpdate, updateCode } from '../../../../src/protocol/rdp/bitmap/update.ts';
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';
import { bitmapUpdate, paletteUpdate, screenOf } from './judged.ts';

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);

/** A fast-path PDU of these updates: header, flags of compression if any, data. */
function pdu(
  ...updates: readonly (readonly [head: number, flags: number | undefined, data: Uint8Array])[]
): Uint8Array {
  const body = new LittleWriter();
  for (const [head, flags, data] of updates) {
    body.u8(flags === undefined ? head : head | 0x80);
    if (flags !== undefined) body.u8(flags);
    body.u16(data.length).raw(data);
  }
  const inner = body.finish();
  const length = inner.length + 3;
  return concat([bytes(0, 0x80 | (length >> 8), length & 0xff), inner]);
}

const pixel = (screen: Screen, x: number, y: number): number[] => [
  ...screen.pixels.subarray(4 * (y * screen.width + x), 4 * (y * screen.width + x) + 4),
];

test('fragments become one update, whole ones stand by themselves, and each is decompressed', () => {
  const path = openFastPath(openBulk());
  expect(path.read(pdu([0x01, undefined, bytes(1, 2)], [0x05, undefined, bytes()]))).toEqual([
    { code: 1, payload: bytes(1, 2) },
    { code: 5, payload: bytes() },
  ]);
  expect(path.read(pdu([0x21, undefined, bytes(1)]))).toEqual([]);
  expect(path.read(pdu([0x31, 0x20, bytes(2, 3)]))).toEqual([]);
  expect(path.read(pdu([0x11, undefined, bytes(4)]))).toEqual([{ code: 1, payload: bytes(1, 2, 3, 4) }]);
  // one byte of length where it fits
  expect(path.read(bytes(0, 5, 0x05, 0, 0))).toEqual([{ code: 5, payload: bytes() }]);
});

test('a fragment is kept although the buffer it came in is used again', () => {
  const path = openFastPath(openBulk());
  const first = pdu([0x21, undefined, bytes(7)]);
  path.read(first);
  first.fill(0);
  expect(path.read(pdu([0x11, undefined, bytes(8)]))).toEqual([{ code: 1, payload: bytes(7, 8) }]);
});

test('fragments out of order, updates without end and encrypted output are refused', () => {
  const refused = (...pdus: readonly Uint8Array[]): boolean => {
    const path = openFastPath(openBulk());
    return isViolation(pdus.map((each) => path.read(each)).at(-1));
  };
  const piece = bytes(1);
  expect(refused(pdu([0x11, undefined, piece]))).toBe(true);
  expect(refused(pdu([0x31, undefined, piece]))).toBe(true);
  expect(refused(pdu([0x21, undefined, piece]), pdu([0x21, undefined, piece]))).toBe(true);
  expect(refused(pdu([0x21, undefined, piece]), pdu([0x01, undefined, piece]))).toBe(true);
  expect(refused(pdu([0x21, undefined, piece]), pdu([0x19, undefined, piece]))).toBe(true);
  expect(refused(bytes(0x80, 5, 5, 0, 0))).toBe(true);
  expect(refused(bytes(3, 5, 5, 0, 0))).toBe(true);
  expect(refused(bytes(0, 6, 5, 0, 0))).toBe(true);
  expect(refused(bytes(0, 5, 5, 1, 0))).toBe(true);
  const large = pdu([0x31, undefined, new Uint8Array(32_000)]);
  const path = openFastPath(openBulk());
  path.read(pdu([0x21, undefined, piece]));
  let read = path.read(large);
  for (let n = 0; n < 1000 && !isViolation(read); n++) read = path.read(large);
  expect(read).toEqual({ violation: 'update is too long' });
});

test('the slow path says the same as the fast one', () => {
  const bitmap = bitmapUpdate();
  expect(slowPathUpdate(0x02, bitmap)).toEqual({ code: updateCode.bitmap, payload: bitmap });
  expect(slowPathUpdate(0x02, bytes(3, 0, 0, 0))).toEqual({ code: updateCode.synchronize, payload: bytes(0, 0) });
  expect(slowPathUpdate(0x02, bytes(4, 0))).toHaveProperty('violation');
  expect(slowPathUpdate(0x02, bytes(1))).toHaveProperty('violation');
  expect(slowPathUpdate(0x1b, bytes(3, 0, 0, 0, 5, 0, 6, 0))).toEqual({ code: 8, payload: bytes(5, 0, 6, 0) });
  expect(slowPathUpdate(0x1b, bytes(1, 0, 0, 0, 0, 0, 0, 0))).toEqual({ code: 5, payload: bytes() });
  expect(slowPathUpdate(0x1b, bytes(1, 0, 0, 0, 0, 0x7f, 0, 0))).toEqual({ code: 6, payload: bytes() });
  expect(slowPathUpdate(0x1b, bytes(7, 0, 0, 0, 2, 0))).toEqual({ code: 10, payload: bytes(2, 0) });
  expect(slowPathUpdate(0x1b, bytes(2, 0, 0, 0))).toHaveProperty('violation');
  expect(slowPathUpdate(0x26, bytes(1, 2, 3))).toBeUndefined();
});

test('a bitmap stands on its head and is wider than its place: it is turned over, and clipped to place and screen', () => {
  const screen = screenOf(6, 5);
  // four columns of which two count, the bottom row first
  const data = bytes(1, 2, 9, 9, 3, 4, 9, 9);
  const payload = bitmapUpdate({
    left: 5,
    top: 4,
    right: 6,
    bottom: 5,
    width: 4,
    height: 2,
    depth: 8,
    data,
    compressed: false,
  });
  expect(screen.apply({ code: 1, payload })).toEqual([{ left: 5, top: 4, width: 1, height: 1 }]);
  expect(pixel(screen, 5, 4)).toEqual([3, 3, 3, 255]);
  expect(pixel(screen, 4, 4)).toEqual([0, 0, 0, 255]);
  const outside = bitmapUpdate({ left: 6, top: 0, width: 4, height: 2, depth: 8, data, compressed: false });
  expect(screen.apply({ code: 1, payload: outside })).toEqual([]);
});

test.each([
  [8, [0x80, 0, 0, 0], [0x80, 0x80, 0x80]],
  [15, [0x1f, 0x7c, 0, 0], [255, 0, 255]],
  [16, [0xe0, 0x07, 0, 0], [0, 255, 0]],
  [24, [1, 2, 3, 0], [3, 2, 1]],
  [32, [1, 2, 3, 4], [3, 2, 1]],
])(
  'a bitmap of %i bits that is not compressed has its colours, and its rows padded to four bytes',
  (depth, row, color) => {
    const screen = screenOf(1, 2);
    const data = bytes(0, 0, 0, 0, ...row);
    const drawn = screen.apply({
      code: 1,
      payload: bitmapUpdate({ width: 1, height: 2, depth, data, compressed: false }),
    });
    expect(drawn).toEqual([{ left: 0, top: 0, width: 1, height: 2 }]);
    expect(pixel(screen, 0, 0)).toEqual([...color, 255]);
    const short = bitmapUpdate({ width: 1, height: 2, depth, data: data.subarray(0, 7), compressed: false });
    expect(screen.apply({ code: 1, payload: short })).toHaveProperty('violation');
  },
);

test('the header of eight bytes before a compressed bitmap is read over, if there is one', () => {
  const screen = screenOf(4, 1);
  const out = new LittleWriter().u16(1).u16(1).u16(0).u16(0).u16(3).u16(0).u16(4).u16(1).u16(8).u16(1);
  const payload = out.u16(10).zeros(8).u8(0x64).u8(7).finish();
  expect(screen.apply({ code: 1, payload })).toHaveLength(1);
  expect(pixel(screen, 3, 0)).toEqual([7, 7, 7, 255]);
});

test('what is wrong in one rectangle is told, and does not keep the others from being drawn', () => {
  const screen = screenOf(8, 1);
  const row = { width: 4, height: 1, depth: 8 };
  const payload = bitmapUpdate({ ...row, data: bytes(0x63, 7) }, { ...row, left: 4, data: bytes(0x64, 7) });
  expect(screen.apply({ code: 1, payload })).toHaveProperty('violation');
  expect(pixel(screen, 0, 0)).toEqual([0, 0, 0, 255]);
  expect(pixel(screen, 4, 0)).toEqual([7, 7, 7, 255]);
});

test('a palette colours what is drawn from then on', () => {
  const screen = screenOf(4, 1);
  const colors = new Uint8Array(768);
  colors.set([10, 20, 30], 3 * 7);
  expect(screen.apply({ code: 2, payload: paletteUpdate(colors) })).toEqual([]);
  screen.apply({ code: 1, payload: bitmapUpdate({ width: 4, height: 1, depth: 8, data: bytes(0x64, 7) }) });
  expect(pixel(screen, 2, 0)).toEqual([10, 20, 30, 255]);
  expect(screen.apply({ code: 2, payload: paletteUpdate(colors.subarray(1)) })).toHaveProperty('violation');
});

test('a resized screen is black, and sizes that no desktop has are refused', () => {
  const screen = screenOf(4, 1);
  screen.apply({ code: 1, payload: bitmapUpdate({ width: 4, height: 1, depth: 8, data: bytes(0x64, 7) }) });
  expect(screen.resize(2, 2)).toBeUndefined();
  expect([screen.width, screen.height, pixel(screen, 0, 0)]).toEqual([2, 2, [0, 0, 0, 255]]);
  for (const [width, height] of [
    [0, 1],
    [1, -1],
    [8193, 1],
    [8192, 8192],
    [1.5, 2],
    [Number.NaN, 2],
  ] as const)
    expect(openScreen(width, height)).toHaveProperty('violation');
});

test('rectangles and pictures that ask for too much are refused before anything is drawn', () => {
  const screen = screenOf(4, 1);
  const row = { width: 4, height: 1, depth: 8, data: bytes(0x64, 7) };
  const wrong = [
    { ...row, depth: 12 },
    { ...row, width: 0, right: 3 },
    { ...row, width: 8193, right: 3 },
    { ...row, left: 3, right: 2 },
    { ...row, top: 3, bottom: 2 },
  ];
  for (const each of wrong) expect(screen.apply({ code: 1, payload: bitmapUpdate(each) })).toHaveProperty('violation');
  const huge = { ...row, width: 8000, height: 8000 };
  expect(screen.apply({ code: 1, payload: bitmapUpdate(huge, huge) })).toEqual({
    violation: 'update has too many pixels',
  });
  expect(screen.apply({ code: 0, payload: bytes() })).toHaveProperty('violation');
});

/** A pointer update of one white pixel, two rows high, that points with its lower row. */
const whitePointer = (index: number): Uint8Array => {
  const out = new LittleWriter().u16(24).u16(index).u16(0).u16(1).u16(1).u16(2).u16(4).u16(8);
  return out
    .raw(bytes(255, 255, 255, 0, 255, 255, 255, 0))
    .raw(bytes(0, 0, 0, 0))
    .finish();
};

test('the pointer is drawn where it points, over the picture and not into it; none, cached and default ones too', () => {
  const screen = screenOf(20, 20);
  const white = (): number => new Uint32Array(screen.withPointer().buffer).filter((each) => each === 0xffffffff).length;
  screen.apply({ code: updateCode.pointerNew, payload: whitePointer(3) });
  screen.apply({ code: updateCode.pointerPosition, payload: bytes(5, 0, 7, 0) });
  const shown = new Uint32Array(screen.withPointer().buffer);
  expect([shown[7 * 20 + 5], shown[6 * 20 + 5], shown[8 * 20 + 5]]).toEqual([0xffffffff, 0xffffffff, 0xff000000]);
  expect(white()).toBe(2);
  expect(pixel(screen, 5, 7)).toEqual([0, 0, 0, 255]);
  screen.apply({ code: updateCode.pointerNone, payload: bytes() });
  expect(white()).toBe(0);
  screen.apply({ code: updateCode.pointerDefault, payload: bytes() });
  expect(white()).toBeGreaterThan(10);
  expect(screen.apply({ code: updateCode.pointerCached, payload: bytes(3, 0) })).toEqual([]);
  expect(white()).toBe(2);
  screen.pointTo(0, 0);
  expect(white()).toBe(1);
  screen.pointTo(100, 100);
  expect(white()).toBe(0);
  expect(screen.apply({ code: updateCode.pointerCached, payload: bytes(4, 0) })).toHaveProperty('violation');
});

test('pointers that are too large, too many or cut off are refused', () => {
  const screen = screenOf(4, 4);
  const whole = whitePointer(1);
  for (let length = 0; length < whole.length; length++)
    expect(screen.apply({ code: updateCode.pointerNew, payload: whole.subarray(0, length) })).toHaveProperty(
      'violation',
    );
  expect(screen.apply({ code: updateCode.pointerNew, payload: whitePointer(1024) })).toHaveProperty('violation');
  const large = (index: number, side: number): Uint8Array => {
    const out = new LittleWriter().u16(1).u16(index).u16(0).u16(0).u16(side).u16(side);
    const row = 2 * Math.ceil(side / 16);
    return out
      .u32(row * side)
      .u32(row * side)
      .zeros(2 * row * side)
      .finish();
  };
  expect(screen.apply({ code: updateCode.pointerLarge, payload: large(0, 385) })).toHaveProperty('violation');
  const many = Array.from({ length: 60 }, (_, index) => screen.apply({ code: 12, payload: large(index, 384) }));
  expect(many[0]).toEqual([]);
  expect(many.at(-1)).toEqual({ violation: 'too many large pointers' });
});

test('any bytes are updates or violations, and any update is drawn or refused', () => {
  const path = openFastPath(openBulk());
  const screen = screenOf(30, 20);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(15), fc.nat(255), (random, code, flags) => {
      path.read(random);
      const framed = path.read(pdu([code | 0x30, flags, random], [code, undefined, random]));
      if (!isViolation(framed)) for (const update of framed) screen.apply(update);
      screen.apply({ code, payload: random });
      screen.apply({ code: 1, payload: concat([bytes(1, 0, 2, 0), random]) });
      slowPathUpdate(flags, random);
      expect(screen.pixels).toHaveLength(4 * 30 * 20);
    }),
    { numRuns: 5000 },
  );
});
