/**
 * Blowfish, as far as bcrypt needs it: key schedule with a salt, and encryption. It exists only to open OpenSSH private
 * keys with a passphrase; nothing of ours is ever encrypted with it.
 *
 * The cipher's start values are the first 33 344 bits of the fraction of pi, which is quicker to compute once than to
 * read through a page of constants. Tables hold words as int32.
 */

const rounds = 16;
const pWords = rounds + 2;
const sWords = 4 * 256;

export interface BlowfishState {
  readonly p: Int32Array;
  readonly s: Int32Array;
}

let start: BlowfishState | undefined;

/** A fresh state with the start values; the caller's to change. */
export function blowfishState(): BlowfishState {
  start ??= startValues();
  return { p: start.p.slice(), s: start.s.slice() };
}

/** pi = 16 atan(1/5) − 4 atan(1/239), in fixed point with guard bits for the rounding of the two series. */
function startValues(): BlowfishState {
  const bits = 32 * (pWords + sWords);
  const guard = 64;
  const one = 1n << BigInt(bits + guard);
  const atanOfInverse = (x: bigint): bigint => {
    let power = one / x;
    let sum = power;
    for (let n = 3n; power !== 0n; n += 2n) {
      power = -power / (x * x);
      sum += power / n;
    }
    return sum;
  };
  const pi = 16n * atanOfInverse(5n) - 4n * atanOfInverse(239n);
  const digits = ((pi >> BigInt(guard)) & ((1n << BigInt(bits)) - 1n)).toString(16).padStart(bits / 4, '0');
  const words = new Int32Array(pWords + sWords);
  for (let i = 0; i < words.length; i++) words[i] = Number.parseInt(digits.slice(8 * i, 8 * i + 8), 16);
  return { p: words.slice(0, pWords), s: words.slice(pWords) };
}

/** Encrypts the pair of words at `at` in place. */
export function encryptPair(state: BlowfishState, words: Int32Array, at: number): void {
  const { p, s } = state;
  let left = word(words, at);
  let right = word(words, at + 1);
  for (let i = 0; i < rounds; i++) {
    left ^= word(p, i);
    const mixed =
      ((word(s, left >>> 24) + word(s, 256 + ((left >>> 16) & 255))) ^ word(s, 512 + ((left >>> 8) & 255))) | 0;
    const next = right ^ ((mixed + word(s, 768 + (left & 255))) | 0);
    right = left;
    left = next;
  }
  words[at] = right ^ word(p, rounds + 1);
  words[at + 1] = left ^ word(p, rounds);
}

/** Mixes a key into the state, and a salt where one is given (bcrypt's `ExpandKey`). Both are cycled. */
export function expandKey(state: BlowfishState, key: Int32Array, salt?: Int32Array): void {
  for (let i = 0; i < pWords; i++) state.p[i] = word(state.p, i) ^ word(key, i % key.length);
  const pair = new Int32Array(2);
  let used = 0;
  for (const table of [state.p, state.s]) {
    for (let i = 0; i < table.length; i += 2) {
      if (salt !== undefined) {
        pair[0] = word(pair, 0) ^ word(salt, used++ % salt.length);
        pair[1] = word(pair, 1) ^ word(salt, used++ % salt.length);
      }
      encryptPair(state, pair, 0);
      table[i] = word(pair, 0);
      table[i + 1] = word(pair, 1);
    }
  }
}

/** An element that is known to be there. */
function word(table: Int32Array, at: number): number {
  return table[at] as number;
}
