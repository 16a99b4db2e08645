/**
 * What of the keys of a desktop is kept where a policy says `masked`: no key that types a character. Pure.
 *
 * A key that types is counted and left out, down and up; keys that edit or move and shortcuts (Ctrl, Alt or the Windows
 * key with another) pass. AltGr, which is also Ctrl with Alt, types; and so does Alt with digits of the number pad. Which
 * key types does not depend on the keyboard's layout. Keys that only change what others type (shift and the locks) are
 * left out as well: they would tell which characters are capitals.
 */
import type { DesktopDetail, KeyEvent } from './desktop-events.ts';

export interface KeyGuard {
  /** What is to be recorded now that this key went down or up. */
  pass(key: KeyEvent): readonly DesktopDetail[];
  /** What is to be recorded at the end. */
  close(): readonly DesktopDetail[];
}

/** Scancodes (set 1) of keys that type, and those with E0 before them. */
const typing: ReadonlySet<number> = new Set([
  ...range(0x02, 0x0d),
  ...range(0x10, 0x1b),
  ...range(0x1e, 0x29),
  ...range(0x2b, 0x35),
  0x39,
  0x56,
  0x73,
  0x7d,
]);
const numberPad: ReadonlySet<number> = new Set([0x37, ...range(0x47, 0x53)]);
const shifting: ReadonlySet<number> = new Set([0x2a, 0x36, 0x3a, 0x45]);

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

export type Modifier = 'control' | 'alt' | 'altGr' | 'windows' | 'shift';

/** The modifier that a key is, if it is one. */
export function modifierOf({ input, code, extended }: KeyEvent): Modifier | undefined {
  if (input !== 'scancode' || extended === 2) return undefined;
  if (code === 0x1d) return 'control';
  if (code === 0x38) return extended === 1 ? 'altGr' : 'alt';
  if (extended === 1) return code === 0x5b || code === 0x5c ? 'windows' : undefined;
  return code === 0x2a || code === 0x36 ? 'shift' : undefined;
}

/** Follows which modifiers are held, from the keys in order. */
export function followModifiers(): (key: KeyEvent) => ReadonlySet<Modifier> {
  const down = new Map<string, Modifier>();
  return (key) => {
    const modifier = modifierOf(key);
    const place = `${key.extended} ${key.code}`;
    if (modifier !== undefined && key.down) down.set(place, modifier);
    else if (modifier !== undefined) down.delete(place);
    return new Set(down.values());
  };
}

/** Whether a key does something other than type because of what is held with it. */
export function isShortcut(held: ReadonlySet<Modifier>): boolean {
  if (held.has('altGr')) return false;
  return held.has('windows') || held.has('control') !== held.has('alt');
}

export function guardKeys(): KeyGuard {
  const follow = followModifiers();
  const passed = new Set<string>();
  let count = 0;

  function counted(): DesktopDetail[] {
    if (count === 0) return [];
    const masked: DesktopDetail = { kind: 'keys-masked', count };
    count = 0;
    return [masked];
  }
  return {
    pass(key) {
      const held = follow(key);
      if (kindOf(key, held) === 'pass') {
        const place = `${key.input} ${key.extended} ${key.code}`;
        if (key.down) passed.add(place);
        else passed.delete(place);
        return [...counted(), key];
      }
      // what went down as a shortcut comes up as one, though its modifier may be up already
      if (!key.down && passed.delete(`${key.input} ${key.extended} ${key.code}`)) return [...counted(), key];
      if (kindOf(key, held) === 'types' && key.down) count++;
      return [];
    },
    close: counted,
  };
}

function kindOf({ input, code, extended }: KeyEvent, held: ReadonlySet<Modifier>): 'types' | 'shifts' | 'pass' {
  if (input === 'unicode') return code < 0x20 || code === 0x7f ? 'pass' : 'types';
  if (extended !== 0) return extended === 1 && code === 0x35 ? 'types' : 'pass';
  if (shifting.has(code)) return 'shifts';
  // with Alt these type by number, whatever else is held
  if (numberPad.has(code)) return 'types';
  return typing.has(code) && !isShortcut(held) ? 'types' : 'pass';
}
