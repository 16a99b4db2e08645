/**
 * The machine of an ordinary user: an sshd that runs as that user, from a temporary folder, with key logins only.
 * It refuses what needs root: other accounts, passwords, sudo and a network of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { findProgram } from './install.ts';
import type { HostKeyType, Machine, MachineOptions } from './machine.ts';
import { plainEnv, run, runWell } from './run.ts';
import { keygenArguments, knownHosts, listening, SshdLog, sshdConfig } from './sshd.ts';

/** Ends sshd and its sessions when our end of its standard input closes, however this process dies. */
const watch = 'set -m; "$@" & child=$!; { cat >/dev/null; kill -- -$child; } & wait $child; kill -- -$! 2>/dev/null';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  await once(server, 'close');
  if (bound === null || typeof bound === 'string') throw new Error('no port on loopback');
  return bound.port;
}

/** Starts an sshd of the user who runs the tests. */
export async function startOwnMachine(options: MachineOptions, signal?: AbortSignal): Promise<Machine> {
  const me = userInfo().username;
  const asks = options.users.filter(
    (user) => user.name !== me || user.password !== undefined || user.sudo !== undefined,
  );
  if (asks.length > 0 || options.network === 'netns')
    throw new Error(
      `only root can make ${options.name}: it has other accounts than ${me}, passwords, sudo or a network`,
    );

  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'lab-'))).path;
  const env = { ...plainEnv, HOME: homedir() };
  const log = new SshdLog();
  const address = '127.0.0.1';
  const port = await freePort();
  const home = join(folder, 'home');
  const keysFile = join(home, '.ssh/authorized_keys');
  await mkdir(join(home, '.ssh'), { recursive: true, mode: 0o700 });
  await writeFile(
    keysFile,
    options.users
      .flatMap((user) => user.authorizedKeys ?? [])
      .map((line) => `${line.trim()}\n`)
      .join(''),
    { mode: 0o600 },
  );
  let types: readonly HostKeyType[] = options.hostKeyTypes ?? ['ed25519', 'ecdsa-256'];
  let lines = options.sshd ?? [];
  let hostKeys: string[] = [];
  let round = 0;
  let sshd: ChildProcess | undefined;

  async function makeHostKeys(): Promise<void> {
    round++;
    const make = async (type: HostKeyType): Promise<string> => {
      const file = join(folder, `host_${round}_${type}`);
      await runWell(['ssh-keygen', '-q', '-N', '', '-C', '', ...keygenArguments(type), '-f', file], { env }, signal);
      return (await readFile(`${file}.pub`, 'utf8')).trim();
    };
    hostKeys = await Promise.all(types.map(make));
  }
  async function startSshd(): Promise<void> {
    const defaults = [
      `AuthorizedKeysFile ${keysFile}`,
      // What a session changes under its home must not be the user's own.
      `SetEnv HOME=${home}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'Subsystem sftp internal-sftp',
    ];
    const hostKeyFiles = types.map((type) => join(folder, `host_${round}_${type}`));
    const facts = { address, port, hostKeyFiles, pidFile: join(folder, 'sshd.pid'), defaults };
    await writeFile(join(folder, 'sshd_config'), sshdConfig(facts, lines));
    const argv = [findProgram('sshd') ?? '/usr/sbin/sshd', '-D', '-e', '-f', join(folder, 'sshd_config')];
    sshd = spawn('bash', ['-c', watch, 'watch', ...argv], { stdio: ['pipe', 'ignore', 'pipe'], env });
    sshd.stdin?.on('error', () => {});
    await listening(sshd, log);
  }
  async function stopSshd(): Promise<void> {
    const running = sshd;
    if (running === undefined) return;
    sshd = undefined;
    const ended = running.exitCode === null ? once(running, 'exit') : undefined;
    running.stdin?.destroy();
    await ended;
  }
  await makeHostKeys();
  await startSshd();
  undo.defer(stopSshd);

  const life = undo.move();
  return {
    name: options.name,
    kind: 'own',
    address,
    port,
    home,
    get hostKeys() {
      return hostKeys;
    },
    knownHosts: (host = address, at = port) => knownHosts(hostKeys, host, at),
    exec: (argv, more = {}, until = signal) => run(argv, { env, ...more }, until),
    readFile: (path) => readFile(path, 'utf8'),
    putFile: async (path, content, file = {}) => {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content, { mode: 0o600 });
      await chmod(path, Number.parseInt(file.mode ?? '0600', 8));
    },
    sshdLog: () => log.text(),
    logged: (pattern, until = new AbortController().signal) => log.find(pattern, until),
    restartSshd: async (change = {}) => {
      await stopSshd();
      lines = change.sshd ?? lines;
      types = change.hostKeyTypes ?? types;
      if (change.hostKeyTypes !== undefined) await makeHostKeys();
      await startSshd();
    },
    stopSshd,
    setWire: () => Promise.reject(new Error(`${options.name} is on loopback; only a netns machine has a wire`)),
    stop: () => life.disposeAsync(),
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}
