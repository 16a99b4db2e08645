/**
 * OpenSSH's own clients, as a person would use them. Passwords and other answers reach ssh through SSH_ASKPASS and a
 * private file that is gone afterwards; they are never in argv or the environment.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainEnv, type Ran, run, runWell } from './run.ts';

export interface Reach {
  readonly address: string;
  readonly port: number;
  /** Lines of known_hosts. Without them any key is taken, and that is not a test of host keys. */
  readonly knownHosts?: string;
}

export interface Login {
  readonly user: string;
  /** Given one by one, in the order in which ssh asks. */
  readonly answers?: readonly string[];
  /** A private key file. Without one no key is tried. */
  readonly keyFile?: string;
  /** Further ssh_config lines for `-o`, such as `Ciphers=aes128-gcm@openssh.com`. They win over the lab's own. */
  readonly options?: readonly string[];
}

/** How a client was set up: the arguments before the host, and the environment. It lives in a folder of its own. */
export interface Client extends AsyncDisposable {
  /** For ssh, sftp and scp: everything but the port and the host. */
  readonly arguments: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The prompts that were put to us so far. */
  prompts(): Promise<readonly string[]>;
  /** Writes a file into the client's folder, mode 0600, and gives its path. */
  file(name: string, content: string): Promise<string>;
}

/** Takes the first line off the answers; when there is none left it fails, and ssh gives up that method. */
const askpass = `#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$1" >>"$here/prompts"
[ -s "$here/answers" ] || exit 1
head -n 1 "$here/answers"
sed -i 1d "$here/answers"
`;

/** Makes the folder with answers, known hosts and the helper that gives the answers. */
export async function openClient(reach: Reach, login: Login): Promise<Client> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'lab-client-'))).path;
  const file = async (name: string, content: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };
  await file('answers', (login.answers ?? []).map((answer) => `${answer}\n`).join(''));
  await file('prompts', '');
  await chmod(await file('askpass', askpass), 0o700);
  const known = await file('known_hosts', reach.knownHosts ?? '');
  const own = [
    `UserKnownHostsFile=${known}`,
    'GlobalKnownHostsFile=none',
    `StrictHostKeyChecking=${reach.knownHosts === undefined ? 'no' : 'yes'}`,
    'UpdateHostKeys=no',
    'NumberOfPasswordPrompts=1',
    ...(login.keyFile === undefined
      ? ['PubkeyAuthentication=no']
      : [`IdentityFile=${login.keyFile}`, 'IdentitiesOnly=yes']),
    'IdentityAgent=none',
    `User=${login.user}`,
  ];
  const life = undo.move();
  return {
    arguments: ['-F', 'none', ...[...(login.options ?? []), ...own].flatMap((line) => ['-o', line])],
    env: { ...plainEnv, HOME: folder, SSH_ASKPASS: join(folder, 'askpass'), SSH_ASKPASS_REQUIRE: 'force' },
    prompts: async () => (await readFile(join(folder, 'prompts'), 'utf8')).split('\n').filter((line) => line !== ''),
    file,
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

export interface SshOptions extends Login {
  /** What runs on the other side; without it a shell that reads `input`. */
  readonly command?: string;
  readonly input?: string | Uint8Array;
  /** Before the host: `-tt`, `-N`, `-W host:port`, `-s`. */
  readonly flags?: readonly string[];
}

/** One `ssh`, to its end. Status 255 is ssh's own failure; anything else is the command's. */
export async function ssh(
  reach: Reach,
  options: SshOptions,
  signal?: AbortSignal,
): Promise<Ran & { prompts: readonly string[] }> {
  await using client = await openClient(reach, options);
  const argv = [
    'ssh',
    ...client.arguments,
    ...(options.flags ?? []),
    '-p',
    String(reach.port),
    reach.address,
    ...(options.command === undefined ? [] : [options.command]),
  ];
  const ran = await run(
    argv,
    { env: client.env, ...(options.input === undefined ? {} : { input: options.input }) },
    signal,
  );
  return { ...ran, prompts: await client.prompts() };
}

/** `in`: logged in. `refused`: the server has said no to the user. `broken`: no answer of either kind, with ssh's words. */
export type LoginAnswer =
  | { readonly answer: 'in' }
  | { readonly answer: 'refused' }
  | { readonly answer: 'broken'; readonly words: string };

/**
 * How a login went, of an ssh with a command that always ends with 0. Only the server's own word counts as a refusal: a
 * connection that fails, a changed host key or a server that hangs up proves nothing about a credential.
 */
export function loginAnswer({ code, stderr }: Pick<Ran, 'code' | 'stderr'>): LoginAnswer {
  if (code === 0) return { answer: 'in' };
  const words = stderr.trim().split(/\r?\n/).at(-1) ?? '';
  if (code === 255 && /^\S+@\S+: Permission denied \([a-z,-]+\)\.$/.test(words)) return { answer: 'refused' };
  return { answer: 'broken', words: `${words} (${code})` };
}

/** An ssh that stays: its pipes are the caller's, and it ends with the scope. */
export async function openSsh(
  reach: Reach,
  options: SshOptions,
): Promise<AsyncDisposable & { readonly child: ReturnType<typeof spawn> }> {
  await using undo = new AsyncDisposableStack();
  const client = undo.use(await openClient(reach, options));
  const command = options.command === undefined ? [] : [options.command];
  const argv = [...client.arguments, ...(options.flags ?? []), '-p', String(reach.port), reach.address, ...command];
  const child = spawn('ssh', argv, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...client.env } });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  undo.defer(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const life = undo.move();
  return { child, [Symbol.asyncDispose]: () => life.disposeAsync() };
}

/** A fresh key pair in this folder, by ssh-keygen: the private file's path and the public line. */
export async function makeKey(folder: string, type = 'ed25519'): Promise<{ file: string; line: string }> {
  const file = join(folder, `id_${type}`);
  const [algorithm = '', bits] = type.split('-');
  const size = bits === undefined ? [] : ['-b', bits];
  await runWell(['ssh-keygen', '-q', '-t', algorithm, ...size, '-N', '', '-C', 'lab', '-f', file]);
  return { file, line: (await readFile(`${file}.pub`, 'utf8')).trim() };
}
