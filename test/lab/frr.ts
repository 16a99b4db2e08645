/**
 * A router of one's own: FRR's ripd with its command line on telnet, in a temporary folder on 127.0.0.1, with no zebra and
 * no routes. Real login, enable, configuration and `write memory`. As root it runs as FRR's own user.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainEnv, run } from './run.ts';

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

/** Ends the daemon when our end of its standard input closes, however this process dies. */
const watch = 'set -m; "$@" & child=$!; { cat >/dev/null; kill -9 $child; } & wait $child; kill -- -$! 2>/dev/null';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  await once(server, 'close');
  if (bound === null || typeof bound === 'string') throw new Error('no port on loopback');
  return bound.port;
}

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
  let end = async (): Promise<void> => {};

  async function start(text: string): Promise<void> {
    await writeFile(file, text);
    await chown(file, uid, gid);
    const argv = [ripd, '-f', file, '-A', address, '-P', String(port), '-i', join(folder, 'pid')];
    const more = ['-z', join(folder, 'zebra.sock'), '--vty_socket', folder, '--log', `file:${logFile}`];
    const child = spawn('bash', ['-c', watch, 'watch', ...argv, ...more], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: plainEnv,
    });
    const words: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => words.push(chunk));
    child.stdin.on('error', () => {});
    const exited = once(child, 'exit');
    end = async () => {
      child.stdin.destroy();
      await exited;
    };
    // It says nothing when it is ready; the port that opens is the event.
    while (!(await answers(address, port)))
      if (child.exitCode !== null) throw new Error(`ripd ended: ${Buffer.concat(words).toString()}`);
  }
  await start(configuration);
  undo.defer(() => end());

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
      await end();
      await start(next);
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** Whether somebody takes connections there, and greets. */
function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (yes: boolean) => () => {
      socket.destroy();
      resolve(yes);
    };
    socket.on('data', done(true));
    socket.on('error', done(false));
    socket.on('close', done(false));
  });
}
