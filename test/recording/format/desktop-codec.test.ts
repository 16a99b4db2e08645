/** Events of a desktop: each is what it was, every cut is found, bounds hold, and other kinds pass as they are. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readEvents, writeEvent } from '../../../src/recording/format/codec.ts';
import { isViolation } from '../../../src/recording/format/container.ts';
import type { EventDetail } from '../../../src/recording/format/events.ts';
import { writeFields } from '../../../src/recording/format/fields.ts';
import { maxBody, maxClipboard, maxClipboardItems } from '../../../src/recording/format/limits.ts';
import { desktopDetails } from '../desktop-details.ts';

function written(detail: EventDetail): Uint8Array {
  const out = writeFields();
  writeEvent(out, 5, 7, detail);
  return out.view();
}

function readBack(detail: EventDetail): EventDetail | undefined {
  const events = readEvents(written(detail), 0);
  return isViolation(events) ? undefined : events[0]?.detail;
}

test('an event of a desktop is read as it was written, and never when it was cut', () => {
  fc.assert(
    fc.property(desktopDetails, (detail) => {
      expect(readBack(detail)).toEqual(detail);
      const bytes = written(detail);
      for (let length = 1; length < bytes.length; length++)
        expect(isViolation(readEvents(bytes.subarray(0, length), 0))).toBe(true);
    }),
  );
});

test('any body of any kind is an event or a violation', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0x80, max: 0xff }), fc.uint8Array({ maxLength: 60 }), (kind, body) => {
      const events = readEvents(writeFields().u8(kind).count(0).count(1).bytes(body, maxBody).view(), 0);
      if (!isViolation(events)) expect(events).toHaveLength(1);
    }),
    { numRuns: 5000 },
  );
});

test('a kind that nobody knows yet passes as it is', () => {
  const detail = { kind: 'unknown', code: 0xbf, bytes: new Uint8Array([1, 2, 3]) } as const;
  expect(readBack(detail)).toEqual(detail);
});

test('what does not fit into the clipboard of an event is cut where a character ends', () => {
  const base = { kind: 'clipboard', direction: 'up', content: 'text', size: 1, allowed: true } as const;
  const long = readBack({ ...base, items: ['ž'.repeat(maxClipboard)] });
  expect(long).toMatchObject({ items: ['ž'.repeat(maxClipboard / 2)] });
  const many = readBack({ ...base, content: 'files', items: Array.from({ length: 1000 }, (_, index) => `${index}`) });
  expect(many).toHaveProperty('items.length', maxClipboardItems);
  const large = readBack({ ...base, content: 'files', items: ['a'.repeat(maxClipboard - 1), 'bcd', 'e'] });
  expect(large).toHaveProperty('items', ['a'.repeat(maxClipboard - 1), 'b']);
});

test('flags that mean nothing are refused', () => {
  const bodies: readonly [number, readonly number[]][] = [
    [0x81, [1, 2]],
    [0x88, [2, 0, 1]],
    [0x88, [0, 6, 1]],
    [0x8a, [2, 0, 0, 1, 1]],
    [0x91, [0, 3, 1, 0]],
    [0x98, [0, 2, 0, 0]],
  ];
  for (const [kind, body] of bodies) {
    const bytes = writeFields().u8(kind).count(0).count(1).bytes(Uint8Array.from(body), 100).view();
    expect(readEvents(bytes, 0)).toHaveProperty('violation');
  }
});
