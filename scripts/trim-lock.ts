/**
 * `node scripts/trim-lock.ts` after every `npm install`: makes package-lock.json install with npm 10, 11 and 12 on any
 * machine. Optional platform packages that could not be had are named in the lock without being in it, which
 * `npm ci` refuses; and `engines` are compared with the machine's own Node, which is not the one that runs this project.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Entry {
  engines?: unknown;
  optionalDependencies?: Record<string, string>;
}

const file = join(import.meta.dirname, '../package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Entry> };
for (const entry of Object.values(lock.packages)) {
  delete entry.engines;
  for (const name of Object.keys(entry.optionalDependencies ?? {})) {
    if (lock.packages[`node_modules/${name}`] === undefined) delete entry.optionalDependencies?.[name];
  }
}
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
