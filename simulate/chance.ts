/**
 * Chance that can be had again: xoshiro128**, seeded by SplitMix32 from a run's seed and the number of a history, so that
 * every history stands alone. Nothing else in this folder knows chance or the time of day.
 */

export interface Chance {
  /** A whole number from 0 up to and without `below`. */
  readonly below: (below: number) => number;
  /** A whole number from `low` to `high`, both included. */
  readonly between: (low: number, high: number) => number;
  readonly likely: (probability: number) => boolean;
  /** Throws on an empty list. */
  readonly one: <T>(list: readonly T[]) => T;
}

/** The chance of one history. */
export function chanceOf(seed: number, history: number): Chance {
  let mixed = (Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul((history + 1) | 0, 0x85ebca77)) | 0;
  const word = (): number => {
    mixed = (mixed + 0x9e3779b9) | 0;
    let z = mixed ^ (mixed >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let a = word();
  let b = word();
  let c = word();
  let d = word() | 1;
  const next = (): number => {
    const times5 = Math.imul(b, 5);
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  const below = (limit: number): number => Math.floor((next() / 0x1_0000_0000) * limit);
  return {
    below,
    between: (low, high) => low + below(high - low + 1),
    likely: (probability) => next() < probability * 0x1_0000_0000,
    one: (list) => {
      const item = list[below(list.length)];
      if (item === undefined) throw new Error('nothing to choose from');
      return item;
    },
  };
}
