/**
 * An X display without a screen (Xvfb) on a number that was free, behind a cookie of its own and without TCP. It ends
 * with the test process, and everybody on it with it.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { displayPackages, requirePackages } from '../install.ts';
import { plainEnv, runWell } from '../run.ts';
import { startTethered } from '../tethered.ts';
import type { Screen } from './screen.ts';

export interface Display extends Screen, AsyncDisposable {
  readonly width: number;
  readonly height: number;
  /** Environment of whoever shall draw on it. HOME is a folder of the display's own. */
  readonly env: Readonly<Record<string, string>>;
  /** A folder that goes with the display. */
  readonly folder: string;
}

/** Starts a display, 1280x1024 unless told; ready when it takes clients. */
export async function startDisplay(
  size: { readonly width?: number; readonly height?: number } = {},
  signal?: AbortSignal,
): Promise<Display> {
  await requirePackages(displayPackages);
  await using undo = new AsyncDisposableStack();
  const { width = 1280, height = 1024 } = size;
  const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'lab-display-'))).path;
  const cookie = join(folder, 'cookie');
  await writeFile(cookie, cookieFile(randomBytes(16)), { mode: 0o600 });
  const screen = ['-screen', '0', `${width}x${height}x24`];
  // Without -noreset the server starts afresh whenever its last client leaves, and what was painted is lost.
  const argv = ['Xvfb', '-displayfd', '1', ...screen, '-auth', cookie, '-nolisten', 'tcp', '-noreset'];
  const server = undo.use(await startTethered(argv, '', []));
  const name = `:${(await server.said(/^(\d+)\n/m, signal))[1]}`;
  // A shell that dies with the display would write its history into a folder that is being removed.
  const env = { ...plainEnv, HISTFILE: '/dev/null', HOME: folder, DISPLAY: name, XAUTHORITY: cookie };
  const life = undo.move();
  return {
    name,
    width,
    height,
    env,
    folder,
    run: (argv, options, until = signal) => runWell(argv, { env, ...options }, until),
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** One entry of an Xauthority file that holds for every display: the number is not known before the server has it. */
function cookieFile(cookie: Buffer): Buffer {
  const counted = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, bytes.length]), bytes]);
  const nothing = Buffer.alloc(0);
  const parts = [nothing, nothing, Buffer.from('MIT-MAGIC-COOKIE-1'), cookie].map(counted);
  return Buffer.concat([Buffer.from([0xff, 0xff]), ...parts]);
}
