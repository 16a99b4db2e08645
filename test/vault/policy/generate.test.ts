/** W-07, W-08, W-11, Q-04: what the generator gives, and that chance has no favourites. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { check } from '../../../src/vault/policy/check.ts';
import { drawsFrom, generate } from '../../../src/vault/policy/generate.ts';
import { alphabetOf, classes, type PolicyRules } from '../../../src/vault/policy/rules.ts';
import { chiSquare, rare, seeded, standard, templates } from './material.ts';

const many = Number(process.env['SALLYPORT_PASSWORDS'] ?? 20_000);
const context = { username: 'jsmith', forbidden: '' };
/** Without the rules that throw candidates away: those must make some letters rarer. */
const unrestricted: PolicyRules = {
  ...standard,
  noUsername: false,
  noDictionaryWords: false,
  noSequential: false,
  noRepeatedChars: null,
};

function classOf(rules: PolicyRules, character: string): number {
  return classes.findIndex((kind) => alphabetOf(rules, kind).includes(character));
}

for (const [name, rules] of Object.entries(templates)) {
  test(`every password of ${name} keeps all rules, none comes twice, and no class prefers a position`, () => {
    const random = seeded(name);
    const seen = new Set<string>();
    const lengths = new Set<number>();
    const counts = Array.from({ length: rules.length.min }, () => classes.map(() => 0));
    const broken: string[] = [];
    for (let n = 0; n < many; n++) {
      using password = generate(rules, context, random);
      const text = password.revealText();
      if (check(rules, password.reveal(), context).length > 0) broken.push(text);
      seen.add(text);
      lengths.add(text.length);
      for (let at = 0; at < rules.length.min; at++) {
        const row = counts[at];
        const kind = classOf(rules, text.charAt(at));
        if (row !== undefined) row[kind] = (row[kind] ?? 0) + 1;
      }
    }
    expect(broken).toEqual([]);
    expect(seen.size).toBe(many);
    expect(lengths.size).toBe(rules.length.max - rules.length.min + 1);
    expect([Math.min(...lengths), Math.max(...lengths)]).toEqual([rules.length.min, rules.length.max]);
    const used = classes.map((kind, n) => ({ kind, n })).filter(({ kind }) => rules[kind] !== null);
    const overall = used.map(({ n }) => counts.reduce((sum, row) => sum + (row[n] ?? 0), 0) / rules.length.min);
    const statistic = counts.reduce(
      (sum, row) =>
        sum +
        chiSquare(
          used.map(({ n }) => row[n] ?? 0),
          overall,
        ),
      0,
    );
    expect(statistic).toBeLessThan(rare((rules.length.min - 1) * (used.length - 1)));
  });
}

test('a network device password holds letters and digits only', () => {
  const rules = templates['Network Device'] as PolicyRules;
  for (let n = 0; n < 2000; n++) {
    using password = generate(rules, context, randomBytes);
    expect(password.revealText()).toMatch(/^[A-Za-z0-9]{16,32}$/);
  }
});

test('a million draws over the whole alphabet favour no character', () => {
  const bound = 26 + 26 + 10 + standard.specialCharacters.length;
  const counts = Array.from({ length: bound }, () => 0);
  using draws = drawsFrom(seeded('draws'));
  for (let n = 0; n < 1_000_000; n++) {
    const draw = draws.below(bound);
    counts[draw] = (counts[draw] ?? 0) + 1;
  }
  expect(chiSquare(counts)).toBeLessThan(rare(bound - 1));
});

test('within a class every character is as likely as the others', () => {
  const random = seeded('characters');
  const counts = new Map<string, number>();
  for (let n = 0; n < 20_000; n++) {
    using password = generate(unrestricted, context, random);
    for (const character of password.revealText()) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  for (const kind of classes) {
    const alphabet = alphabetOf(unrestricted, kind);
    const of = Array.from(alphabet, (character) => counts.get(character) ?? 0);
    expect(chiSquare(of), kind).toBeLessThan(rare(alphabet.length - 1));
  }
});

test('draws outside one to 256 are refused', () => {
  using draws = drawsFrom(randomBytes);
  for (const bound of [0, -1, 257, 1.5, Number.NaN]) expect(() => draws.below(bound)).toThrow(RangeError);
  expect(draws.below(1)).toBe(0);
});

test('characters that the connector cannot send never appear', () => {
  for (let n = 0; n < 2000; n++) {
    using password = generate(standard, { username: 'root', forbidden: '?;$&|<>:abcXYZ019' }, randomBytes);
    expect(password.revealText()).not.toMatch(/[?;$&|<>:abcXYZ019]/);
  }
});

test('when the connector leaves nothing of a class that must appear, it says so', () => {
  const forbidden = standard.specialCharacters;
  expect(() => generate(standard, { username: 'root', forbidden }, randomBytes)).toThrow(
    expect.objectContaining({ code: 'vault.policy-impossible', message: expect.stringContaining('special') }),
  );
});

test('rules that contradict each other are refused with every reason', () => {
  const rules = { ...standard, length: { min: 9, max: 8 }, uppercase: 5, lowercase: 5 };
  expect(() => generate(rules, context, randomBytes)).toThrow(
    expect.objectContaining({
      code: 'vault.policy-invalid',
      message: expect.stringMatching(/min is greater.*add up to 12/),
    }),
  );
});

test('rules that only a run could satisfy end with an error, not in a loop', () => {
  const rules: PolicyRules = {
    ...standard,
    length: { min: 6, max: 6 },
    uppercase: null,
    lowercase: null,
    digits: 0,
    special: null,
  };
  expect(() => generate(rules, { username: 'root', forbidden: '23456789' }, () => new Uint8Array(256))).toThrow(
    expect.objectContaining({ code: 'vault.policy-impossible' }),
  );
});

test('the tightest rules that can be met are met', () => {
  const rules: PolicyRules = {
    ...standard,
    length: { min: 8, max: 8 },
    uppercase: 2,
    lowercase: 2,
    digits: 2,
    special: 2,
  };
  for (let n = 0; n < 500; n++) {
    using password = generate(rules, context, randomBytes);
    expect(check(rules, password.reveal(), context)).toEqual([]);
  }
});
