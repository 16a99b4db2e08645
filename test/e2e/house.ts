/**
 * What the tests of refusal, rotation and revocation share: one product, an administrator, and the audit trail as it
 * grows. The trail is followed over the keeper's socket, also across a killed keeper, so that tests wait for events.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { type Caller, caller } from '../../src/cli/caller.ts';
import { makeKey, openSsh, type Reach, ssh, type SshOptions } from '../lab/client.ts';
import type { Machine } from '../lab/machine.ts';
import { runWell } from '../lab/run.ts';
import { makeHome, type Product, type ProductOptions, startProduct } from '../support/sallyport.ts';

export interface AuditRow {
  readonly seq: number;
  readonly at: string;
  readonly type: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export type Like = (row: AuditRow) => boolean;

export interface House extends AsyncDisposable {
  /** Stays when the product is stopped: for looking into its vault. */
  readonly home: string;
  readonly product: Product;
  readonly scratch: string;
  /** Where clients come in, with the gate's host keys. */
  readonly gate: Reach;
  readonly key: { readonly file: string; readonly line: string };
  /** A route of the keeper, without the price of a process. */
  readonly call: Caller['call'];
  /** The newest event's number; events after it are what a test is about. */
  mark(): Promise<number>;
  /** The first event after `from` that is like this, now or as soon as it is written; throws after `seconds`. */
  event(like: Like, from: number, seconds?: number): Promise<AuditRow>;
  /** Everything after `from` that is in the trail now. */
  trail(from: number): Promise<readonly AuditRow[]>;
  /** alice, the administrator, through the gate with her key. */
  visit(account: string, options?: Partial<SshOptions>): ReturnType<typeof ssh>;
  /** The same, and it stays. */
  stay(account: string, options?: Partial<SshOptions>): Promise<Visitor>;
  /** Ends the product, without ending the house. */
  stop(): Promise<void>;
}

/** A session that runs. */
export interface Visitor extends AsyncDisposable {
  readonly session: string;
  /** Resolves as soon as the client has got this text. */
  shows(text: string): Promise<void>;
  readonly said: () => string;
  readonly type: (text: string) => void;
  /** Ends the client's input. */
  leave(): void;
  /** Exit status, when the client ended (milliseconds since 1970), and all that it said. */
  readonly over: Promise<{ readonly code: number | null; readonly at: number; readonly stderr: string }>;
}

/** A password that every policy takes and that nobody else has. */
export function word(): string {
  return `Pw-${randomBytes(12).toString('base64url')}!7a`;
}

/** Starts the product and enrols alice; `estate` is applied after that, with her key at hand. */
export async function openHouse(estate: (keyLine: string) => string, options: ProductOptions = {}): Promise<House> {
  await using undo = new AsyncDisposableStack();
  const scratch = undo.use(await mkdtempDisposable(`${tmpdir()}/house-`)).path;
  const home = makeHome();
  undo.defer(() => runWell(['rm', '-rf', home]).then(() => {}));
  const key = await makeKey(scratch);
  const product = undo.use(await startProduct({ ...options, home }));
  const over = new AbortController();
  undo.defer(() => over.abort(new Error('the house is closed')));
  const keeper = caller(product.data, 'json', over.signal);
  const call: Caller['call'] = (name, fields, onPart) => keeper.call(name, fields, onPart);
  const enrolment = { code: Buffer.from(product.code ?? ''), name: 'alice', password: Buffer.from(word()) };
  await call('enrol', { ...enrolment, publicKey: key.line });
  await call('estate.apply', { text: estate(key.line), dryRun: false, prune: false });

  const rows: AuditRow[] = [];
  const waiting = new Set<() => void>();
  const add = (row: AuditRow): void => {
    rows.push(row);
    for (const look of waiting) look();
  };
  void followTrail(call, rows, add, over.signal);
  const keys = await runWell(['ssh-keyscan', '-p', String(product.ssh.port), product.ssh.address]);
  const gate = { ...product.ssh, knownHosts: keys.stdout };

  const event: House['event'] = async (like, from, seconds = 30) => {
    const { promise, resolve, reject } = Promise.withResolvers<AuditRow>();
    const look = (): void => {
      const found = rows.find((row) => row.seq > from && like(row));
      if (found !== undefined) resolve(found);
    };
    const late = setTimeout(() => {
      const seen = rows.filter((row) => row.seq > from).map((row) => JSON.stringify(row));
      reject(new Error(`no such event in ${seconds} s; there were\n${seen.join('\n')}\n${product.log().slice(-3000)}`));
    }, seconds * 1000);
    waiting.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(late);
      waiting.delete(look);
    }
  };
  const mark = async (): Promise<number> => {
    let newest = 0;
    await call('audit.tail', { limit: 1, follow: false }, (row) => {
      newest = row.seq;
    });
    return newest;
  };
  const life = undo.move();
  return {
    home,
    product,
    scratch,
    gate,
    key,
    call,
    mark,
    event,
    trail: async (from) => {
      const newest = await mark();
      await event((row) => row.seq >= newest, newest - 1);
      return rows.filter((row) => row.seq > from);
    },
    visit: (account, options = {}) => ssh(gate, { user: `alice@${account}`, keyFile: key.file, ...options }),
    stay: async (account, options = {}) => {
      const from = await mark();
      const { child, [Symbol.asyncDispose]: close } = await openSsh(gate, {
        user: `alice@${account}`,
        keyFile: key.file,
        command: 'echo here; exec cat',
        ...options,
      });
      const text = { out: '', err: '' };
      const looking = new Set<() => void>();
      const hear = (name: 'out' | 'err') => (bytes: Buffer) => {
        text[name] += bytes.toString();
        for (const look of looking) look();
      };
      child.stdout?.on('data', hear('out'));
      child.stderr?.on('data', hear('err'));
      const ended = new Promise<{ code: number | null; at: number; stderr: string }>((resolve) =>
        child.once('close', (code) => resolve({ code, at: Date.now(), stderr: text.err })),
      );
      const shows = async (wanted: string): Promise<void> => {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const look = (): void => {
          if (text.out.includes(wanted)) resolve();
        };
        looking.add(look);
        look();
        void ended.then(({ code, stderr }) => reject(new Error(`ssh ended with ${code}: ${stderr}`)));
        await promise;
        looking.delete(look);
      };
      await shows('here');
      const { details } = await event((row) => row.type === 'session.started', from);
      return {
        session: String(details['session']),
        shows,
        said: () => text.out,
        type: (typed) => void child.stdin?.write(typed),
        leave: () => void child.stdin?.end(),
        over: ended,
        [Symbol.asyncDispose]: close,
      };
    },
    stop: () => product.stop(),
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** Goes on where it was when the keeper dies and comes back. */
async function followTrail(
  call: Caller['call'],
  rows: readonly AuditRow[],
  add: (row: AuditRow) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await call('audit.tail', { after: rows.at(-1)?.seq ?? 0, limit: 10_000, follow: true }, add);
    } catch {
      // The socket is refused until there is a keeper again: each try is one connection.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/**
 * Whether a value (a password, or a private key as OpenSSH writes it) opens an account directly at the machine. Throws if
 * that cannot be told: a broken connection is no refusal.
 */
export async function opens(machine: Machine, user: string, value: string): Promise<'accepted' | 'refused'> {
  const reach = { address: machine.address, port: machine.port, knownHosts: machine.knownHosts() };
  await using folder = await mkdtempDisposable(`${tmpdir()}/tried-`);
  const file = `${folder.path}/key`;
  const key = value.startsWith('-----BEGIN');
  if (key) await writeFile(file, value, { mode: 0o600 });
  const ran = await ssh(reach, { user, command: 'true', ...(key ? { keyFile: file } : { answers: [value] }) });
  if (ran.code === 0) return 'accepted';
  if (ran.code === 255 && ran.stderr.includes('Permission denied')) return 'refused';
  throw new Error(`ssh as ${user} ended with ${ran.code}: ${ran.stderr}`);
}
