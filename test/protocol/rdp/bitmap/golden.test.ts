/**
 * What FreeRDP's library made of bitmaps, pointers and compressed messages, kept in a file: ours must be the same to the
 * last pixel. test/peers/freerdp/judge.py made it; an end-to-end test asks the library itself.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { openBulk } from '../../../../src/protocol/rdp/bitmap/bulk.ts';
import { updateCode } from '../../../../src/protocol/rdp/bitmap/update.ts';
import { bitmapUpdate, difference, type JudgedCase, screenOf, unpacked } from './judged.ts';

const file = join(import.meta.dirname, '..', '..', '..', 'vectors', 'rdp', 'freerdp.jsonl');
const cases = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as JudgedCase);
const bitmaps = cases.filter((each) => each.kind === 'bitmap');

test('the file has every depth, pointers and messages', () => {
  expect(new Set(bitmaps.map(({ depth }) => depth))).toEqual(new Set([8, 15, 16, 24, 32]));
  expect(new Set(cases.map(({ kind }) => kind))).toEqual(new Set(['bitmap', 'pointer', 'bulk']));
});

test('every case is decoded to what FreeRDP decoded it to', () => {
  expect(cases.map((each, line) => [line + 1, difference(each)]).filter(([, words]) => words !== undefined)).toEqual(
    [],
  );
});

test('a bitmap that is cut off anywhere is a violation', () => {
  for (const { width, height, depth, data } of bitmaps) {
    const whole = unpacked(data);
    const screen = screenOf(width, height);
    // planes as they are may or may not have a byte of padding behind them
    const padded = depth === 32 && ((whole[0] ?? 0) & 0x10) === 0 ? 1 : 0;
    for (let length = 0; length < whole.length - padded; length++) {
      const payload = bitmapUpdate({ width, height, depth, data: whole.subarray(0, length) });
      if (!isViolation(screen.apply({ code: updateCode.bitmap, payload })))
        expect.unreachable(`${width}x${height} at ${depth} bits, ${length} of ${whole.length} bytes`);
    }
  }
});

test('a bitmap that was changed anywhere is drawn or refused, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.constantFrom(...bitmaps), fc.array(fc.tuple(fc.nat(3000), fc.nat(255))), (each, changes) => {
      const data = unpacked(each.data);
      for (const [at, byte] of changes) data[at % data.length] = byte;
      const screen = screenOf(each.width, each.height);
      const payload = bitmapUpdate({ ...each, data });
      const drawn = screen.apply({ code: updateCode.bitmap, payload });
      if (!isViolation(drawn)) expect(drawn).toHaveLength(1);
    }),
    { numRuns: 2000 },
  );
});

test('a compressed message that was changed or cut is opened or refused, within its history', () => {
  const messages = cases.filter((each) => each.kind === 'bulk').flatMap((each) => each.messages);
  fc.assert(
    fc.property(fc.constantFrom(...messages), fc.nat(), fc.nat(255), fc.nat(), (each, at, byte, cut) => {
      const data = unpacked(each.data);
      data[at % data.length] = byte;
      const opened = openBulk().open(each.flags, data.subarray(0, data.length - (cut % data.length)));
      if (!isViolation(opened)) expect(opened.length).toBeLessThanOrEqual(65536);
    }),
    { numRuns: 2000 },
  );
});
