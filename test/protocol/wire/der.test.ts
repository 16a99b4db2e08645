import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex, hex } from '../../../src/base/bytes.ts';
import { DerReader, der, derInteger, derLength, tag } from '../../../src/protocol/wire/der.ts';

test('an element of any length is read back as it was written', () => {
  for (const length of [0, 1, 127, 128, 255, 256, 65535, 65536]) {
    const written = der(tag.octets, new Uint8Array(length).fill(7));
    expect(derLength(written)).toBe(written.length);
    expect(new DerReader(written).content(tag.octets).length).toBe(length);
  }
});

test('integers are written in their shortest form and read with their sign', () => {
  expect(hex(derInteger(0))).toBe('020100');
  expect(hex(derInteger(127))).toBe('02017f');
  expect(hex(derInteger(128))).toBe('02020080');
  expect(hex(derInteger(3390))).toBe('02020d3e');
  expect(new DerReader(fromHex('0204c000006d') ?? new Uint8Array()).integer() >>> 0).toBe(0xc000006d);
});

test('a wrong tag, an indefinite length and an element that runs past the end are violations that stay', () => {
  for (const bytes of ['0401ff', '308000', '30857f0000000000', '300502', '3084ffffffff00']) {
    const reader = new DerReader(fromHex(bytes) ?? new Uint8Array());
    expect(reader.content(tag.sequence)).toHaveLength(0);
    expect(reader.violation, bytes).toBeDefined();
    expect(reader.content(tag.octets)).toHaveLength(0);
  }
});

test('no bytes make the reader throw or read past the end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const outer = new DerReader(bytes);
      const inner = outer.into(bytes[0] ?? 0);
      while (inner.next !== undefined) inner.content(inner.next);
      expect(inner.remaining).toBeLessThanOrEqual(bytes.length);
    }),
  );
});
