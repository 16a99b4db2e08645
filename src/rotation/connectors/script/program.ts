/**
 * Finding a plugin, and refusing one that somebody else could have written: it gets secrets, and runs as we do. The file
 * and every folder above it belong to root or to us, nobody else may write there, and nothing is a link.
 */
import type { Stats } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf } from '../../../base/errors.ts';

export const programShape = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** The path of a plugin that may be run, or why there is none. */
export async function findPlugin(
  folder: string,
  name: string,
): Promise<{ readonly path: string } | { readonly fault: string }> {
  if (!programShape.test(name)) return { fault: `${JSON.stringify(name)} is no name of a program` };
  try {
    const real = await realpath(folder);
    for (let above = real; ; above = dirname(above)) {
      const stats = await lstat(above);
      // In a folder with the sticky bit only owners replace what is theirs; but the plugins themselves lie in none.
      const fault = owned(stats) ?? (above !== real && (stats.mode & 0o1000) !== 0 ? undefined : closed(stats));
      if (fault !== undefined) return { fault: `the folder ${above} ${fault}` };
      if (above === dirname(above)) break;
    }
    const path = join(real, name);
    const stats = await lstat(path);
    if (!stats.isFile()) return { fault: `${path} is no plain file` };
    const fault = owned(stats) ?? closed(stats);
    if (fault !== undefined) return { fault: `${path} ${fault}` };
    if ((stats.mode & 0o111) === 0) return { fault: `${path} is not executable` };
    return { path };
  } catch (error) {
    return { fault: `there is no plugin ${name} in ${folder} (${codeOf(error)})` };
  }
}

function owned({ uid }: Stats): string | undefined {
  return uid === 0 || uid === process.getuid?.() ? undefined : 'belongs to somebody else';
}

function closed({ mode }: Stats): string | undefined {
  return (mode & 0o022) === 0 ? undefined : 'can be written by others';
}
