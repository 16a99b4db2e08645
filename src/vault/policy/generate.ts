/**
 * Making passwords. Every choice is an unbiased draw from the source of randomness that is passed in: lengths, the
 * characters, and the shuffle that takes the order of the classes away. What breaks a rule is thrown away whole and
 * drawn again, never patched: patching would favour some passwords over others.
 */
import { utf8 } from '../../base/bytes.ts';
import { Secret } from '../../base/secret.ts';
import { VaultError } from '../errors.ts';
import { type CheckContext, check, usable } from './check.ts';
import { classes, faultsOf, type PolicyRules } from './rules.ts';

/** So many bytes, each value equally likely, for the caller to keep and zero. In the product node's `randomBytes`. */
export type RandomSource = (length: number) => Uint8Array;

/** Draws whole numbers below a bound of at most 256, each equally likely: bytes beyond the last full multiple are dropped. */
export interface Draws extends Disposable {
  below(bound: number): number;
}

/** Draws over a pool of random bytes that is zeroed when it is disposed. */
export function drawsFrom(random: RandomSource): Draws {
  let pool: Uint8Array = new Uint8Array(0);
  let at = 0;
  return {
    below: (bound) => {
      if (!Number.isInteger(bound) || bound < 1 || bound > 256) throw new RangeError(`no draw below ${bound}`);
      const limit = 256 - (256 % bound);
      for (;;) {
        if (at === pool.length) {
          pool.fill(0);
          pool = random(256);
          at = 0;
        }
        const byte = pool[at++] ?? 0;
        if (byte < limit) return byte % bound;
      }
    },
    [Symbol.dispose]: () => {
      pool.fill(0);
    },
  };
}

/** Rules that are hard but possible pass in a few draws; this many failures mean that they are not. */
const mostAttempts = 2000;

/**
 * A password that breaks no rule and holds no forbidden character. Throws `vault.policy-impossible` when there is
 * none, or none that chance finds, and `vault.policy-invalid` for rules that contradict themselves.
 */
export function generate(rules: PolicyRules, context: CheckContext, random: RandomSource): Secret {
  const faults = faultsOf(rules);
  if (faults.length > 0) throw new VaultError('vault.policy-invalid', faults.join('; '));
  const alphabets = classes.map((kind) => ({
    kind,
    minimum: rules[kind] ?? 0,
    characters: utf8(usable(rules, kind, context.forbidden)),
  }));
  for (const { kind, minimum, characters } of alphabets)
    if (minimum > 0 && characters.length === 0)
      throw new VaultError('vault.policy-impossible', `no ${kind} character is left`);
  const all = Uint8Array.from(alphabets.flatMap(({ characters }) => [...characters]));
  if (all.length === 0) throw new VaultError('vault.policy-impossible', 'no character is left');
  const minima = alphabets.reduce((sum, { minimum }) => sum + minimum, 0);
  const shortest = Math.max(rules.length.min, minima);
  using draws = drawsFrom(random);
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const candidate = new Uint8Array(shortest + draws.below(rules.length.max - shortest + 1));
    let filled = 0;
    const put = (characters: Uint8Array): void => {
      candidate[filled++] = characters[draws.below(characters.length)] ?? 0;
    };
    for (const { minimum, characters } of alphabets) for (let n = 0; n < minimum; n++) put(characters);
    while (filled < candidate.length) put(all);
    shuffle(candidate, draws);
    if (check(rules, candidate, context).length === 0) return new Secret(candidate);
    candidate.fill(0);
  }
  throw new VaultError('vault.policy-impossible', `${mostAttempts} draws broke a rule`);
}

/** Fisher and Yates: every order equally likely. */
function shuffle(bytes: Uint8Array, draws: Draws): void {
  for (let last = bytes.length - 1; last > 0; last--) {
    const other = draws.below(last + 1);
    const kept = bytes[last] ?? 0;
    bytes[last] = bytes[other] ?? 0;
    bytes[other] = kept;
  }
}
