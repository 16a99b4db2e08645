/** W-08 and the borders of Q-05, as tables. */
import { expect, test } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import { check } from '../../../src/vault/policy/check.ts';
import type { PolicyRules, Rule } from '../../../src/vault/policy/rules.ts';
import { standard } from './material.ts';

const loose: PolicyRules = {
  ...standard,
  length: { min: 1, max: 128 },
  uppercase: 0,
  lowercase: 0,
  digits: 0,
  special: 0,
};

function broken(candidate: string, username = 'jsmith', rules: PolicyRules = loose, forbidden = ''): Rule[] {
  return check(rules, utf8(candidate), { username, forbidden });
}

test.each([
  ['aabb', false],
  ['aaXa', false],
  ['aAa', false],
  ['aaa', true],
  ['1x111', true],
  ['$$$', true],
  ['$$_$$', false],
])('a run of three equal characters and no shorter one is refused: %s', (candidate, refused) => {
  expect(broken(candidate).includes('no_repeated_chars')).toBe(refused);
});

test.each([
  ['ab', false],
  ['abd', false],
  ['abc', true],
  ['aBc', true],
  ['XYZ', true],
  ['cba', true],
  ['zab', false],
  ['yza', false],
  ['12', false],
  ['124', false],
  ['012', true],
  ['321', true],
  ['890', true],
  ['098', true],
  ['9a0', false],
  ['qw', false],
  ['qwe', true],
  ['QwE', true],
  ['ewq', true],
  ['asd', true],
  ['mnb', true],
  ['!@#', true],
  ['1@3', true],
  ['1qa', true],
  ['zaq', true],
  ['qaw', false],
  ['q1w', false],
  ['/01', false],
  ['@ab', false],
  ['x89:', false],
])('three by alphabet, number or keyboard are refused, two are not: %s', (candidate, refused) => {
  expect(broken(candidate).includes('no_sequential')).toBe(refused);
});

test.each([
  ['cat7xK', false],
  ['xxLION', true],
  ['zPaSsWoRdz', true],
  ['pa55word', true],
  ['P@$$w0rd', true],
  ['k1tt3n', true],
  ['He11oo', true],
  ['dr@g0n', true],
  ['drowssap', true],
  ['qXkJwZvB', false],
  ['l-i-o-n', false],
  ['p4ss1234', true],
  ['5ummer', true],
])('words of four letters and more are refused in any spelling: %s', (candidate, refused) => {
  expect(broken(candidate).includes('no_dictionary_words')).toBe(refused);
});

test.each([
  ['Jsmith#2026...', 'jsmith', true],
  ['xhtimsjx', 'jsmith', true],
  ['xJ5M1TH9', 'jsmith', true],
  ['jsmit', 'jsmith', false],
  ['kQ-web01-Z', 'web01', true],
  ['kQ-10bew-Z', 'web01', true],
  ['kQ-web0-Z', 'web01', false],
  ['xDEPLOYx', 'svc_deploy', true],
  ['xsvcx', 'svc_deploy', false],
  ['EXAMPLE77', 'EXAMPLE\\jo', true],
  ['kkjokk', 'EXAMPLE\\jo', false],
  ['kdbk', 'db', false],
  ['kdbak', 'dba', true],
])('the login name is refused in %s (of %s: %s)', (candidate, username, refused) => {
  expect(broken(candidate, username).includes('no_username')).toBe(refused);
});

test('each class has three states: forbidden, allowed, wanted', () => {
  const rules = { ...loose, special: null, digits: 2 } satisfies PolicyRules;
  expect(broken('xK7qR2', 'root', rules)).toEqual([]);
  expect(broken('xK7qR', 'root', rules)).toEqual(['digits']);
  expect(broken('xK7qR2!', 'root', rules)).toEqual(['special']);
  expect(broken('7492', 'root', rules)).toEqual([]);
});

test('length counts at both borders', () => {
  const rules = { ...loose, length: { min: 4, max: 6 } } satisfies PolicyRules;
  const lengths = [3, 4, 6, 7].map((length) => broken('xKqRvBzW'.slice(0, length), 'root', rules));
  expect(lengths).toEqual([['length'], [], [], ['length']]);
});

test('what no class lists and what the connector forbids is refused by name', () => {
  expect(broken('xK7 qR')).toEqual(['characters']);
  expect(broken('xK7~qR')).toEqual(['characters']);
  expect(broken('xK7\u00e9qR')).toEqual(['characters']);
  expect(broken('xK7\nqR')).toEqual(['characters']);
  expect(broken('xK7?qR', 'root', loose, '?')).toEqual(['forbidden_characters']);
});

test('rules that are switched off refuse nothing', () => {
  const rules = {
    ...loose,
    noUsername: false,
    noDictionaryWords: false,
    noSequential: false,
    noRepeatedChars: null,
  } satisfies PolicyRules;
  expect(broken('aaaabcpasswordjsmith', 'jsmith', rules)).toEqual([]);
});
