/**
 * Key pairs of accounts on ssh servers: the new public key is put into authorized_keys, and the former ones are taken out
 * after the new one has let us in. The file is replaced by rename, written by the account's own user even where an
 * administrator does it, so that nobody can lead root's hand by a symbolic link. Lines of others stay byte for byte.
 */
import { concat, text as textOf } from '../../base/bytes.ts';
import type { SshClient } from '../../protocol/ssh/ssh.ts';
import { addKey, keysPath, longestFile, removeKeys } from './authorized-keys.ts';
import { tryWithin } from './budget.ts';
import type { ChangeAnswer, Connector, NewCredential, Work } from './connector.ts';
import { linuxNameFault } from './linux-chpasswd.ts';
import { oneOf, text } from './parameters.ts';
import {
  type Fault,
  isFault,
  onTarget,
  quote,
  type Ran,
  type Root,
  rootOf,
  run,
  runAsRoot,
  tryLogin,
  unsent,
} from './target.ts';

const keyTypes = ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa-2048', 'rsa-4096'];

export const sshKey: Connector = {
  name: 'ssh-key',
  title: 'key pairs of accounts on ssh servers, in authorized_keys',
  kind: 'ssh-key',
  protocols: ['ssh'],
  capabilities: { modes: ['self', 'admin'], via: false, adminverify: 'budget', fence: 'time', sends: 'verifier' },
  forbidden: '',
  retires: true,
  parameters: {
    key_type: oneOf('what kind of key pair is made; ed25519 unless told', keyTypes),
    authorized_keys_file: text(
      'where sshd looks, where sshd cannot be asked; .ssh/authorized_keys unless told',
      'a path, as in sshd_config',
      /^[\x20-\x7e]{1,1024}$/,
    ),
  },
  faultOfName: linuxNameFault,
  precheck: (work, signal) =>
    onFile(work, signal, async (client, file) => {
      const content = await read(client, file, signal);
      if (isFault(content)) return unsent(content);
      return { said: 'confirmed', class: 'none', words: '' };
    }),
  change: (work, fresh, signal) =>
    onFile(work, signal, (client, file, sending) =>
      edit(client, work, file, sending, (content) => withKey(work, content, fresh), signal),
    ),
  retire: (work, former, signal) =>
    onFile(work, signal, (client, file, sending) =>
      edit(client, work, file, sending, (content) => removeKeys(content, former), signal),
    ),
  verify: (task, login, signal) => tryLogin(task.place, login, signal),
  adminverify: (task, _admin, candidates, budget, signal) =>
    tryWithin(budget, candidates, (credential) => tryLogin(task.place, { user: task.account, credential }, signal)),
};

function withKey(work: Work, content: Uint8Array, fresh: NewCredential): Uint8Array {
  if (fresh.kind !== 'ssh-key') throw new TypeError('ssh-key sets keys');
  return addKey(content, fresh.publicKey, `${work.account} by sallyport`, fresh.replaces);
}

/** Where the file is and as whom it is handled. */
interface KeysFile {
  readonly path: string;
  /** Before every command: nothing for one's own file, else the way to its owner. */
  readonly as: Root;
}

async function onFile(
  work: Work,
  signal: AbortSignal,
  use: (client: SshClient, file: KeysFile, sending: () => void) => Promise<ChangeAnswer>,
): Promise<ChangeAnswer> {
  return onTarget(work.place, work.by.login, signal, async (client, sending) => {
    const file = await locate(client, work, signal);
    return isFault(file) ? unsent(file) : use(client, file, sending);
  });
}

/** sshd says where it looks, if we may ask it (root only); else the usual place. */
async function locate(client: SshClient, work: Work, signal: AbortSignal): Promise<KeysFile | Fault> {
  const self: Root = { prefix: '', password: undefined };
  const root = work.by.mode === 'self' ? self : await rootOf(client, work.by.login, signal);
  if (isFault(root)) return root;
  const name = quote(work.account);
  const entry = await run(client, `getent passwd ${name}`, undefined, signal);
  const [, , uid = '', , , home = ''] = textOf(entry.stdout).trim().split(':');
  if (entry.status !== 0 || home === '') return { fault: 'missing', words: `there is no user ${work.account}` };
  const asked = await runAsRoot(
    client,
    root,
    `sshd -T -C user=${name},host=localhost,addr=127.0.0.1`,
    new Uint8Array(0),
    signal,
  );
  const configured = /^authorizedkeysfile (.*)$/im.exec(textOf(asked.stdout))?.[1];
  const wanted = work.settings['authorized_keys_file'];
  const pattern = typeof wanted === 'string' ? wanted : (configured ?? '.ssh/authorized_keys');
  const path = keysPath(pattern, home, work.account, uid);
  if (path === undefined) return { fault: 'unsupported', words: `sshd reads keys from ${JSON.stringify(pattern)}` };
  if (work.by.mode === 'self') return { path, as: self };

  // The owner of what is there does the writing: the account in its home, root in a folder of root's.
  const nearest = `d=${quote(path)}; while [ ! -d "$d" ]; do d=$(dirname -- "$d"); done; stat -c %u -- "$d"`;
  const owner = textOf(
    (await runAsRoot(client, root, `sh -c ${quote(nearest)}`, new Uint8Array(0), signal)).stdout,
  ).trim();
  if (owner === uid) return { path, as: { ...root, prefix: `${root.prefix}runuser -u ${name} -- ` } };
  if (owner === '0') return { path, as: root };
  return { fault: 'permission', words: `the folder of ${path} belongs neither to ${work.account} nor to root` };
}

interface Content {
  readonly bytes: Uint8Array;
  /** cksum(1) of the file when it was read, or `absent`. */
  readonly sum: string;
}

async function read(client: SshClient, file: KeysFile, signal: AbortSignal): Promise<Content | Fault> {
  const script = `f=${quote(file.path)}; if [ -e "$f" ]; then cksum < "$f" && cat -- "$f"; else echo absent; fi`;
  const ran = await runAsRoot(client, file.as, `sh -c ${quote(script)}`, new Uint8Array(0), signal);
  const end = ran.stdout.indexOf(10);
  if (ran.status !== 0 || end === -1)
    return { fault: 'permission', words: `the keys in ${file.path} cannot be read: ${ran.stderr}` };
  return { sum: textOf(ran.stdout.subarray(0, end)), bytes: ran.stdout.subarray(end + 1) };
}

/** 46: somebody else wrote in between. Then the file is as he left it, and we read it again. */
const tries = 3;

async function edit(
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
    if (Buffer.compare(after, before.bytes) === 0) return { said: 'confirmed', class: 'none', words: '' };
    sending();
    const script = writing(file.path, before.sum, after.length);
    const command = `timeout -k 1 ${work.targetSeconds} sh -c ${quote(script)}`;
    const ran = await runAsRoot(client, file.as, command, concat([after]), signal);
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

function answerOf({ status, stderr }: Ran, path: string): ChangeAnswer {
  if (status === 0) return { said: 'confirmed', class: 'none', words: '' };
  if (status === undefined) return { said: 'uncertain', class: 'cut', words: 'the command ended without a status' };
  if (status === 124 || status === 137)
    return { said: 'uncertain', class: 'timeout', words: `${path} was not written in time` };
  const kind = status === 43 ? 'permission' : 'unexpected';
  return { said: 'failed', class: kind, words: `${path} was not replaced (${status}): ${stderr}` };
}
