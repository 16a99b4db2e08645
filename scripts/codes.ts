/** Writes docs/codes.md from every catalogue of errors in src. `test/codes.test.ts` compares them. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ErrorCatalogue } from '../src/base/errors.ts';

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs', 'codes.md');

/** One catalogue: the file that declares it, relative to src, and its entries. */
export interface Declared {
  readonly file: string;
  readonly catalogue: ErrorCatalogue;
}

/** Every catalogue that a file of src declares with `defineErrors`, by the name of the file. */
export async function declared(): Promise<Declared[]> {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && file !== 'base/errors.ts')
    .filter((file) => readFileSync(join(root, 'src', file), 'utf8').includes('= defineErrors('))
    .toSorted();
  return await Promise.all(
    files.map(async (file) => {
      const door = (await import(pathToFileURL(join(root, 'src', file)).href)) as Record<string, unknown>;
      const found = Object.entries(door).find(([name]) => name.endsWith('Errors'))?.[1];
      if (found === undefined) throw new Error(`${file} declares errors and does not export them as …Errors`);
      return { file, catalogue: found as ErrorCatalogue };
    }),
  );
}

/** The page as it should be. */
export function codesPage(all: readonly Declared[]): string {
  const parts = all.map(({ file, catalogue }) => {
    const room = file.replace(/\/?errors\.ts$|\.ts$/, '').replace(/^(.*)\/\1$/, '$1');
    const rows = Object.entries(catalogue).map(
      ([code, { meaning, remedy }]) => `| \`${code}\` | ${cell(meaning)} | ${cell(remedy)} |`,
    );
    return `## ${room}\n\n| code | what it means | what you can do |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Codes

Made by \`node scripts/codes.ts\` from the catalogues in \`src\`. A code never changes once it is released: match the
code, not the words. Refusals of the gate show a person the same words whatever the reason; the code is in the log and
in the audit trail.

${parts.join('\n')}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

if (import.meta.main) {
  mkdirSync(join(page, '..'), { recursive: true });
  writeFileSync(page, codesPage(await declared()));
}
