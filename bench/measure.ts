/**
 * The measurements, each made with stock ssh against one door: a real sshd, or the gate in front of it. Every one
 * checks that what it measured did happen; a failed login is an error, never a fast result.
 */
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { cpuOf } from './cpu.ts';

/** One way to the target. */
export interface Door {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** What stands before the host on ssh's command line: `root`, or `ana@root@web-01` for a gate. */
  readonly user: string;
  readonly keyFile: string;
  readonly knownHostsFile: string;
  /** Further `-o` lines, such as `ProxyJump=…`. */
  readonly options?: readonly string[];
  /** The process whose CPU time, with that of its descendants, is the door's cost. */
  readonly pid?: number;
}

/** The same for every door, so that they differ in nothing but the way. OpenSSH 9.2 has no ML-KEM. */
const common = [
  'Ciphers=aes128-gcm@openssh.com',
  'KexAlgorithms=curve25519-sha256',
  'HostKeyAlgorithms=ssh-ed25519',
  'Compression=no',
  'BatchMode=yes',
  'IdentitiesOnly=yes',
  'IdentityAgent=none',
  'StrictHostKeyChecking=yes',
  'GlobalKnownHostsFile=none',
  'UpdateHostKeys=no',
];

function sshTo(door: Door, command: string, flags: readonly string[], stdio: StdioOptions): ChildProcess {
  const lines = [
    ...(door.options ?? []),
    ...common,
    `UserKnownHostsFile=${door.knownHostsFile}`,
    `IdentityFile=${door.keyFile}`,
  ];
  const argv = ['-F', 'none', ...lines.flatMap((line) => ['-o', line]), `-oUser=${door.user}`, ...flags];
  return spawn('ssh', [...argv, '-p', String(door.port), door.address, command], {
    stdio,
    env: { PATH: '/usr/bin:/bin' },
  });
}

/** Resolves with the time at which ssh ended; throws if it did not end with 0. */
async function well(child: ChildProcess, door: Door, said: () => string): Promise<number> {
  const [code] = (await once(child, 'close')) as [number | null];
  const at = performance.now();
  if (code !== 0) throw new Error(`ssh through ${door.name} ended with ${code}: ${said()}`);
  return at;
}

/** Collects standard error, and notes when `word` first came. */
function follow(child: ChildProcess, word: string): { said: () => string; at: () => number } {
  let text = '';
  let at = Number.NaN;
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (Number.isNaN(at) && text.includes(word)) at = performance.now();
  });
  return { said: () => text, at: () => at };
}

export interface Throughput {
  /** Bytes per microsecond, which are megabytes (10^6) per second. */
  readonly rate: number;
  /** CPU seconds of the door per gigabyte (10^9), if it named its process. */
  readonly cpuPerGigabyte?: number;
}

/** From the target to the client, into /dev/null; the time begins when the remote side says that it begins. */
export async function down(door: Door, bytes: number): Promise<Throughput> {
  const before = await cpuOfDoor(door);
  await using sink = await open('/dev/null', 'w');
  const child = sshTo(door, `echo go >&2; head -c ${bytes} /dev/zero`, [], ['ignore', sink.fd, 'pipe']);
  const { said, at } = follow(child, 'go');
  const end = await well(child, door, said);
  return throughput(bytes, end - at(), before, await cpuOfDoor(door));
}

/** From the client to the target, which counts what came. `source` is a file of at least this size. */
export async function up(door: Door, bytes: number, source: string): Promise<Throughput> {
  const before = await cpuOfDoor(door);
  await using file = await open(source, 'r');
  const child = sshTo(door, 'echo go >&2; wc -c', [], [file.fd, 'pipe', 'pipe']);
  let counted = '';
  child.stdout?.on('data', (chunk: Buffer) => (counted += chunk.toString()));
  const { said, at } = follow(child, 'go');
  const end = await well(child, door, said);
  if (Number(counted) !== bytes) throw new Error(`${counted.trim()} of ${bytes} bytes went up through ${door.name}`);
  return throughput(bytes, end - at(), before, await cpuOfDoor(door));
}

function throughput(bytes: number, ms: number, before: number | undefined, after: number | undefined): Throughput {
  const cpu = before === undefined || after === undefined ? {} : { cpuPerGigabyte: ((after - before) / bytes) * 1e9 };
  return { rate: bytes / (ms * 1000), ...cpu };
}

/** Milliseconds of one `ssh host true`, from its start to its end. */
export async function setUp(door: Door): Promise<number> {
  const start = performance.now();
  const child = sshTo(door, 'true', [], ['ignore', 'ignore', 'pipe']);
  const { said } = follow(child, '\0');
  return (await well(child, door, said)) - start;
}

/** Milliseconds from each keystroke to its echo, one after the other, on a pty with `cat` behind it. */
export async function echo(door: Door, keystrokes: number): Promise<readonly number[]> {
  const child = sshTo(door, 'stty raw -echo; echo ready; exec cat', ['-tt'], ['pipe', 'pipe', 'pipe']);
  const { said } = follow(child, '\0');
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('ssh has no pipes');
  const end = once(child, 'close').then(() => Promise.reject(new Error(`ssh through ${door.name} ended: ${said()}`)));
  end.catch(() => {});
  let text = '';
  let heard = (): void => {};
  stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    heard();
  });
  const until = (reached: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      heard = () => reached() && resolve();
      heard();
    });
  await Promise.race([until(() => text.includes('ready')), end]);
  // raw mode is set before `ready`; its line end may still be under way.
  await Promise.race([until(() => /ready\r?\n/.test(text)), end]);
  const times: number[] = [];
  for (let i = 0; i < keystrokes; i++) {
    text = '';
    const start = performance.now();
    stdin.write('x');
    await Promise.race([until(() => text !== ''), end]);
    times.push(performance.now() - start);
    if (text !== 'x') throw new Error(`through ${door.name} came ${JSON.stringify(text)} for one x`);
  }
  child.kill();
  await once(child, 'close').catch(() => {});
  return times;
}

async function cpuOfDoor({ pid }: Door): Promise<number | undefined> {
  return pid === undefined ? undefined : await cpuOf(pid);
}
