/** Starts the product as a user does, as processes, and speaks to it through its own command line. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { run, type Ran } from '../lab/run.ts';

export const root: string = join(import.meta.dirname, '../..');
const main = join(root, 'src/main.ts');

export interface Product extends AsyncDisposable {
  readonly data: string;
  readonly rootKey: string;
  /** Where ssh clients come in. */
  readonly ssh: { readonly address: string; readonly port: number };
  /** Where clients of RDP come in. */
  readonly rdp: { readonly address: string; readonly port: number };
  /** The one-time code of the first administrator, if there was nobody. */
  readonly code: string | undefined;
  /** The supervisor's process id; its children are found below it. */
  readonly pid: number;
  /** Runs one command of the CLI. */
  cli(argv: readonly string[], input?: string): Promise<Ran>;
  /** The same; throws what it printed unless it succeeded; gives the JSON that it printed. */
  ask<T = Record<string, unknown>>(argv: readonly string[], input?: string): Promise<T>;
  /** Lines of the log so far. */
  log(): string;
  /** SIGTERM, and everything ended. Disposing does the same and removes the data. */
  stop(): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<number | null>;
}

export interface ProductOptions {
  /** An existing home with data and key, from an earlier start; not removed. */
  readonly home?: string;
  readonly gates?: number;
  readonly logLevel?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly port?: number;
  readonly rdpPort?: number;
  /** Put before the command, e.g. a tracer. */
  readonly wrap?: readonly string[];
  /** The `src/main.ts` of another copy of the program. */
  readonly main?: string;
}

/** A folder in which the product can live: passable for its own users. */
export function makeHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'sallyport-'));
  chmodSync(home, 0o755);
  return home;
}

export async function startProduct(options: ProductOptions = {}): Promise<Product> {
  const home = options.home ?? makeHome();
  const data = join(home, 'data');
  const rootKey = join(home, 'key/root.key');
  mkdirSync(join(home, 'key'), { recursive: true, mode: 0o700 });
  const env = { PATH: process.env['PATH'] ?? '', ...options.env };
  const argv = [
    ...(options.wrap ?? []),
    process.execPath,
    options.main ?? main,
    '--data',
    data,
    'start',
    '--root-key',
    rootKey,
    '--ssh-listen',
    `127.0.0.1:${options.port ?? 0}`,
    '--rdp-listen',
    `127.0.0.1:${options.rdpPort ?? 0}`,
    '--gates',
    String(options.gates ?? 1),
    '--log-level',
    options.logLevel ?? 'info',
  ];
  const child = spawn(argv[0] ?? '', argv.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (status) => resolve(status)));
  let log = '';
  child.stderr.on('data', (bytes: Buffer) => {
    log += bytes.toString('utf8');
  });
  const said: string[] = [];
  const up = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      said.push(line);
      if (/^ {2}(connect|\S*sallyport --data)/.test(line)) resolve();
    });
  });
  await Promise.race([
    up,
    exited.then((status) => {
      throw new Error(`sallyport start ended with ${status}\n${said.join('\n')}\n${log.slice(-4000)}`);
    }),
  ]);
  const at = /^ {2}ssh +([^:]+):(\d+)/m.exec(said.join('\n'));
  const rdp = /^ {2}rdp +([^:]+):(\d+)/m.exec(said.join('\n'));
  const code = /^ {2}([a-z0-9]{6}(?:-[a-z0-9]{4,6})+)$/m.exec(said.join('\n'))?.[1];
  const cli = (words: readonly string[], input = ''): Promise<Ran> =>
    run([process.execPath, main, '--data', data, ...words], { input, env });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  return {
    data,
    rootKey,
    ssh: { address: at?.[1] ?? '', port: Number(at?.[2]) },
    rdp: { address: rdp?.[1] ?? '', port: Number(rdp?.[2]) },
    code,
    pid: child.pid ?? 0,
    cli,
    ask: async (words, input) => {
      const ran = await cli(['-o', 'json', ...words], input);
      if (ran.code !== 0) throw new Error(`sallyport ${words.join(' ')}: ${ran.code}\n${ran.stdout}${ran.stderr}`);
      return JSON.parse(ran.stdout) as never;
    },
    log: () => log,
    stop,
    kill: (signal) => void child.kill(signal),
    exited,
    [Symbol.asyncDispose]: async () => {
      await stop();
      if (options.home === undefined) rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Processes of the product by what they are, from /proc: `keeper`, `gate`, `postgres`. */
export function partsOf(supervisor: number): { readonly name: string; readonly pid: number }[] {
  const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean);
  return children.map((pid) => {
    const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const name = argv.includes('keeper')
      ? 'keeper'
      : argv.includes('gate')
        ? 'gate'
        : argv.some((word) => /postgres/.test(word))
          ? 'postgres'
          : 'other';
    return { name, pid: Number(pid) };
  });
}
