/** Stable codes: one catalogue for each room, one page for all of them, and no code from nowhere. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { codesPage, declared } from '../scripts/codes.ts';
import { codesOf, exitCodeOf } from '../src/cli/errors.ts';

const root = join(import.meta.dirname, '..');
const all = await declared();
const codes = all.flatMap(({ catalogue }) => Object.keys(catalogue));

test('docs/codes.md is what scripts/codes.ts makes', () => {
  expect(readFileSync(join(root, 'docs/codes.md'), 'utf8')).toBe(codesPage(all));
});

test('every room that has errors is found', () => {
  expect(all.map(({ file }) => file)).toEqual(
    expect.arrayContaining(['vault/errors.ts', 'config.ts', 'contract/contract.ts', 'protocol/ssh/errors.ts']),
  );
});

test('no code is declared twice', () => {
  expect(codes.filter((code, at) => codes.indexOf(code) !== at)).toEqual([]);
});

test('a code is named after its room', () => {
  for (const { file, catalogue } of all) {
    const rooms = file.replace(/\.ts$/, '').split('/');
    for (const code of Object.keys(catalogue)) {
      expect(code).toMatch(/^[a-z]+(\.[a-z0-9]+(-[a-z0-9]+)*)+$/);
      expect(rooms, `${code} in ${file}`).toContain(code.split('.')[0]);
    }
  }
});

test('a meaning begins in lower case and has no full stop, so that messages compose, and there is always a remedy', () => {
  for (const { catalogue } of all) {
    for (const [code, { meaning, remedy }] of Object.entries(catalogue)) {
      expect(meaning, code).not.toMatch(/\.$/);
      // names, and the sentences that the field knows, keep their capital
      expect(meaning, code).toMatch(
        /^[a-z]|^(PostgreSQL|Sallyport|No password recorded yet$|Multiple passwords have been set)/,
      );
      expect(remedy, code).toMatch(/\S/);
      expect(remedy, code).not.toMatch(/\.$/);
    }
  }
});

test('every refusal in src has a code of a catalogue', () => {
  const strange: string[] = [];
  for (const file of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    for (const [, code = ''] of readFileSync(join(root, 'src', file), 'utf8').matchAll(/\brefuse\(\s*'([^']+)'/g))
      if (!codes.includes(code)) strange.push(`${file}: ${code}`);
  }
  expect(strange).toEqual([]);
});

test('every command that a remedy names exists', () => {
  const cli = readdirSync(join(root, 'src/cli'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(root, 'src/cli', file), 'utf8'))
    .join('\n');
  const words = new Set(
    [...cli.matchAll(/(?:\.command\(\s*|for \(const \[word|\[)['`]([a-z]+)/g)].map((match) => match[1]),
  );
  const missing: string[] = [];
  for (const { catalogue } of all) {
    for (const [code, { remedy }] of Object.entries(catalogue)) {
      for (const [, line = ''] of remedy.matchAll(/`sallyport ([^`]+)`/g)) {
        const named = line.split(' ').filter((word) => /^[a-z]+$/.test(word));
        for (const word of named) if (!words.has(word)) missing.push(`${code}: ${line}`);
      }
    }
  }
  expect(missing).toEqual([]);
});

test('an exit code is given to codes that exist, and to each once', () => {
  const named = Object.values(codesOf).flat();
  expect(named.filter((code) => !codes.includes(code))).toEqual([]);
  expect(new Set(named).size).toBe(named.length);
});

test.each([
  ['cli.usage', 2],
  ['keeper.estate-invalid', 2],
  ['identity.code-wrong', 3],
  ['keeper.not-allowed', 4],
  ['keeper.no-such-thing', 6],
  ['vault.in-use', 7],
  ['keeper.session-over', 7],
  ['contract.no-keeper', 1],
  ['vault.tampered', 1],
  ['ECONNRESET', 1],
  ['unknown', 1],
])('%s ends a command with %i', (code, exit) => {
  expect(exitCodeOf(code)).toBe(exit);
});
