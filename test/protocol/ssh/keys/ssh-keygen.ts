/** The independent judge of these tests: the machine's own ssh-keygen, in a folder that goes away. */
import { execFile } from 'node:child_process';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Keygen extends AsyncDisposable {
  readonly folder: string;
  run(...args: string[]): Promise<string>;
  read(name: string): Promise<Buffer>;
  write(name: string, bytes: Uint8Array | string): Promise<string>;
}

export async function keygen(): Promise<Keygen> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'sallyport-keys-'));
  return {
    folder: folder.path,
    run: async (...args) => (await run('ssh-keygen', args, { cwd: folder.path })).stdout,
    read: (name) => readFile(join(folder.path, name)),
    write: async (name, bytes) => {
      const path = join(folder.path, name);
      await writeFile(path, bytes, { mode: 0o600 });
      return path;
    },
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}
