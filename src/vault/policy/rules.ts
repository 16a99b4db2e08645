/**
 * Password rules as data, and whether they can be satisfied at all. Nothing here draws or judges a password:
 * that is `generate.ts` and `check.ts`.
 */

export const uppercase = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
export const lowercase = 'abcdefghijklmnopqrstuvwxyz';
export const digits = '0123456789';

/** How many characters of a class: null forbids the class, 0 allows it, n asks for at least n. */
export type Minimum = number | null;

export interface PolicyRules {
  /** In characters, both inclusive. */
  readonly length: { readonly min: number; readonly max: number };
  readonly uppercase: Minimum;
  readonly lowercase: Minimum;
  readonly digits: Minimum;
  readonly special: Minimum;
  /** The special characters that may appear: printable ASCII, no letter, digit or space, none twice. */
  readonly specialCharacters: string;
  /** Neither the login name nor its parts, forwards or backwards, in any case or leet spelling. */
  readonly noUsername: boolean;
  /** No English or common password word of four letters or more, in any case or leet spelling. */
  readonly noDictionaryWords: boolean;
  /** No run of three or more by alphabet, by number or along the keyboard, either way. */
  readonly noSequential: boolean;
  /** A run of so many equal characters is refused; null allows any. */
  readonly noRepeatedChars: number | null;
  /** How many former values, the present one included, may not come back. */
  readonly history: number;
  /** Age at which a value is due for rotation; null never. */
  readonly maxAgeDays: number | null;
  /** Whether accounts of this policy are changed by Sallyport at all. */
  readonly rotation: boolean;
}

/** The names by which a candidate is refused. */
export type Rule =
  | 'length'
  | 'characters'
  | 'uppercase'
  | 'lowercase'
  | 'digits'
  | 'special'
  | 'no_username'
  | 'no_dictionary_words'
  | 'no_sequential'
  | 'no_repeated_chars'
  | 'forbidden_characters'
  | 'history';

export type CharacterClass = 'uppercase' | 'lowercase' | 'digits' | 'special';

export const longestPassword = 128;

/** The characters of a class under these rules; empty if the class is forbidden. */
export function alphabetOf(rules: PolicyRules, kind: CharacterClass): string {
  if (rules[kind] === null) return '';
  if (kind === 'special') return rules.specialCharacters;
  return { uppercase, lowercase, digits }[kind];
}

export const classes: readonly CharacterClass[] = ['uppercase', 'lowercase', 'digits', 'special'];

/** Why no password could satisfy these rules; empty when they are sound. */
export function faultsOf(rules: PolicyRules): string[] {
  const faults: string[] = [];
  const whole = (name: string, value: number, least: number, most: number): void => {
    if (!Number.isInteger(value) || value < least || value > most)
      faults.push(`${name} must be a whole number from ${least} to ${most}`);
  };
  whole('length.min', rules.length.min, 1, longestPassword);
  whole('length.max', rules.length.max, 1, longestPassword);
  if (rules.length.min > rules.length.max) faults.push('length.min is greater than length.max');
  let minima = 0;
  let alphabet = 0;
  for (const kind of classes) {
    const minimum = rules[kind];
    if (minimum === null) continue;
    whole(kind, minimum, 0, longestPassword);
    minima += minimum;
    const size = alphabetOf(rules, kind).length;
    alphabet += size;
    if (minimum > 0 && size === 0) faults.push(`${kind} asks for ${minimum} but its characters are none`);
  }
  if (minima > rules.length.max) faults.push(`the minima add up to ${minima}, more than length.max`);
  if (alphabet === 0) faults.push('every class of characters is forbidden or empty');
  for (const character of rules.specialCharacters)
    if (!/^[!-/:-@[-`{-~]$/.test(character)) faults.push('specialCharacters may hold only printable ASCII specials');
  if (new Set(rules.specialCharacters).size !== rules.specialCharacters.length)
    faults.push('specialCharacters names a character twice');
  if (rules.noRepeatedChars !== null) {
    whole('noRepeatedChars', rules.noRepeatedChars, 2, longestPassword);
    if (alphabet === 1 && rules.noRepeatedChars <= rules.length.min)
      faults.push('a single character cannot fill the length without repeating');
  }
  whole('history', rules.history, 0, 1000);
  if (rules.maxAgeDays !== null) whole('maxAgeDays', rules.maxAgeDays, 1, 36_500);
  return faults;
}
