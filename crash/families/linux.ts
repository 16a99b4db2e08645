/** Accounts of a Linux machine with a real sshd: their passwords, and their keys. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Machine, startMachine } from '../../test/lab/machine.ts';
import { runWell } from '../../test/lab/run.ts';
import { drawKey, drawPassword, type Value } from '../values.ts';
import type { Family, Named, Server } from './family.ts';

const keeperName = 'keeper';

async function startLinux(server: (machine: Machine) => Pick<Server, 'draw' | 'plant' | 'holds'>): Promise<Server> {
  const value = drawPassword();
  const machine = await startMachine({
    name: 'crash',
    users: [{ name: keeperName, password: value.text, sudo: 'nopasswd' }],
  });
  const { address, port } = machine;
  const before = (await machine.exec(['sh', '-c', 'ls -d /proc/[0-9]*'])).stdout.trim().split('\n').join(' ');
  return {
    address,
    port,
    service: (at) => {
      const hostKeys = machine.hostKeys.map((line) => new Uint8Array(Buffer.from(line.split(' ')[1] ?? '', 'base64')));
      return { name: 'ssh', protocol: 'ssh', port: at, hostKeys };
    },
    keeper: { name: keeperName, connector: 'linux-chpasswd', value },
    quiet: async () => {
      const ran = await machine.exec(['sh', '-c', quiet, 'sh', before]);
      if (ran.code !== 0) throw new Error(`the machine does not come to rest: ${ran.stdout}${ran.stderr}`);
    },
    ...server(machine),
    [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose](),
  };
}

/** Until nothing runs but what ran at the beginning, for at most half a minute; zombies do not run. */
const quiet = `n=0
while :; do
  busy=
  for p in /proc/[0-9]*; do
    case " $1 /proc/$$ " in *" $p "*) continue ;; esac
    grep -q '^State:.*[RSD] ' $p/status 2>/dev/null && busy="$busy $p"
  done
  [ -z "$busy" ] && exit 0
  n=$((n + 1)); [ $n -gt 600 ] && { for p in $busy; do tr '\\0' ' ' <$p/cmdline; echo; done; exit 1; }
  sleep 0.05
done`;

/** One line for each pair of a hash and a value: whether the value is what the hash was made of. */
const compare = `while (<STDIN>) { chomp; my ($hash, $value) = split /\\t/; print crypt($value, $hash) eq $hash ? "1\\n" : "0\\n" }`;

async function makeUsers(machine: Machine, names: readonly string[]): Promise<void> {
  const script =
    'for n; do id -u "$n" >/dev/null 2>&1 || useradd --create-home --user-group --shell /bin/sh "$n"; done';
  await well(machine, ['sh', '-c', script, 'sh', ...names]);
}

async function well(machine: Machine, argv: readonly string[], input = ''): Promise<string> {
  const ran = await machine.exec(argv, { input });
  if (ran.code !== 0) throw new Error(`${argv[0]} ended with ${ran.code}: ${ran.stderr}`);
  return ran.stdout;
}

const passwords = (machine: Machine): Pick<Server, 'draw' | 'plant' | 'holds'> => ({
  draw: async () => drawPassword(),
  plant: async (accounts) => {
    await makeUsers(
      machine,
      accounts.map(({ name }) => name),
    );
    await well(machine, ['chpasswd'], accounts.map(({ name, value }) => `${name}:${value.text}\n`).join(''));
  },
  holds: async (accounts) => {
    const shadow = await well(machine, ['getent', 'shadow', ...accounts.map(({ name }) => name)]);
    const hashes = new Map(
      shadow
        .trim()
        .split('\n')
        .map((line) => [line.split(':')[0] ?? '', line.split(':')[1] ?? '']),
    );
    const lines = accounts.flatMap(({ name, value }) =>
      value.map((one) => `${hashes.get(name) ?? '*'}\t${one.text}\n`),
    );
    const answers = (await well(machine, ['perl', '-e', compare], lines.join(''))).trim().split('\n');
    return parted(
      accounts,
      answers.map((answer) => answer === '1'),
    );
  },
});

const keys = (machine: Machine): Pick<Server, 'draw' | 'plant' | 'holds'> => ({
  draw: drawKey,
  plant: async (accounts) => {
    await makeUsers(
      machine,
      accounts.map(({ name }) => name),
    );
    for (const { name, value } of accounts) {
      if (value.kind !== 'ssh-key') throw new TypeError('keys are planted here');
      await well(machine, ['install', '-d', '-m', '700', '-o', name, '-g', name, `/home/${name}/.ssh`]);
      await machine.putFile(`/home/${name}/.ssh/authorized_keys`, `ssh-ed25519 ${value.publicKey} planted\n`, {
        owner: name,
      });
    }
  },
  // What sshd reads, against what ssh-keygen makes of the private halves.
  holds: async (accounts) => {
    const files = await Promise.all(accounts.map(({ name }) => machine.readFile(`/home/${name}/.ssh/authorized_keys`)));
    const made = await Promise.all(accounts.flatMap(({ value }) => value.map(publicLine)));
    const lines = accounts.flatMap(({ value }, at) => value.map(() => files[at] ?? ''));
    return parted(
      accounts,
      made.map((blob, at) => (lines[at] ?? '').split(/\s+/).includes(blob)),
    );
  },
});

/** The base64 blob of the public half, by OpenSSH. */
async function publicLine(value: Value): Promise<string> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'crash-key-'));
  const file = join(folder.path, 'key');
  await writeFile(file, value.text, { mode: 0o600 });
  return (await runWell(['ssh-keygen', '-y', '-f', file])).stdout.split(' ')[1] ?? '';
}

/** A flat list of answers as one list for each account. */
export function parted<T>(accounts: readonly Named<readonly Value[]>[], answers: readonly T[]): T[][] {
  let at = 0;
  return accounts.map(({ value }) => answers.slice(at, (at += value.length)));
}

export const linuxPasswords: Family = {
  name: 'linux-chpasswd',
  connector: 'linux-chpasswd',
  kind: 'password',
  by: 'keeper',
  start: () => startLinux(passwords),
};

export const linuxShadow: Family = { ...linuxPasswords, name: 'linux-shadow', connector: 'linux-shadow' };

/** By the dialogue of passwd on a terminal. */
export const linuxPasswd: Family = { ...linuxPasswords, name: 'linux-passwd', connector: 'linux-passwd' };

export const sshKeys: Family = {
  name: 'ssh-key',
  connector: 'ssh-key',
  kind: 'ssh-key',
  by: 'self',
  start: () => startLinux(keys),
};
