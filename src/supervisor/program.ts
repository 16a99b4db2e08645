/**
 * The program as the gates' user can read it. A checkout may lie below a 0700 folder; then `src`, the run-time
 * dependencies and Node itself are copied into the data directory once per version, and gates run from there.
 */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export interface Program {
  readonly node: string;
  readonly main: string;
}

const root = join(import.meta.dirname, '../..');

/** The program as it lies here. */
export const ownProgram: Program = { node: process.execPath, main: join(root, 'src/main.ts') };

/** The program for a user other than ours: in place if everybody may read it, else a copy below `folder`. */
export function programFor(uid: number | undefined, folder: string): Program {
  if (uid === undefined || (isPublic(ownProgram.main) && isPublic(ownProgram.node))) return ownProgram;
  const target = join(folder, fingerprint());
  const main = join(target, 'src/main.ts');
  const node = join(target, 'bin/node');
  if (!existsSync(target)) {
    rmSync(folder, { recursive: true, force: true });
    const fresh = `${target}.new`;
    mkdirSync(join(fresh, 'bin'), { recursive: true, mode: 0o755 });
    cpSync(join(root, 'src'), join(fresh, 'src'), { recursive: true });
    cpSync(join(root, 'package.json'), join(fresh, 'package.json'));
    for (const name of runtimePackages()) {
      cpSync(join(root, 'node_modules', name), join(fresh, 'node_modules', name), {
        recursive: true,
        dereference: true,
      });
    }
    cpSync(process.execPath, join(fresh, 'bin/node'), { dereference: true });
    renameSync(fresh, target);
  }
  return { node, main };
}

/** Whether everybody may read the file and pass through every folder above it. */
function isPublic(path: string): boolean {
  if ((statSync(path).mode & 0o004) === 0) return false;
  for (let at = dirname(path); ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** Names of the packages that run-time code needs, from the lock file; the database's binaries and Node are not among them. */
function runtimePackages(): string[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && entry.dev !== true && entry.optional !== true)
    .map(([path]) => path.replace(/^node_modules\//, ''))
    .filter((name) => existsSync(join(root, 'node_modules', name)));
}

/** Changes whenever a source file, the lock or Node changes. */
function fingerprint(): string {
  const hash = createHash('sha256').update(process.version);
  hash.update(readFileSync(join(root, 'package-lock.json')));
  const files = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  for (const file of files.map((entry) => join(entry.parentPath, entry.name)).toSorted()) {
    hash.update(relative(root, file)).update(readFileSync(file));
  }
  return hash.digest('hex').slice(0, 16);
}
