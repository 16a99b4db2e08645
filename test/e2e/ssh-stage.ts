/**
 * What the tests of the SSH path share: one product, one machine whose accounts want to be logged in to in different
 * ways, people with different factors, and the audit trail as it grows. The gate's host keys are pinned for every client.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { makeKey, openClient, type Reach, ssh, type SshOptions } from '../lab/client.ts';
import { type Machine, startMachine } from '../lab/machine.ts';
import { type Ran, run, runWell } from '../lab/run.ts';
import { type Product, type ProductOptions, root, startProduct } from '../support/sallyport.ts';

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
  const ask: Product['ask'] = (words, input) => product.ask(words, input);
  await ask(['enrol', 'alice', '--stdin', '--key', person.line], `${product.code ?? ''}\n${passwords.alice}\n`);
  await ask(['apply', '-f', '-'], estate(machine, person.line));
  await ask(['target', 'trust', target, '--yes']);
  for (const name of ['deploy', 'kbd'] as const)
    await ask(['account', 'set', `${name}@${target}`, '--stdin'], secrets[name]);
  await ask(
    ['account', 'set', `keyed@${target}`, '--stdin'],
    await runWell(['cat', account.file]).then((ran) => ran.stdout),
  );
  for (const name of ['bob', 'erin'] as const) await ask(['user', 'passwd', name, '--stdin'], passwords[name]);

  const trail: AuditRow[] = [];
  const waiting = new Set<() => void>();
  const follower = spawn(
    process.execPath,
    [join(root, 'src/main.ts'), '--data', product.data, '-o', 'json', 'audit', 'tail', '-n', '10000', '-f'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  undo.defer(() => void follower.kill('SIGKILL'));
  createInterface({ input: follower.stdout }).on('line', (line) => {
    trail.push(JSON.parse(line) as AuditRow);
    for (const look of waiting) look();
  });
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
      const rows = await ask<AuditRow | AuditRow[]>(['audit', 'tail', '-n', '1']);
      return (Array.isArray(rows) ? rows[0] : rows)?.seq ?? 0;
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
