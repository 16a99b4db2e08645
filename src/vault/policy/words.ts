/**
 * Finding words in a candidate: forwards, in any case and any leet spelling. A leet character stands for several
 * letters (`1` for i and l), so a candidate is folded into sets of letters, and a word is there if each of its letters
 * is in the set at its place.
 *
 * `words.txt` holds the 39,000 words of four letters and more of Debian's wamerican-small (SCOWL) and common password
 * words, without those that contain another of them: whoever contains `passwords` contains `pass`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The letters that a character is read as, apart from itself. */
const leet: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'il',
  '2': 'z',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '6': 'bg',
  '7': 't',
  '8': 'b',
  '9': 'g',
  '@': 'a',
  $: 's',
  '!': 'il',
  '|': 'il',
  '+': 't',
  '(': 'c',
  '<': 'c',
  '[': 'c',
};

/** Bit n is the n-th letter of the alphabet. */
const masks = new Uint32Array(256);
for (let n = 0; n < 26; n++) {
  masks[0x61 + n] = 1 << n;
  masks[0x41 + n] = 1 << n;
}
for (const [character, letters] of Object.entries(leet))
  for (const letter of letters) {
    const at = character.charCodeAt(0);
    masks[at] = (masks[at] ?? 0) | (1 << (letter.charCodeAt(0) - 0x61));
  }

/** A candidate or a word as sets of letters. */
export function fold(bytes: Uint8Array): Uint32Array {
  return Uint32Array.from(bytes, (byte) => masks[byte] ?? 0);
}

/** Whether `word` (sets of letters) can be read anywhere in `text`. A place that no letter can stand for fits nothing. */
export function holds(text: Uint32Array, word: Uint32Array): boolean {
  for (let at = 0; at + word.length <= text.length; at++) {
    let fits = 0;
    while (fits < word.length && ((text[at + fits] ?? 0) & (word[fits] ?? 0)) !== 0) fits++;
    if (fits === word.length) return true;
  }
  return false;
}

/** A word tree in one array: 26 entries a node, each the next node, 0 for none, or `end` for the last letter of a word. */
type WordTree = Int32Array;

const end = -1;
let tree: WordTree | undefined;

/** Whether a dictionary word can be read anywhere in `text`. The list is read on first use. */
export function holdsWord(text: Uint32Array): boolean {
  tree ??= plant(
    readFileSync(join(import.meta.dirname, 'words.txt'), 'latin1')
      .trimEnd()
      .split('\n'),
  );
  for (let at = 0; at < text.length; at++) if (walk(tree, text, at, 0)) return true;
  return false;
}

function walk(next: WordTree, text: Uint32Array, at: number, node: number): boolean {
  let letters = text[at] ?? 0;
  while (letters !== 0) {
    const letter = 31 - Math.clz32(letters);
    letters &= ~(1 << letter);
    const child = next[node * 26 + letter] ?? 0;
    if (child === end || (child !== 0 && walk(next, text, at + 1, child))) return true;
  }
  return false;
}

/** No word contains another, so a node is either inside words or the end of one. */
function plant(words: readonly string[]): WordTree {
  const empty = (): number[] => Array.from({ length: 26 }, () => 0);
  const nodes = [empty()];
  for (const word of words) {
    let node = 0;
    for (let at = 0; at < word.length; at++) {
      const letter = word.charCodeAt(at) - 0x61;
      const entries = nodes[node] ?? [];
      if (at === word.length - 1) entries[letter] = end;
      else {
        if (entries[letter] === 0) entries[letter] = nodes.push(empty()) - 1;
        node = entries[letter] ?? 0;
      }
    }
  }
  return Int32Array.from(nodes.flat());
}
