/**
 * A router of one's own: FRR's ripd with its command line on telnet, in a temporary folder on 127.0.0.1, with no zebra and
 * no routes. Real login, enable, configuration and `write memory`. As root it runs as FRR's own user.
 */
import { chmod, chown, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './run.ts';
import { freePort } from './server.ts';
import { startTethered, type Tethered } from './tethered.ts';

export interface Router extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** What a restart would read. */
  saved(): Promise<string>;
  /** What FRR wrote into its log. */
  log(): Promise<string>;
  /** Lets `write memory` fail, or work again. */
  saving(works: boolean): Promise<void>;
  /** Ends it, writes this configuration unless it keeps its own, and starts it again on the same port. */
  restart(configuration?: string): Promise<void>;
}

const ripd = '/usr/lib/frr/ripd';

async function owner(): Promise<readonly [number, number]> {
  const ids = await Promise.all([run(['id', '-u', 'frr']), run(['id', '-g', 'frr'])]);
  return [Number(ids[0].stdout), Number(ids[1].stdout)];
}

/** Starts a router with this configuration (`hostname`, `password`, `enable password`…). */
export async function startRouter(configuration: string): Promise<Router> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'frr-'))).path;
  const [uid, gid] = await owner();
  await chown(folder, uid, gid);
  const file = join(folder, 'ripd.conf');
  const logFile = join(folder, 'ripd.log');
  const address = '127.0.0.1';
  const port = await freePort();
  let running: Tethered | undefined;

  async function start(text: string): Promise<void> {
    await writeFile(file, text);
    await chown(file, uid, gid);
    const argv = [ripd, '-f', file, '-A', address, '-P', String(port), '-i', join(folder, 'pid')];
    const more = ['-z', join(folder, 'zebra.sock'), '--vty_socket', folder, '--log', `file:${logFile}`];
    running = await startTethered([...argv, ...more], address, [port]);
  }
  await start(configuration);
  undo.defer(async () => running?.[Symbol.asyncDispose]());

  const life = undo.move();
  return {
    address,
    port,
    saved: () => readFile(file, 'utf8'),
    log: () => readFile(logFile, 'utf8'),
    saving: async (works) => {
      await chown(folder, works ? uid : 0, works ? gid : 0);
      await chmod(folder, 0o755);
    },
    restart: async (text) => {
      const next = text ?? (await readFile(file, 'utf8'));
      await running?.[Symbol.asyncDispose]();
      await start(next);
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}
