/** Keys of a desktop: what is kept of them where they are masked, and what a person reads in them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DesktopDetail, KeyEvent } from '../../../src/recording/format/desktop-events.ts';
import { readKeyboard } from '../../../src/recording/format/keyboard.ts';
import { guardKeys } from '../../../src/recording/format/keys.ts';
import { made } from '../made.ts';

const key = (code: number, down = true, extended: 0 | 1 | 2 = 0): KeyEvent => {
  return { kind: 'rdp-key', input: 'scancode', code, down, extended };
};
const unicode = (letter: string): KeyEvent => {
  return { kind: 'rdp-key', input: 'unicode', code: letter.charCodeAt(0), down: true, extended: 0 };
};
/** Down and up again. */
const stroke = (code: number, extended: 0 | 1 = 0): KeyEvent[] => [
  key(code, true, extended),
  key(code, false, extended),
];

const [control, shift, alt, enter, a, c] = [0x1d, 0x2a, 0x38, 0x1c, 0x1e, 0x2e];

function guarded(keys: readonly KeyEvent[]): readonly DesktopDetail[] {
  const guard = guardKeys();
  return [...keys.flatMap((each) => guard.pass(each)), ...guard.close()];
}

test('keys that type are counted, keys that do something pass', () => {
  const password = [...stroke(a), key(shift), ...stroke(c), key(shift, false), ...stroke(0x52), unicode('ž')];
  expect(guarded([...password, ...stroke(enter), ...stroke(0x48, 1)])).toEqual([
    { kind: 'keys-masked', count: 4 },
    ...stroke(enter),
    ...stroke(0x48, 1),
  ]);
});

test('a shortcut passes, also when its modifier comes up first', () => {
  const copy = [key(control), key(c), key(control, false), key(c, false)];
  expect(guarded(copy)).toEqual(copy);
  const locked = [key(0x5b, true, 1), ...stroke(0x26), key(0x5b, false, 1)];
  expect(guarded(locked)).toEqual(locked);
});

test('AltGr, Ctrl with Alt, and Alt with digits of the number pad type', () => {
  const at = (...held: readonly KeyEvent[]): readonly DesktopDetail[] =>
    guarded([...held, ...stroke(0x10)]).slice(held.length);
  expect(at(key(alt, true, 1))).toEqual([{ kind: 'keys-masked', count: 1 }]);
  expect(at(key(control), key(alt))).toEqual([{ kind: 'keys-masked', count: 1 }]);
  expect(guarded([key(alt), ...stroke(0x47), ...stroke(0x52)])).toEqual([key(alt), { kind: 'keys-masked', count: 2 }]);
});

test('whatever is typed, no key that types is kept without a modifier', () => {
  const letters = fc.constantFrom(...Array.from({ length: 0x58 }, (_, code) => code + 1)).map((code) => stroke(code));
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 50 }), (strokes) => {
      const kept = guarded(strokes.flat().filter(({ code }) => code !== control && code !== alt));
      const codes = kept.flatMap((each) => (each.kind === 'rdp-key' ? [each.code] : []));
      expect(codes.filter((code) => code === a || code === 0x02 || code === 0x39 || code === shift)).toEqual([]);
    }),
  );
});

test('a recorder keeps no typed key unless it is told to', async () => {
  for (const keys of [undefined, 'masked', 'all'] as const) {
    await using it = await made(keys === undefined ? {} : { keys });
    for (const each of [...stroke(a), ...stroke(enter), ...stroke(a)]) it.recorder.record(each, 0, it.at(1));
    await it.recorder[Symbol.asyncDispose]();
    const kinds = (await it.events()).map(({ detail }) => detail.kind).slice(1, -1);
    if (keys === 'all') expect(kinds).toEqual(Array.from({ length: 6 }, () => 'rdp-key'));
    else expect(kinds).toEqual(['keys-masked', 'rdp-key', 'rdp-key', 'keys-masked']);
  }
});

function read(layout: number, keys: readonly KeyEvent[]): string {
  const reading = readKeyboard(layout);
  return keys.map((each) => reading(each)).join('');
}

test('keys are read by the layout that the client named', () => {
  const keys = [0x15, 0x2c, 0x0c, 0x27].flatMap((code) => stroke(code));
  const shifted = [key(shift), ...keys, key(shift, false)];
  expect(read(0x409, [...keys, ...shifted])).toBe('yz-;YZ_:');
  expect(read(0x407, [...keys, ...shifted])).toBe('zyßöZY?Ö');
  expect(read(0x407, [key(alt, true, 1), ...stroke(0x10), ...stroke(0x12)])).toBe('@€');
  expect(read(0, keys)).toBe('yz-;');
});

test('keys that type nothing have names, shortcuts too; locked capitals turn letters only', () => {
  expect(read(0x409, [...stroke(a), ...stroke(enter), ...stroke(0x48, 1), ...stroke(0x3b), ...stroke(0x35, 1)])).toBe(
    'a[Enter][Up][F1]/',
  );
  expect(read(0x409, [key(control), ...stroke(c), key(control, false), ...stroke(c)])).toBe('[Ctrl+C]c');
  expect(read(0x409, [key(control), key(alt), ...stroke(0x53, 1)])).toBe('[Ctrl+Alt+Delete]');
  expect(read(0x409, [...stroke(0x3a), ...stroke(a), ...stroke(0x02), ...stroke(0x3a), ...stroke(a)])).toBe(
    '[CapsLock]A1[CapsLock]a',
  );
  expect(read(0x409, [unicode('ž'), unicode('\r'), key(0x1d, true, 2), key(0x7e)])).toBe('ž[Enter][Pause][7e]');
});
