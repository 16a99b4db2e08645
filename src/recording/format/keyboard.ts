/**
 * Keys of a desktop as text, for people who read a recording. Pure. A scancode is a place on the keyboard: which
 * character it types depends on the layout, and the session's is taken from what the client said of itself
 * (keyboardLayout, MS-RDPBCGR §2.2.1.3.2). Known are German and United States; any other layout is read as the latter.
 * The target may use another one all the same: text is a reading, the events are the evidence. Dead keys stand alone.
 */
import type { KeyEvent } from './desktop-events.ts';
import { followModifiers, isShortcut, modifierOf } from './keys.ts';

/** Gives the text that a key types, `[Name]` for a key that does something else, or nothing: for modifiers and for keys that come up. */
export type Reading = (key: KeyEvent) => string;

/** Characters of the rows from 02, 10, 1e, 2b and 56 on: plain, with shift, with AltGr. `\0` types nothing. */
interface Layout {
  readonly rows: readonly (readonly [from: number, plain: string, shift: string])[];
  readonly altGr: Readonly<Record<number, string>>;
}

const unitedStates: Layout = {
  rows: [
    [0x02, '1234567890-=', '!@#$%^&*()_+'],
    [0x10, 'qwertyuiop[]', 'QWERTYUIOP{}'],
    [0x1e, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
    [0x2b, '\\zxcvbnm,./', '|ZXCVBNM<>?'],
    [0x56, '\\', '|'],
  ],
  altGr: {},
};

const german: Layout = {
  rows: [
    [0x02, '1234567890ß´', '!"§$%&/()=?`'],
    [0x10, 'qwertzuiopü+', 'QWERTZUIOPÜ*'],
    [0x1e, 'asdfghjklöä^', 'ASDFGHJKLÖÄ°'],
    [0x2b, '#yxcvbnm,.-', "'YXCVBNM;:_"],
    [0x56, '<', '>'],
  ],
  altGr: {
    0x03: '²',
    0x04: '³',
    0x08: '{',
    0x09: '[',
    0x0a: ']',
    0x0b: '}',
    0x0c: '\\',
    0x10: '@',
    0x12: '€',
    0x1b: '~',
    0x32: 'µ',
    0x56: '|',
  },
};

/** Layouts by the low half of keyboardLayout, the language: German of all countries with the one of Germany. */
const layouts = new Map<number, Layout>([
  [0x0407, german],
  [0x0c07, german],
]);

const names: Readonly<Record<number, string>> = {
  0x01: 'Esc',
  0x0e: 'Backspace',
  0x0f: 'Tab',
  0x1c: 'Enter',
  0x57: 'F11',
  0x58: 'F12',
  0x3a: 'CapsLock',
  0x45: 'NumLock',
  0x46: 'ScrollLock',
  ...Object.fromEntries(Array.from({ length: 10 }, (_, index) => [0x3b + index, `F${index + 1}`])),
};

const extendedNames: Readonly<Record<number, string>> = {
  0x1c: 'Enter',
  0x37: 'PrintScreen',
  0x47: 'Home',
  0x48: 'Up',
  0x49: 'PageUp',
  0x4b: 'Left',
  0x4d: 'Right',
  0x4f: 'End',
  0x50: 'Down',
  0x51: 'PageDown',
  0x52: 'Insert',
  0x53: 'Delete',
  0x5b: 'Windows',
  0x5c: 'Windows',
  0x5d: 'Menu',
};

const numberPad = '789-456+1230.';

/** A reading of keys in order, for the keyboardLayout that the client named; 0 if it is not known. */
export function readKeyboard(keyboardLayout: number): Reading {
  const layout = layouts.get(keyboardLayout & 0xffff) ?? unitedStates;
  const follow = followModifiers();
  let capitals = false;
  return (key) => {
    const held = follow(key);
    if (!key.down) return '';
    if (key.input === 'unicode') return unit(key.code);
    if (key.extended === 2) return '[Pause]';
    const modifier = modifierOf(key);
    if (modifier !== undefined) return modifier === 'windows' && key.down ? '[Windows]' : '';
    if (key.extended === 0 && key.code === 0x3a) capitals = !capitals;
    const name = key.extended === 1 ? extendedNames[key.code] : names[key.code];
    if (name !== undefined) return withHeld(held, name);
    if (isShortcut(held)) return withHeld(held, typed(layout, key, false, false).toUpperCase() || unnamed(key));
    const plain = typed(layout, key, held.has('shift'), held.has('altGr') || held.has('alt'));
    const shifted = capitals ? flipped(plain) : plain;
    return shifted === '' ? `[${unnamed(key)}]` : shifted;
  };
}

function unit(code: number): string {
  if (code === 13) return '[Enter]';
  if (code === 8) return '[Backspace]';
  if (code === 9) return '[Tab]';
  return code < 0x20 || code === 0x7f ? `[${code.toString(16)}]` : String.fromCharCode(code);
}

function unnamed({ extended, code }: KeyEvent): string {
  return `${extended === 1 ? 'e0 ' : ''}${code.toString(16).padStart(2, '0')}`;
}

function withHeld(held: ReadonlySet<string>, name: string): string {
  const parts = [
    ...(held.has('control') ? ['Ctrl'] : []),
    ...(held.has('alt') ? ['Alt'] : []),
    ...(held.has('windows') ? ['Windows'] : []),
    ...(held.has('shift') ? ['Shift'] : []),
    name,
  ];
  return `[${parts.join('+')}]`;
}

/** The other case of a letter; anything else as it is. */
function flipped(character: string): string {
  const upper = character.toUpperCase();
  if (upper.length !== 1) return character;
  return character === upper ? character.toLowerCase() : upper;
}

function typed(layout: Layout, { code, extended }: KeyEvent, shift: boolean, altGr: boolean): string {
  if (extended === 1) return code === 0x35 ? '/' : '';
  if (code === 0x39) return ' ';
  if (code === 0x37) return '*';
  if (code >= 0x47 && code <= 0x53) return numberPad[code - 0x47] ?? '';
  if (altGr) return layout.altGr[code] ?? '';
  for (const [from, plain, shifted] of layout.rows) {
    if (code >= from && code < from + plain.length) return (shift ? shifted : plain)[code - from] ?? '';
  }
  return '';
}
