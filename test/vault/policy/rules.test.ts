/** W-07: policies that no password can satisfy are refused, with reasons. */
import { expect, test } from 'vitest';
import { faultsOf, type PolicyRules } from '../../../src/vault/policy/rules.ts';
import { standard, templates } from './material.ts';

test.each(Object.entries(templates))('the template %s is sound', (_, rules) => {
  expect(faultsOf(rules)).toEqual([]);
});

const none = { uppercase: null, lowercase: null, digits: null, special: null };
test.each<[string, Partial<PolicyRules>, RegExp]>([
  ['min above max', { length: { min: 20, max: 14 } }, /greater/],
  ['no length', { length: { min: 0, max: 14 } }, /length\.min/],
  ['half a character', { length: { min: 4.5, max: 14 } }, /length\.min/],
  ['longer than anything takes', { length: { min: 4, max: 129 } }, /length\.max/],
  ['minima above the maximum', { uppercase: 20, lowercase: 20 }, /add up to 42/],
  ['a negative minimum', { digits: -1 }, /digits/],
  ['no class at all', none, /every class/],
  ['specials wanted but none listed', { special: 1, specialCharacters: '' }, /characters are none/],
  ['a letter as a special', { specialCharacters: '!a' }, /printable ASCII specials/],
  ['a space as a special', { specialCharacters: '! ' }, /printable ASCII specials/],
  ['a control character as a special', { specialCharacters: '\n' }, /printable ASCII specials/],
  ['a special twice', { specialCharacters: '!!' }, /twice/],
  ['one character that may not repeat', { ...none, special: 0, specialCharacters: '!' }, /single character/],
  ['runs of one', { noRepeatedChars: 1 }, /noRepeatedChars/],
  ['a history without end', { history: 1001 }, /history/],
  ['a life of no days', { maxAgeDays: 0 }, /maxAgeDays/],
])('%s is refused', (_, change, reason) => {
  expect(faultsOf({ ...standard, ...change }).join('; ')).toMatch(reason);
});

test('the minima may fill the maximum exactly', () => {
  const rules = { ...standard, length: { min: 4, max: 8 }, uppercase: 2, lowercase: 2, digits: 2, special: 2 };
  expect(faultsOf(rules)).toEqual([]);
});
