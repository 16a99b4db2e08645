import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LittleReader } from '../../../src/protocol/wire/little-reader.ts';
import { LittleWriter } from '../../../src/protocol/wire/little-writer.ts';

test('every field is read back as it was written', () => {
  fc.assert(
    fc.property(
      fc.nat(0xff),
      fc.nat(0xffff),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.string(),
      (a, b, c, d, text) => {
        const bytes = new LittleWriter(1).u8(a).u16(b).u16be(b).u32(c).u64(d).utf16(text).zeros(2).finish();
        const reader = new LittleReader(bytes);
        expect([reader.u8(), reader.u16(), reader.u16be(), reader.u32(), reader.u64()]).toEqual([a, b, b, c, d]);
        expect(reader.utf16(2 * text.length)).toBe(text);
        expect([...reader.rest()]).toEqual([0, 0]);
        expect(reader.violation).toBeUndefined();
      },
    ),
  );
});

test('a field past the end is a violation that stays, and everything after it is zero', () => {
  const reader = new LittleReader(Uint8Array.of(1, 2, 3));
  expect(reader.u32()).toBe(0);
  expect(reader.violation).toBe('field runs past the end');
  expect([reader.u8(), reader.u16(), reader.u64(), reader.utf16(2), reader.remaining]).toEqual([0, 0, 0n, '', 0]);
});

test('a number that does not fit its field is a bug of the caller', () => {
  expect(() => new LittleWriter().u16(65536)).toThrow(RangeError);
  expect(() => new LittleWriter().u8(-1)).toThrow(RangeError);
  expect(() => new LittleWriter().u64(2n ** 64n)).toThrow(RangeError);
});
