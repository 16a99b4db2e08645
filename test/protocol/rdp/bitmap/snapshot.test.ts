/** Key frames: a screen goes on from its snapshot as if it had never stopped, and no bytes make an impossible one. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { readSnapshot, writeSnapshot } from '../../../../src/protocol/rdp/bitmap/snapshot.ts';
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';
import type { Screen } from '../../../../src/protocol/rdp/bitmap/screen.ts';
import { bitmapUpdate, paletteUpdate, screenOf } from './judged.ts';

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
const pointer = (index: number): Uint8Array =>
  new LittleWriter()
    .u16(24)
    .u16(index)
    .u16(1)
    .u16(0)
    .u16(2)
    .u16(1)
    .u16(2)
    .u16(6)
    .raw(bytes(9, 8, 7, 6, 5, 4, 0, 0))
    .finish();

function drawn(): Screen {
  const screen = screenOf(8, 4);
  const colors = Uint8Array.from({ length: 768 }, (_, at) => at % 256);
  screen.apply({ code: 2, payload: paletteUpdate(colors) });
  screen.apply({ code: 1, payload: bitmapUpdate({ width: 8, height: 1, depth: 8, data: bytes(0x68, 7) }) });
  for (const index of [3, 5]) screen.apply({ code: 11, payload: pointer(index) });
  screen.pointTo(4, 2);
  return screen;
}

function back(screen: Screen): Screen {
  const read = readSnapshot(writeSnapshot(screen));
  if (isViolation(read)) throw new Error(read.violation);
  return read;
}

test('a screen goes on from its snapshot: picture, palette, pointers and where the mouse is', () => {
  const screen = drawn();
  const other = back(screen);
  const same = (): void => expect(other.withPointer()).toEqual(screen.withPointer());
  same();
  for (const each of [screen, other]) {
    each.apply({ code: 1, payload: bitmapUpdate({ top: 2, width: 8, height: 1, depth: 8, data: bytes(0x68, 9) }) });
    expect(each.apply({ code: 10, payload: bytes(3, 0) })).toEqual([]);
  }
  same();
  for (const code of [5, 6]) {
    screen.apply({ code, payload: bytes() });
    expect(back(screen).withPointer()).toEqual(screen.withPointer());
  }
});

test('a snapshot has its own memory', () => {
  const screen = drawn();
  const other = back(screen);
  const before = other.withPointer();
  screen.resize(2, 2);
  screen.pixels.fill(1);
  expect(other.withPointer()).toEqual(before);
});

test('a snapshot that was cut or changed is a screen or a violation', () => {
  const whole = writeSnapshot(drawn());
  for (let length = 0; length < whole.length; length++)
    expect(readSnapshot(whole.subarray(0, length))).toHaveProperty('violation');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (changes) => {
        const changed = whole.slice();
        for (const [at, byte] of changes) changed[at] = byte;
        const read = readSnapshot(changed);
        if (!isViolation(read)) expect(read.withPointer()).toHaveLength(4 * read.width * read.height);
      },
    ),
  );
});
