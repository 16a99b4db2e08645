/**
 * The files in which sshd looks for an account's keys, on a Linux machine: where they are, what is in them, and replacing
 * one in a single step. Each is handled by the owner of its folder, the account in its home and root in root's, so that
 * nobody can lead root's hand by a symbolic link. Files and folders that others own are left alone.
 */
import { text as textOf } from '../../base/bytes.ts';
import type { SshClient } from '../../protocol/ssh/ssh.ts';
import { keysPaths, longestFile } from './authorized-keys.ts';
import type { ChangeAnswer, Login, Task, Work } from './connector.ts';
import { done } from './linux-account.ts';
import { ranOut, tagged, tooLate } from './linux-fence.ts';
import { type RootWay, rootOf, run, wayOf } from './linux-run.ts';
import { quote, type Ran } from './linux-shell.ts';
import { type Fault, isFault, unsent } from './target.ts';

export interface KeysFile {
  readonly path: string;
  /** How its commands are run on the machine, and what stands before them to become the folder's owner. */
  readonly way: RootWay;
  readonly owner: string;
}

export interface KeysFiles {
  /** A new key goes into the first. */
  readonly files: readonly [KeysFile, ...KeysFile[]];
  /** sshd has said that it looks nowhere else: a key that is in none of them does not let in. */
  readonly all: boolean;
  /** A key that is in one of them lets in, by what sshd says of logins from where we come. */
  readonly proves: boolean;
}

/** sshd says where it looks, if we may ask it (root only); else the usual places. */
export async function locate(
  client: SshClient,
  { account, settings }: Task,
  login: Login,
  mode: 'self' | 'admin',
  signal: AbortSignal,
): Promise<KeysFiles | Fault> {
  const root = mode === 'self' ? { ...wayOf(login), now: 0 } : await rootOf(client, login, signal);
  if (isFault(root)) return root;
  const name = quote(account);
  const entry = await run(client, root, `date +%s; getent passwd ${name}`, undefined, signal);
  if (entry.fault !== undefined) return entry.fault;
  const [clock = '', line = ''] = textOf(entry.stdout).split('\n');
  const [, , uid = '', , , home = ''] = line.split(':');
  if (!/^\d+$/.test(clock))
    return { fault: 'permission', words: `${login.user} may not run commands: ${entry.stderr}` };
  if (entry.status !== 0 || home === '') return { fault: 'missing', words: `there is no user ${account}` };
  const way = { ...root, now: Number(clock) };

  const here = await seenFrom(client, signal);
  const asking = `exec sshd -T -C user=${name},${here ?? 'host=localhost,addr=127.0.0.1'}`;
  const asked = textOf((await run(client, way, asking, undefined, signal)).stdout);
  const setting = (keyword: string): string | undefined => new RegExp(`^${keyword} (.*)$`, 'im').exec(asked)?.[1];
  const wanted = settings['authorized_keys_file'];
  const pattern = typeof wanted === 'string' ? wanted : (setting('authorizedkeysfile') ?? '.ssh/authorized_keys');
  const { paths, unknown } = keysPaths(pattern, home, account, uid);
  // By a name that it looks up it may judge us otherwise than by our address.
  const ours = here !== undefined && setting('usedns') === 'no';
  const all = ours && !unknown && typeof wanted !== 'string' && /^none$/i.test(setting('authorizedkeyscommand') ?? '');
  // Where sshd cannot be asked, whoever declared the file has said it.
  const proves =
    asked === ''
      ? typeof wanted === 'string'
      : ours &&
        setting('pubkeyauthentication') === 'yes' &&
        setting('revokedkeys') === 'none' &&
        setting('authenticationmethods') === 'any';
  const files: KeysFile[] = [];
  for (const path of paths) {
    const owner = mode === 'self' ? '' : await ownerOf(client, way, path, uid, account, signal);
    if (owner !== undefined) files.push({ path, way, owner });
    else if (files.length === 0)
      return { fault: 'permission', words: `the folder of ${path} belongs neither to ${account} nor to root` };
  }
  const [first, ...others] = files;
  if (first === undefined) return { fault: 'unsupported', words: `sshd reads keys from ${JSON.stringify(pattern)}` };
  return { files: [first, ...others], all: all && files.length === paths.length, proves };
}

/**
 * How the machine sees our connection, in the words of `sshd -T -C` (`Match Address`, `LocalAddress`, `LocalPort`), from
 * SSH_CONNECTION (ssh(1)). Undefined where that is not there.
 */
async function seenFrom(client: SshClient, signal: AbortSignal): Promise<string | undefined> {
  const way = { su: undefined, sudo: { kind: 'none' } } as const;
  const said = textOf((await run(client, way, 'echo "$SSH_CONNECTION"', undefined, signal)).stdout).trim();
  const match = /^([0-9a-f.:]{2,45}) \d{1,5} ([0-9a-f.:]{2,45}) (\d{1,5})$/i.exec(said);
  if (match === null) return undefined;
  const [, from = '', to = '', port = ''] = match;
  return `host=${from},addr=${from},laddr=${to},lport=${port}`;
}

/** The owner of what is there does the writing: what stands before his commands, or undefined for a stranger. */
async function ownerOf(
  client: SshClient,
  way: RootWay,
  path: string,
  uid: string,
  account: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const nearest = `d=${quote(path)}; while [ ! -d "$d" ]; do d=$(dirname -- "$d"); done; stat -c %u -- "$d"`;
  const owner = textOf((await run(client, way, nearest, undefined, signal)).stdout).trim();
  if (owner === uid) return `runuser -u ${quote(account)} -- `;
  return owner === '0' ? '' : undefined;
}

export interface Content {
  readonly bytes: Uint8Array;
  /** cksum(1) of the file when it was read, or `absent`. */
  readonly sum: string;
}

/** What is in the file; nothing where there is none. */
export async function read(client: SshClient, file: KeysFile, signal: AbortSignal): Promise<Content | Fault> {
  const script = `f=${quote(file.path)}; if [ -e "$f" ]; then cksum < "$f" && cat -- "$f"; else echo absent; fi`;
  const ran = await run(client, file.way, `exec ${file.owner}sh -c ${quote(script)}`, undefined, signal);
  const end = ran.stdout.indexOf(10);
  if (ran.status !== 0 || end === -1)
    return { fault: 'permission', words: `the keys in ${file.path} cannot be read: ${ran.stderr}` };
  return { sum: textOf(ran.stdout.subarray(0, end)), bytes: ran.stdout.subarray(end + 1) };
}

/** 46: somebody else wrote in between. Then the file is as he left it, and we read it again. */
const tries = 3;

/** Reads, changes and replaces a file; nothing is written where nothing changes. */
export async function edit(
  client: SshClient,
  work: Work,
  file: KeysFile,
  sending: () => void,
  how: (content: Uint8Array) => Uint8Array,
  signal: AbortSignal,
): Promise<ChangeAnswer> {
  for (let attempt = 1; ; attempt++) {
    const before = await read(client, file, signal);
    if (isFault(before)) return unsent(before);
    const after = how(before.bytes);
    if (after.length > longestFile) return unsent({ fault: 'unsupported', words: `${file.path} is too long` });
    if (Buffer.compare(after, before.bytes) === 0) return done;
    sending();
    const script = `exec ${file.owner}sh -c ${quote(writing(file.path, before.sum, after.length))}`;
    const ran = await run(client, file.way, tagged(work, file.way, script), after, signal);
    if (ran.status !== 46 || attempt === tries) return answerOf(ran, file.path);
  }
}

/**
 * Replaces the file in one step. The number of bytes is checked, because input that was cut off looks like its end.
 * Mode, owner and labels come from the old file (`cp -a`), or are what sshd wants of a new one.
 */
function writing(path: string, sum: string, length: number): string {
  return `f=${quote(path)}; umask 077
[ ! -e "$f" ] || f=$(readlink -f -- "$f") || exit 43
d=$(dirname -- "$f"); [ -d "$d" ] || mkdir -p -- "$d" || exit 43
t=$(mktemp -- "$d/.sallyport.XXXXXXXX") || exit 43
trap 'rm -f -- "$t"' EXIT
if [ -e "$f" ]; then cp -a -- "$f" "$t" || exit 43; fi
head -c ${length} > "$t" || exit 44
[ "$(wc -c < "$t")" -eq ${length} ] || exit 45
now=absent; [ ! -e "$f" ] || now=$(cksum < "$f")
[ "$now" = ${quote(sum)} ] || exit 46
sync -- "$t" && mv -f -- "$t" "$f" || exit 44
sync -- "$d"`;
}

function answerOf({ status, stderr, fault }: Ran, path: string): ChangeAnswer {
  if (fault !== undefined) return unsent(fault);
  if (status === 0) return done;
  if (status === undefined) return { said: 'uncertain', class: 'cut', words: 'the command ended without a status' };
  if (ranOut(status)) return { said: 'uncertain', class: 'timeout', words: `${path} was not written in time` };
  if (status === tooLate) return { said: 'failed', class: 'timeout', words: 'the change came too late to be begun' };
  const kind = status === 43 ? 'permission' : 'unexpected';
  return { said: 'failed', class: kind, words: `${path} was not replaced (${status}): ${stderr}` };
}
