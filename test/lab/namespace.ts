/**
 * Full machines: namespaces, accounts, sshd. The machine hangs on one pipe: its first process ends when our end of the
 * pipe closes, and the kernel ends the rest, so nothing outlives this process however it dies.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findProgram } from './install.ts';
import type { HostKeyType, Machine, MachineOptions, MachineUser } from './machine.ts';
import { plainEnv, type Ran, type RunOptions, run, runWell } from './run.ts';
import { keygenArguments, knownHosts, listening, SshdLog, sshdConfig } from './sshd.ts';

/** A process in namespaces of its own: the machine without its sshd. */
interface Shell extends AsyncDisposable {
  /** The argv prefix that runs a program inside. */
  readonly enter: readonly string[];
  readonly pid: number;
}

async function openShell(name: string, network: boolean): Promise<Shell> {
  const unshare = spawn(
    'unshare',
    [
      '--mount',
      '--uts',
      '--ipc',
      '--pid',
      '--fork',
      '--kill-child=SIGKILL',
      '--mount-proc',
      ...(network ? ['--net'] : []),
      'bash',
      join(import.meta.dirname, 'machine-init.sh'),
      name,
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { ...plainEnv } },
  );
  const ended = once(unshare, 'close');
  const words: string[] = [];
  unshare.stderr.on('data', (chunk: Buffer) => words.push(chunk.toString()));
  unshare.stdin.on('error', () => {});
  const ready = Promise.withResolvers<void>();
  createInterface({ input: unshare.stdout }).on('line', (line) => {
    if (line === 'ready') ready.resolve();
  });
  unshare.once('error', ready.reject);
  unshare.once('close', (code) => ready.reject(new Error(`machine ${name} ended with ${code}: ${words.join('')}`)));
  await ready.promise;
  const pid = unshare.pid ?? 0;
  const ns = `/proc/${pid}/ns`;
  return {
    pid,
    enter: [
      'nsenter',
      `--mount=${ns}/mnt`,
      `--uts=${ns}/uts`,
      `--ipc=${ns}/ipc`,
      `--pid=${ns}/pid_for_children`,
      ...(network ? [`--net=${ns}/net`] : []),
      '--',
    ],
    [Symbol.asyncDispose]: async () => {
      unshare.stdin.destroy();
      await ended;
    },
  };
}

/** A free port of this address. Whoever listens next on that address is the machine, so it stays free. */
async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  await once(server, 'close');
  if (bound === null || typeof bound === 'string') throw new Error(`no port on ${address}`);
  return bound.port;
}

/** One wire from the host into the machine's own network. The pair vanishes with the network. */
async function layWire(shell: Shell): Promise<{ address: string; device: string }> {
  const [x, y] = [randomInt(256), randomInt(64) * 4];
  const device = `lab${randomBytes(5).toString('hex')}`;
  await runWell(['ip', 'link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(shell.pid)]);
  await runWell(['ip', 'address', 'add', `10.231.${x}.${y + 1}/30`, 'dev', device]);
  await runWell(['ip', 'link', 'set', device, 'up']);
  const address = `10.231.${x}.${y + 2}`;
  await runWell([...shell.enter, 'ip', 'address', 'add', `${address}/30`, 'dev', 'eth0']);
  await runWell([...shell.enter, 'ip', 'link', 'set', 'eth0', 'up']);
  await runWell([...shell.enter, 'ip', 'route', 'add', 'default', 'via', `10.231.${x}.${y + 1}`]);
  return { address, device };
}

type Exec = (argv: readonly string[], options?: RunOptions, signal?: AbortSignal) => Promise<Ran>;
type PutFile = Machine['putFile'];

async function addUser(user: MachineUser, exec: Exec, putFile: PutFile): Promise<void> {
  const home = user.name === 'root' ? '/root' : `/home/${user.name}`;
  if (user.name !== 'root')
    await exec(['useradd', '--create-home', '--user-group', '--shell', user.shell ?? '/bin/bash', user.name]);
  if (user.password !== undefined) await exec(['chpasswd'], { input: `${user.name}:${user.password}\n` });
  if (user.authorizedKeys !== undefined) {
    await exec(['install', '-d', '-m', '700', '-o', user.name, '-g', user.name, `${home}/.ssh`]);
    const lines = user.authorizedKeys.map((line) => `${line.trim()}\n`).join('');
    await putFile(`${home}/.ssh/authorized_keys`, lines, { owner: user.name });
  }
  if (user.sudo !== undefined) {
    const rule = user.sudo === 'nopasswd' ? 'NOPASSWD: ALL' : 'ALL';
    await putFile(`/etc/sudoers.d/${user.name.replaceAll(/[.~]/g, '_')}`, `${user.name} ALL=(ALL:ALL) ${rule}\n`, {
      mode: '0440',
    });
  }
}

async function makeHostKeys(types: readonly HostKeyType[], exec: Exec): Promise<{ files: string[]; lines: string[] }> {
  const files = types.map((type) => `/etc/ssh/ssh_host_${type.replace('-', '_')}_key`);
  await exec(['sh', '-c', 'rm -f /etc/ssh/ssh_host_*']);
  const make = async (type: HostKeyType, i: number): Promise<string> => {
    await exec(['ssh-keygen', '-q', '-N', '', '-C', '', ...keygenArguments(type), '-f', files[i] ?? '']);
    return (await exec(['cat', `${files[i]}.pub`])).stdout.trim();
  };
  return { files, lines: await Promise.all(types.map(make)) };
}

/** Starts a full machine; only as root. */
export async function startNamespaceMachine(options: MachineOptions, signal?: AbortSignal): Promise<Machine> {
  await using undo = new AsyncDisposableStack();
  const netns = options.network === 'netns';
  const shell = undo.use(await openShell(options.name, netns));
  const log = new SshdLog();
  const inside = (argv: readonly string[], more?: RunOptions, until = signal): Promise<Ran> =>
    run([...shell.enter, ...argv], more, until);
  const exec: Exec = async (argv, more) => runWell([...shell.enter, ...argv], more, signal);
  const putFile: PutFile = async (path, content, file = {}) => {
    const script = 'umask 077 && mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1" && chown "$3:" "$1"';
    await exec(['sh', '-c', script, 'sh', path, file.mode ?? '0600', file.owner ?? 'root'], { input: content });
  };

  if (options.slowRefusal !== true) await exec(['sed', '-i', '/pam_unix\\.so/s/$/ nodelay/', '/etc/pam.d/common-auth']);
  // Once libpam-pwquality is installed it judges every new password. Debian's list of words for it is made when the
  // package is set up, which the lab's host may never have done.
  await putFile('/etc/security/pwquality.conf', 'dictcheck = 0\n', { mode: '0644' });
  for (const user of options.users) await addUser(user, exec, putFile);

  const wire = netns ? await layWire(shell) : undefined;
  const address = wire?.address ?? `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
  const port = netns ? 22 : await freePort(address);
  let types: readonly HostKeyType[] = options.hostKeyTypes ?? ['ed25519', 'ecdsa-256'];
  let keys = await makeHostKeys(types, exec);
  let lines = options.sshd ?? [];
  let sshd: ChildProcess | undefined;

  async function startSshd(): Promise<void> {
    const defaults = [
      'UsePAM yes',
      'PermitRootLogin yes',
      'KbdInteractiveAuthentication no',
      'X11Forwarding yes',
      'AcceptEnv LANG LC_*',
      'Subsystem sftp /usr/lib/openssh/sftp-server',
    ];
    const facts = { address, port, hostKeyFiles: keys.files, pidFile: '/run/sshd.pid', defaults };
    await putFile('/etc/ssh/sshd_config', sshdConfig(facts, lines), { mode: '0644' });
    const argv = [...shell.enter.slice(1), findProgram('sshd') ?? '/usr/sbin/sshd', '-D', '-e'];
    sshd = spawn(shell.enter[0] ?? '', argv, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...plainEnv } });
    await listening(sshd, log);
  }
  async function stopSshd(): Promise<void> {
    const running = sshd;
    if (running === undefined) return;
    sshd = undefined;
    const ended = running.exitCode === null ? once(running, 'exit') : undefined;
    await exec(['sh', '-c', 'kill "$(cat /run/sshd.pid)"']);
    await ended;
  }
  await startSshd();

  const life = undo.move();
  return {
    name: options.name,
    kind: 'full',
    address,
    port,
    get hostKeys() {
      return keys.lines;
    },
    knownHosts: (host = address, at = port) => knownHosts(keys.lines, host, at),
    exec: inside,
    readFile: async (path) => (await exec(['cat', path])).stdout,
    putFile,
    sshdLog: () => log.text(),
    logged: (pattern, until = new AbortController().signal) => log.find(pattern, until),
    restartSshd: async (change = {}) => {
      await stopSshd();
      lines = change.sshd ?? lines;
      types = change.hostKeyTypes ?? types;
      if (change.hostKeyTypes !== undefined) keys = await makeHostKeys(types, exec);
      await startSshd();
    },
    stopSshd,
    setWire: async (up) => {
      if (wire === undefined) throw new Error(`${options.name} is on loopback; only a netns machine has a wire`);
      await runWell(['ip', 'link', 'set', wire.device, up ? 'up' : 'down']);
    },
    stop: () => life.disposeAsync(),
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}
