/** Decoders of the format: hostile bytes give a violation, never an exception, and bounds hold. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import { readEvents, writeEvent } from '../../../src/recording/format/codec.ts';
import {
  decodeHead,
  decodeHeader,
  decodePreamble,
  decodeSeal,
  encodeHead,
  isViolation,
} from '../../../src/recording/format/container.ts';
import { readFields, writeFields } from '../../../src/recording/format/fields.ts';
import { maxBody, maxPlain, maxStored } from '../../../src/recording/format/limits.ts';

test('arbitrary bytes are parts or violations', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const decode of [decodePreamble, decodeHeader, decodeHead, decodeSeal]) decode(bytes);
      const events = readEvents(bytes, 0);
      if (!isViolation(events)) for (const { at } of events) expect(Number.isSafeInteger(at)).toBe(true);
    }),
    { numRuns: 5000 },
  );
});

test('an event that is cut off anywhere is a violation', () => {
  const out = writeFields(8);
  writeEvent(out, 5, 7, {
    kind: 'file',
    action: 'rename',
    direction: 'up',
    path: '/a',
    to: '/b',
    size: 300,
    mode: 0o600,
    sha256: 'ab'.repeat(32),
    remark: 'x',
  });
  const bytes = out.view();
  expect(isViolation(readEvents(bytes, 0))).toBe(false);
  for (let length = 1; length < bytes.length; length++)
    expect(isViolation(readEvents(bytes.subarray(0, length), 0))).toBe(true);
});

test('a body longer than its bound is refused, and never written', () => {
  const out = writeFields()
    .u8(0x10)
    .count(0)
    .count(1)
    .count(maxBody + 1);
  expect(readEvents(out.view(), 0)).toMatchObject({ violation: expect.stringContaining('at most') as string });
  const long = writeFields();
  writeEvent(long, 0, 1, { kind: 'note', text: 'ž'.repeat(maxBody) });
  expect(readEvents(long.view(), 0)).toHaveLength(1);
});

test('counts have one spelling, and the largest is 2^53-1', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const fields = readFields(writeFields(1).count(value).view());
      expect(fields.count()).toBe(value);
      expect(fields.violation).toBeUndefined();
    }),
  );
  for (const bytes of [
    [0x80, 0x00],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    [0x80],
    Array.from({ length: 9 }, () => 0x80),
  ]) {
    const fields = readFields(new Uint8Array(bytes));
    fields.count();
    expect(fields.violation).toBeDefined();
  }
});

test('a head with lengths out of bounds is refused', () => {
  const head = {
    part: 'block',
    number: 1,
    fresh: true,
    end: false,
    plain: 10,
    stored: 40,
    events: 1,
    from: 0,
    until: 5,
  } as const;
  expect(decodeHead(encodeHead(head))).toEqual(head);
  for (const wrong of [{ plain: maxPlain + 1 }, { stored: maxStored + 1 }, { stored: 3 }, { events: 11 }, { from: 6 }])
    expect(decodeHead(encodeHead({ ...head, ...wrong }))).toHaveProperty('violation');
});

test('a writer keeps what was written when it grows and when it gives away', () => {
  const out = writeFields(1);
  for (let n = 0; n < 1000; n++) out.u32(n);
  const given = out.give();
  out.text('next', 100);
  const fields = readFields(given);
  for (let n = 0; n < 1000; n++) expect(fields.u32()).toBe(n);
  expect(out.view()).toEqual(new Uint8Array([4, ...utf8('next')]));
});
