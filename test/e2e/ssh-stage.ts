/**
 * What the tests of the SSH path share: one product, one machine whose accounts want to be logged in to in different
 * ways, people with different factors, and the audit trail as it grows. The gate's host keys are pinned for every client.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { caller } from '../../src/cli/caller.ts';
import { makeKey, openClient, type Reach, ssh, type SshOptions } from '../lab/client.ts';
import { type Machine, startMachine } from '../lab/machine.ts';
import { type Ran, run, runWell } from '../lab/run.ts';
import { type Product, type ProductOptions, startProduct } from '../support/sallyport.ts';

export const target = 'web-01';

export interface AuditRow {
  readonly seq: number;
  readonly type: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface Stage extends AsyncDisposable {
  readonly product: Product;
  readonly machine: Machine;
  /** A folder of the test's own, on the client's side. */
  readonly scratch: string;
  /** Where clients come in, with the gate's keys. */
  readonly gate: Reach;
  readonly aliceKey: string;
  readonly passwords: Readonly<Record<'alice' | 'bob' | 'erin', string>>;
  /** The secrets of the target's accounts, as they were given to the vault. */
  readonly secrets: Readonly<Record<'deploy' | 'kbd', string>>;
  /** One ssh of alice with her key, to `deploy@web-01` unless `user` says otherwise. */
  ssh(command: string | undefined, options?: Partial<SshOptions>, signal?: AbortSignal): Promise<Ran>;
  /** A client of alice's that takes ssh's options: scp, sftp, rsync… `argv` gets those of ssh, port included. */
  tool(argv: (options: readonly string[], gate: Reach) => readonly string[], more?: ToolOptions): Promise<Ran>;
  /** Everything audited so far. */
  readonly trail: readonly AuditRow[];
  /** The first event at or after `from` that is like this, now or as soon as it is written; fails after `seconds`. */
  event(like: (row: AuditRow) => boolean, from?: number, seconds?: number): Promise<AuditRow>;
  /** As many events as there are now: what `event` takes to look only at later ones. */
  mark(): Promise<number>;
}

export interface ToolOptions {
  readonly options?: readonly string[];
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
}

export const alice = 'alice@deploy@web-01';

const sshd = [
  'PermitUserEnvironment no',
  'MaxSessions 64',
  'AllowAgentForwarding yes',
  'AllowTcpForwarding yes',
  'PermitRootLogin yes',
  'Match User kbd',
  'PasswordAuthentication no',
  'KbdInteractiveAuthentication yes',
  'Match User keyed',
  'PasswordAuthentication no',
];

export interface StageOptions {
  readonly product?: ProductOptions;
  /** Lines for the target's sshd. */
  readonly sshd?: readonly string[];
}

/** Starts all of it; the target's keys are trusted and its secrets in the vault. */
export async function openStage(change: StageOptions = {}): Promise<Stage> {
  await using undo = new AsyncDisposableStack();
  const scratch = undo.use(await mkdtempDisposable(join(tmpdir(), 'ssh-e2e-'))).path;
  const person = await makeKey(scratch);
  const account = await makeKey(scratch, 'ecdsa-256');
  const secrets = { deploy: word(), kbd: word() };
  const passwords = { alice: word(), bob: word(), erin: word() };
  const machine = undo.use(
    await startMachine({
      name: target,
      users: [
        { name: 'deploy', password: secrets.deploy },
        { name: 'kbd', password: secrets.kbd },
        { name: 'keyed', authorizedKeys: [account.line] },
      ],
      sshd: [...(change.sshd ?? []), ...sshd],
    }),
  );
  const product = undo.use(await startProduct(change.product));
  const over = new AbortController();
  undo.defer(() => over.abort(new Error('the stage is closed')));
  // The keeper's routes, as the command line calls them, without the price of a process for each.
  const keeper = caller(product.data, 'json', over.signal);
  const enrolment = { code: Buffer.from(product.code ?? ''), name: 'alice', password: Buffer.from(passwords.alice) };
  await keeper.call('enrol', { ...enrolment, publicKey: person.line });
  await keeper.call('estate.apply', { text: estate(machine, person.line), dryRun: false, prune: false });
  await product.ask(['target', 'trust', target, '--yes']);
  const store = (account: string, secret: Buffer) =>
    keeper.call('account.store', { account: `${account}@${target}`, secret, unverified: false });
  await Promise.all([
    store('deploy', Buffer.from(secrets.deploy)),
    store('kbd', Buffer.from(secrets.kbd)),
    store('keyed', await readFile(account.file)),
    keeper.call('user.password', { name: 'bob', password: Buffer.from(passwords.bob) }),
    keeper.call('user.password', { name: 'erin', password: Buffer.from(passwords.erin) }),
  ]);

  const trail: AuditRow[] = [];
  const waiting = new Set<() => void>();
  const followed = keeper.call('audit.tail', { limit: 10_000, follow: true }, (row) => {
    trail.push(row);
    for (const look of waiting) look();
  });
  followed.catch(() => {});
  const keys = await runWell(['ssh-keyscan', '-p', String(product.ssh.port), product.ssh.address]);
  const gate = { ...product.ssh, knownHosts: keys.stdout };

  const event: Stage['event'] = async (like, from = 0, seconds = 30) => {
    const { promise, resolve, reject } = Promise.withResolvers<AuditRow>();
    const look = (): void => {
      const found = trail.find((row) => row.seq > from && like(row));
      if (found !== undefined) resolve(found);
    };
    const late = setTimeout(() => {
      const seen = trail.filter((row) => row.seq > from).map((row) => JSON.stringify(row));
      reject(new Error(`no such event in ${seconds} s; there were\n${seen.join('\n')}`));
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

  const life = undo.move();
  return {
    product,
    machine,
    scratch,
    gate,
    aliceKey: person.file,
    passwords,
    secrets,
    ssh: async (command, options = {}, signal) =>
      ssh(
        gate,
        { user: alice, keyFile: person.file, ...(command === undefined ? {} : { command }), ...options },
        signal,
      ),
    tool: async (argv, more = {}) => {
      await using client = await openClient(gate, { user: alice, keyFile: person.file, options: more.options ?? [] });
      const options = [...client.arguments, '-o', `Port=${gate.port}`];
      return await run([...argv(options, gate)], {
        env: client.env,
        ...(more.input === undefined ? {} : { input: more.input }),
        ...(more.cwd === undefined ? {} : { cwd: more.cwd }),
      });
    },
    trail,
    event,
    mark: async () => {
      let newest = 0;
      await keeper.call('audit.tail', { limit: 1, follow: false }, (row) => {
        newest = row.seq;
      });
      return newest;
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** Passes every password policy, and is in no dictionary. */
function word(): string {
  return `Pw-${randomBytes(12).toString('base64url')}!`;
}

function estate(machine: Machine, key: string): string {
  return `
groups: [{ name: ops }, { name: web }, { name: files }]
users:
  - { name: alice, roles: [administrator], groups: [ops] }
  - { name: bob, groups: [web] }
  - { name: erin, groups: [ops] }
  - { name: carol@corp.example, groups: [ops], keys: ['${key}'] }
  - { name: dave, groups: [ops], keys: ['${key}'] }
  - { name: frank, groups: [files], keys: ['${key}'] }
targets:
  - { name: ${target}, platform: linux, address: ${machine.address}, services: [{ protocol: ssh, port: ${machine.port} }] }
accounts:
  - { name: deploy@${target}, kind: password, policy: Standard }
  - { name: kbd@${target}, kind: password, policy: Standard }
  - { name: keyed@${target}, kind: ssh-key, policy: Standard }
grants:
  - { name: ops, group: ops, targets: [${target}] }
  - { name: web, group: web, accounts: [deploy@${target}] }
  - { name: files, group: files, accounts: [deploy@${target}], subprotocols: [scp-up, sftp] }
`;
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The sha256 of a file on the machine. */
export async function sumThere(machine: Machine, path: string): Promise<string> {
  const ran = await machine.exec(['sha256sum', path]);
  return ran.stdout.split(' ')[0] ?? '';
}
