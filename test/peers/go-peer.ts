/**
 * The Go peer, where one can be had: built here from go-ssh with Go 1.25 or later, its only module from the Go module
 * proxy. It is neither in Debian nor in npm, so a machine without it leaves out what is compared with it, and says so.
 */
import { join } from 'node:path';
import { run } from '../lab/run.ts';

/** The program's path, or undefined where it cannot be built. */
export async function buildGoPeer(folder: string): Promise<string | undefined> {
  const program = join(folder, 'go-ssh');
  const cwd = join(import.meta.dirname, 'go-ssh');
  // Go's own settings come from the environment of whoever runs the tests
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/local/go/bin` } as Record<string, string>;
  const ran = await run(['go', 'build', '-o', program, '.'], { cwd, env }).catch(() => undefined);
  if (ran?.code === 0) return program;
  process.stderr.write(`no Go 1.25 with golang.org/x/crypto here, so it was not compared with\n${ran?.stderr ?? ''}`);
  return undefined;
}
