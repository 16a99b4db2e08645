/** What the pages say is so: paths exist, named tests exist, the example estate is one, every dependency is explained. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { applyEstate } from '../src/keeper/apply.ts';
import { readEstate } from '../src/keeper/estate-file.ts';
import { testDatabase } from './support/database.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
];

test.each(pages)('every path that %s names is there', (page) => {
  const text = read(page).replace(/```[\s\S]*?```/g, '');
  const named = [
    ...[...text.matchAll(/`((?:src|test|docs|bench|bin|scripts|deploy)\/[^`\s*<>]*)`/g)].map((at) => at[1] ?? ''),
    ...[...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)/g)].map((at) =>
      join(dirname(page), at[1] ?? ''),
    ),
  ];
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

describe('docs/coverage.md', () => {
  const rows = read('docs/coverage.md')
    .split('\n')
    .filter((line) => /^\| [A-Z]-\d+ \|/.test(line));

  test.each(rows.map((row) => [row.slice(2, row.indexOf(' |')), row]))(
    '%s is proved by tests that are there',
    (_, row) => {
      const parts = [...row.matchAll(/`(test\/[^`]+)`((?:[:,]? “[^”]+”)+)/g)];
      expect(parts.length, 'no test is named').toBeGreaterThan(0);
      for (const [, file = '', sentences = ''] of parts) {
        const source = read(file);
        for (const [, sentence = ''] of sentences.matchAll(/“([^”]+)”/g)) {
          const spellings = [`'${sentence.replaceAll("'", "\\'")}'`, `"${sentence}"`, `\`${sentence}\``];
          const there = spellings.some(
            (at) => source.includes(`(${at}`) || source.split('\n').some((line) => line.trim() === `${at},`),
          );
          expect(there, `${file} has no test “${sentence}”`).toBe(true);
        }
      }
    },
  );

  test('no row is there twice', () => {
    const ids = rows.map((row) => row.slice(2, row.indexOf(' |')));
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
  });
});

test('the example of docs/estate.md is an estate that can be applied', async () => {
  const example = /```yaml\n([\s\S]*?)```/.exec(read('docs/estate.md'))?.[1] ?? '';
  await using base = await testDatabase();
  const actor = { kind: 'operator', name: 'test' } as const;
  const { changes } = await applyEstate(base.db, readEstate(example), { actor, dryRun: false, prune: false });
  expect(changes.length).toBeGreaterThan(10);
  expect(changes.every(({ change }) => change === 'created')).toBe(true);
});

test('every dependency has its line in docs/dependencies.md', () => {
  const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
  const names = ['dependencies', 'optionalDependencies', 'devDependencies'].flatMap((kind) =>
    Object.keys(manifest[kind] ?? {}),
  );
  const explained = [
    ...(read('docs/dependencies.md')
      .split('## Data')[0]
      ?.matchAll(/^\| `([^`]+)`/gm) ?? []),
  ].map((at) => at[1]);
  expect(new Set(explained)).toEqual(new Set(names));
});
