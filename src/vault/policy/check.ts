/**
 * Judging a candidate password. Works on bytes, so that no candidate becomes a string. Borders: runs count from three;
 * words from four letters; a login name from three characters, its parts from four.
 */
import { utf8 } from '../../base/bytes.ts';
import { alphabetOf, classes, digits, lowercase, type PolicyRules, type Rule, uppercase } from './rules.ts';
import { fold, holds, holdsWord } from './words.ts';

export interface CheckContext {
  /** The login name of the account. */
  readonly username: string;
  /** Characters that the connector cannot send. */
  readonly forbidden: string;
}

/** The rules that `candidate` breaks, by name, each once; empty when it is good. History is the vault's to judge. */
export function check(rules: PolicyRules, candidate: Uint8Array, context: CheckContext): Rule[] {
  const broken: Rule[] = [];
  const judge = (rule: Rule, good: boolean): void => {
    if (!good) broken.push(rule);
  };
  judge('length', candidate.length >= rules.length.min && candidate.length <= rules.length.max);
  const specials = utf8(rules.specialCharacters);
  const everything = new Set([...utf8(uppercase + lowercase + digits), ...specials]);
  judge(
    'characters',
    candidate.every((byte) => everything.has(byte)),
  );
  for (const kind of classes) {
    const minimum = rules[kind];
    const members = new Set(kind === 'special' ? specials : utf8({ uppercase, lowercase, digits }[kind]));
    const count = candidate.reduce((sum, byte) => sum + (members.has(byte) ? 1 : 0), 0);
    judge(kind, minimum === null ? count === 0 : count >= minimum);
  }
  const forbidden = new Set(utf8(context.forbidden));
  judge('forbidden_characters', !candidate.some((byte) => forbidden.has(byte)));
  const folded = fold(candidate);
  if (rules.noUsername) judge('no_username', !holdsName(candidate, folded, context.username));
  if (rules.noDictionaryWords) judge('no_dictionary_words', !holdsWord(folded));
  if (rules.noSequential) judge('no_sequential', !holdsSequence(candidate));
  if (rules.noRepeatedChars !== null) judge('no_repeated_chars', longestRepeat(candidate) < rules.noRepeatedChars);
  return broken;
}

/** The alphabet that is left of a class after the connector's wishes. */
export function usable(rules: PolicyRules, kind: (typeof classes)[number], forbidden: string): string {
  return Array.from(alphabetOf(rules, kind))
    .filter((character) => !forbidden.includes(character))
    .join('');
}

/** The name or a part of it, either way round: letters in any spelling, all else (digits of `web01`) as it is. */
function holdsName(candidate: Uint8Array, folded: Uint32Array, username: string): boolean {
  const lower = lowerCase(candidate);
  for (const name of [username, ...username.split(/[^A-Za-z0-9]+/).filter((part) => part.length >= 4)]) {
    if (name.length < 3) continue;
    const bytes = utf8(name.toLowerCase());
    for (const way of [bytes, bytes.toReversed()]) {
      if (holdsBytes(lower, way)) return true;
      if (/^[a-z]+$/i.test(name) && holds(folded, fold(way))) return true;
    }
  }
  return false;
}

function holdsBytes(text: Uint8Array, word: Uint8Array): boolean {
  for (let at = 0; at + word.length <= text.length; at++)
    if (word.every((byte, index) => text[at + index] === byte)) return true;
  return false;
}

function lowerCase(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));
}

/** Row and column of each key of a US keyboard, shifted or not. */
const keys = new Map<number, { readonly row: number; readonly column: number }>();
const rows = [
  ['`1234567890-=', '~!@#$%^&*()_+', 0],
  ['qwertyuiop[]\\', 'QWERTYUIOP{}|', 1],
  ["asdfghjkl;'", 'ASDFGHJKL:"', 1],
  ['zxcvbnm,./', 'ZXCVBNM<>?', 1],
] as const;
for (const [row, [plain, shifted, indent]] of rows.entries())
  for (const line of [plain, shifted])
    for (const [column, byte] of utf8(line).entries()) keys.set(byte, { row, column: column + indent });

/** Three in a row by alphabet, by number, along a row of keys or down a column of them (`1qaz`), either way. */
function holdsSequence(candidate: Uint8Array): boolean {
  const lower = lowerCase(candidate);
  for (let at = 0; at + 2 < candidate.length; at++) {
    const [a = 0, b = 0, c = 0] = lower.subarray(at, at + 3);
    const step = b - a;
    if ((step === 1 || step === -1) && c - b === step && [a, b, c].every(isLetterOrDigit)) return true;
    const [x, y, z] = [keys.get(a), keys.get(b), keys.get(c)];
    if (x === undefined || y === undefined || z === undefined) continue;
    const [down, right] = [y.row - x.row, y.column - x.column];
    const straight = Math.abs(down) + Math.abs(right) === 1;
    if (straight && z.row - y.row === down && z.column - y.column === right) return true;
  }
  return false;
}

function isLetterOrDigit(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39);
}

function longestRepeat(candidate: Uint8Array): number {
  let longest = 0;
  let run = 0;
  for (let at = 0; at < candidate.length; at++) {
    run = at > 0 && candidate[at] === candidate[at - 1] ? run + 1 : 1;
    longest = Math.max(longest, run);
  }
  return longest;
}
