/** A gate loads the recorder: nothing that it reaches may know the database, the vault or the audit trail. */
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const src = join(import.meta.dirname, '..', '..', 'src');

/** Every file of ours that is loaded with this one. Types are erased and load nothing. */
function reached(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const code = readFileSync(file, 'utf8');
  for (const [, specifier = ''] of code.matchAll(/^(?:import|export) (?!type )[^;]*?from '(\.[^']+)';/gm)) {
    reached(join(dirname(file), specifier), seen);
  }
  return seen;
}

test.each(['recorder.ts', 'format/format.ts'])('%s reaches base and its own room only, and not the store', (door) => {
  const files = [...reached(join(src, 'recording', door))].map((file) => relative(src, file));
  expect(files.filter((file) => !/^(base|recording)\//.test(file))).toEqual([]);
  expect(files.filter((file) => /\/(store|sealing|recording)\.ts$/.test(file))).toEqual([]);
});
