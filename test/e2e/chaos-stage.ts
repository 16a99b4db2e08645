/**
 * What the tests of chaos share: one product on a fixed port, so that a gate that is started again is found there; one
 * machine whose root account is changed after every session; people's sessions that stay and can be spoken to; and a look
 * at what the database holds, because a hold that nobody releases is seen nowhere else.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { silent } from '../../src/base/log.ts';
import { type Fields, openClient, type Reply, type RouteName } from '../../src/contract/contract.ts';
import { type Db, openDatabase } from '../../src/db/db.ts';
import { makeKey, openSsh, ssh } from '../lab/client.ts';
import { type Machine, startMachine } from '../lab/machine.ts';
import type { Ran } from '../lab/run.ts';
import { makeHome, partsOf, type Product, type ProductOptions, startProduct } from '../support/sallyport.ts';

export const account = 'root@web-01';
export const person = `alice@${account}`;

/** A person's terminal: an ssh with a pty that stays. */
export interface Terminal extends AsyncDisposable {
  /** Everything that it has shown so far. */
  shown(): string;
  /** Types a line. */
  type(line: string): void;
  /** Resolves when it shows what matches, at or after `from`; throws when it ends before, or after 30 s. */
  shows(pattern: RegExp): Promise<void>;
  /** Types a sum and waits for its result: bytes flow both ways. */
  answers(): Promise<void>;
  /** How it ended, and what ssh said of it. */
  readonly ended: Promise<{ readonly code: number | null; readonly said: string }>;
}

export interface Chaos extends AsyncDisposable {
  readonly home: string;
  readonly machine: Machine;
  readonly product: Product;
  /** What the account's secret was before the first change. */
  readonly secret: string;
  terminal(command?: string): Promise<Terminal>;
  /** One ssh to its end. */
  ssh(command: string): Promise<Ran>;
  call<N extends RouteName>(route: N, fields: Fields<N>): Promise<Reply<N>>;
  /** The process ids of a part. */
  pids(part: 'keeper' | 'gate' | 'postgres'): number[];
  /** The database as the product's own role sees it; also while the keeper is away. */
  readonly db: Db;
  holds(): Promise<number>;
  /** The product was ended; starts it again on the same home. */
  startAgain(options?: Partial<ProductOptions>): Promise<void>;
}

/** Looks again and again, until there is something; the last words are those of the last failure. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  seconds = 30,
): Promise<T> {
  let last = 'it is not so';
  for (const late = Date.now() + seconds * 1000; Date.now() < late; await pause(50)) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
  }
  throw new Error(`in ${seconds} s it did not come to this: ${what} (${last})`);
}

/** A port that nobody has. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = server.address();
  server.close();
  await once(server, 'close');
  return typeof at === 'object' && at !== null ? at.port : 0;
}

export async function openChaos(options: ProductOptions = {}): Promise<Chaos> {
  await using undo = new AsyncDisposableStack();
  const home = makeHome();
  undo.defer(() => rmSync(home, { recursive: true, force: true }));
  const scratch = mkdtempSync(join(tmpdir(), 'chaos-'));
  undo.defer(() => rmSync(scratch, { recursive: true, force: true }));
  const secret = `Pw-${randomBytes(12).toString('base64url')}!`;
  const [key, port, machine] = await Promise.all([
    makeKey(scratch),
    freePort(),
    startMachine({
      name: 'web-01',
      users: [{ name: 'root', password: secret }],
      sshd: ['MaxStartups 100', 'MaxSessions 64', 'PasswordAuthentication yes'],
    }),
  ]);
  undo.use(machine);
  let product = await startProduct({ home, port, ...options });
  const data = product.data;
  undo.defer(async () => {
    await product.stop();
    endDatabase(data);
  });

  async function call<N extends RouteName>(route: N, fields: Fields<N>): Promise<Reply<N>> {
    const signal = AbortSignal.timeout(60_000);
    await using client = await openClient(join(data, 'run/keeper/keeper.sock'));
    const answer = await client.call(route, fields, signal);
    if (typeof answer === 'object' && answer !== null && 'refused' in answer)
      throw new Error(`${route}: ${JSON.stringify(answer)}`);
    return answer as Reply<N>;
  }

  await product.ask(
    ['enrol', 'alice', '--stdin', '--key', key.line],
    `${product.code ?? ''}\nPw-${randomBytes(12).toString('base64url')}!\n`,
  );
  await call('estate.apply', { text: estate(machine), dryRun: false, prune: false });
  await product.ask(['target', 'trust', 'web-01', '--yes']);
  await product.ask(['account', 'set', account, '--stdin'], secret);
  const socket = encodeURIComponent(join(data, 'db/run'));
  const db = undo.use(
    await openDatabase(`postgres://sallyport_app@localhost/sallyport?host=${socket}`, { max: 2 }, silent),
  );
  const life = undo.move();

  return {
    home,
    machine,
    secret,
    db,
    get product() {
      return product;
    },
    call,
    terminal: (command) => openTerminal(product.ssh, key.file, command),
    ssh: (command) => ssh(product.ssh, { user: person, keyFile: key.file, command }, AbortSignal.timeout(60_000)),
    pids: (part) =>
      partsOf(product.pid)
        .filter((one) => one.name === part)
        .map((one) => one.pid),
    holds: async () =>
      (
        await db
          .selectFrom('hold')
          .select('id')
          .where('kind', '=', 'session')
          .where('released_at', 'is', null)
          .execute()
      ).length,
    startAgain: async (more = {}) => {
      product = await startProduct({ home, port, ...options, ...more });
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

async function openTerminal(
  gate: { readonly address: string; readonly port: number },
  keyFile: string,
  command: string | undefined,
): Promise<Terminal> {
  const client = await openSsh(gate, {
    user: person,
    keyFile,
    flags: ['-tt'],
    options: ['ConnectTimeout=20'],
    ...(command === undefined ? {} : { command }),
  });
  const { child } = client;
  let out = '';
  let said = '';
  let over = false;
  const waiting = new Set<() => void>();
  const changed = (): void => {
    for (const look of waiting) look();
  };
  child.stdin?.on('error', () => {});
  child.stdout?.on('data', (bytes: Buffer) => {
    out += bytes.toString('utf8');
    changed();
  });
  child.stderr?.on('data', (bytes: Buffer) => {
    said += bytes.toString('utf8');
  });
  const ended = new Promise<{ code: number | null; said: string }>((resolve) => {
    child.once('close', (code) => {
      over = true;
      changed();
      resolve({ code, said });
    });
  });
  const shows = async (pattern: RegExp): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = setTimeout(() => reject(new Error(`${pattern} was not shown in 30 s: ${out}${said}`)), 30_000);
    const look = (): void => {
      if (pattern.test(out)) resolve();
      else if (over) reject(new Error(`it ended before it showed ${pattern}: ${out}${said}`));
    };
    waiting.add(look);
    look();
    try {
      await promise;
    } finally {
      clearTimeout(late);
      waiting.delete(look);
    }
  };
  const type = (line: string): void => void child.stdin?.write(`${line}\n`);
  let asked = 0;
  return {
    shown: () => out,
    type,
    shows,
    answers: async () => {
      const number = ++asked;
      type(`echo "answer $((${number} + 1000))"`);
      await shows(new RegExp(`answer ${number + 1000}`));
    },
    ended,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** A database that outlived its supervisor. */
function endDatabase(data: string): void {
  const file = join(data, 'db/cluster/postmaster.pid');
  if (!existsSync(file)) return;
  try {
    process.kill(Number(readFileSync(file, 'utf8').split('\n')[0]), 'SIGQUIT');
  } catch {
    // It has ended.
  }
}

function estate(machine: Machine): string {
  return `
groups: [{ name: ops }]
users: [{ name: alice, roles: [administrator], groups: [ops] }]
targets:
  - { name: web-01, platform: linux, address: ${machine.address}, services: [{ protocol: ssh, port: ${machine.port} }] }
accounts:
  - { name: ${account}, kind: password, connector: linux-chpasswd, policy: Standard, rotateAfterSession: true }
grants:
  - { name: ops, group: ops, accounts: [${account}] }
`;
}
