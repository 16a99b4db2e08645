/**
 * Running commands on a Linux machine: as whoever logged in, as somebody else by su from there (two-account mode), and as
 * root by sudo from either. Scripts are POSIX and run by sh whatever the login's shell is, in the C locale and with the
 * usual path. Secrets go in by standard input only. How a login becomes root is found out without changing anything.
 */
import { concat, text, utf8 } from '../../base/bytes.ts';
import { Secret } from '../../base/secret.ts';
import type { ExecResult, SshClient } from '../../protocol/ssh/ssh.ts';
import type { Login } from './connector.ts';
import { demandsPassword, inC, mostOutput, type Ran } from './linux-shell.ts';
import { runBySu } from './linux-su.ts';
import type { Fault } from './target.ts';

/** From a connection to the one who runs commands there. */
export interface Way {
  /** Who is become first, by su; undefined when the login of the connection will do. */
  readonly su: Login | undefined;
  /** How that one becomes root. `none`: not at all, or it is root already. */
  readonly sudo: { readonly kind: 'none' | 'free' } | { readonly kind: 'asks'; readonly password: Secret };
}

/** A way to root, and what the machine's clock said at its beginning, in seconds. */
export interface RootWay extends Way {
  readonly now: number;
}

/** As the login itself, by su where it stands behind another one. */
export function wayOf(login: Login): Way {
  return { su: login.via === undefined ? undefined : login, sudo: { kind: 'none' } };
}

/** Runs a script; `input` is its standard input. */
export async function run(
  client: SshClient,
  way: Way,
  script: string,
  input: Secret | Uint8Array | undefined,
  signal: AbortSignal,
): Promise<Ran> {
  const own = input instanceof Secret ? input.reveal() : (input ?? new Uint8Array(0));
  // The password that sudo may want goes first into the command's input.
  const parts = way.sudo.kind === 'asks' ? [way.sudo.password.reveal(), utf8('\n'), own] : [own];
  using whole = new Secret(concat(parts));
  const command = `exec ${sudoOf(way)}${inC(`echo ${mark}; echo ${mark} >&2; ${script}`)}`;
  const ran =
    way.su === undefined
      ? ranOf(await client.exec(command, { maxOutput: mostOutput, stdin: whole }, signal))
      : await runBySu(client, way.su, command, whole, signal);
  return { ...ran, stdout: behindMark(ran.stdout), stderr: text(behindMark(utf8(ran.stderr))) };
}

function ranOf({ exit, stdout, stderr }: ExecResult): Ran {
  const said = text(stderr);
  const fault = { fault: 'expired', words: 'the password must be changed before anything else is run there' } as const;
  return {
    status: exit.kind === 'status' ? exit.status : undefined,
    stdout,
    stderr: said,
    ...(demandsPassword(said) ? { fault } : {}),
  };
}

/** What a login's start files and sudo's lecture say stands before this line, and is nothing of ours. */
const mark = 'sallyport:begin';

function behindMark(said: Uint8Array): Uint8Array {
  const at = Buffer.from(said.buffer, said.byteOffset, said.length).indexOf(`${mark}\n`);
  return at === -1 ? said : said.subarray(at + mark.length + 1);
}

/** Finds out, changing nothing, how this login becomes root. */
export async function rootOf(client: SshClient, login: Login, signal: AbortSignal): Promise<RootWay | Fault> {
  const own = wayOf(login);
  const begun = await run(client, own, 'id -u; date +%s', undefined, signal);
  if (begun.fault !== undefined) return begun.fault;
  const [uid, clock] = text(begun.stdout).trim().split('\n');
  const now = Number(clock);
  if (!Number.isSafeInteger(now)) return { fault: 'unsupported', words: `${login.user} cannot run commands there` };
  if (uid === '0') return { ...own, now };
  // -k: what an earlier sudo left behind does not count, so the answer is the same next time.
  const free = { ...own, sudo: { kind: 'free' } } as const;
  if ((await run(client, free, 'true', undefined, signal)).status === 0) return { ...free, now };
  const { credential } = login;
  if (credential.kind === 'password') {
    const asks = { ...own, sudo: { kind: 'asks', password: credential.secret } } as const;
    if ((await run(client, asks, 'true', undefined, signal)).status === 0) return { ...asks, now };
  }
  return { fault: 'permission', words: `${login.user} is neither root nor allowed to become root by sudo` };
}

/** What stands before a command that root shall run. */
function sudoOf({ sudo }: Way): string {
  if (sudo.kind === 'none') return '';
  return sudo.kind === 'free' ? 'sudo -k -n ' : 'sudo -k -S -p "" ';
}
