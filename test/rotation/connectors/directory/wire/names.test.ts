import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  baseOfRealm,
  escapeDnValue,
  realmOfBase,
} from '../../../../../src/rotation/connectors/directory/wire/names.ts';

test('what ends or begins a part of a name is written with a backslash', () => {
  const pairs = [
    ['plain', 'plain'],
    ['a,b+c=d', 'a\\,b\\+c\\=d'],
    ['"<>;\\', '\\"\\<\\>\\;\\\\'],
    [' edge ', '\\ edge\\ '],
    ['in side', 'in side'],
    ['#first#', '\\#first#'],
    ['nul\0l\n', 'nul\\00l\\0a'],
    ['Müller 𝔘', 'Müller 𝔘'],
    [' ', '\\ '],
  ] as const;
  for (const [value, written] of pairs) expect(escapeDnValue(value), JSON.stringify(value)).toBe(written);
});

test('no value can begin a second part: nothing that parts a name stands there bare', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...Array.from(',+=<>;"\\ #\0\nab\u{1d518}é')) }), (value) => {
      expect(escapeDnValue(value).replaceAll(/\\([0-9a-f]{2}|.)/gu, '')).not.toMatch(/[,+=<>;"\\\p{Cc}]/u);
    }),
  );
});

test('a realm and its base name each other', () => {
  expect(baseOfRealm('EXAMPLE.TEST')).toBe('DC=example,DC=test');
  expect(realmOfBase('DC=example,DC=test')).toBe('EXAMPLE.TEST');
  expect(realmOfBase('dc=corp, dc=example')).toBe('CORP.EXAMPLE');
  for (const other of ['', 'o=example', 'DC=a,OU=b', 'DC=a\\,DC=b']) expect(realmOfBase(other), other).toBeUndefined();
});
