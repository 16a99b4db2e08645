/**
 * Key pairs of accounts on ssh servers: the new public key is put into authorized_keys, and the former ones are taken out
 * after the new one has let us in. The file is replaced by rename, by its own owner even where an administrator does it
 * (keys-file.ts). Lines of others stay byte for byte. Private keys never come here: a login asks for a signature.
 */
import type { SshClient } from '../../protocol/ssh/ssh.ts';
import { addKey, letsIn, removeKeys } from './authorized-keys.ts';
import { tryWithin } from './budget.ts';
import type {
  ChangeAnswer,
  Connector,
  Login,
  LoginCredential,
  NewCredential,
  Task,
  VerifyAnswer,
  Work,
} from './connector.ts';
import { edit, type KeysFiles, locate, read } from './keys-file.ts';
import { done } from './linux-account.ts';
import { fence } from './linux-fence.ts';
import { linuxNameFault } from './linux-shell.ts';
import { tryLinuxLogin } from './linux-verify.ts';
import { oneOf, text } from './parameters.ts';
import { isFault, onTarget, reach, unsent } from './target.ts';

const keyTypes = ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa-2048', 'rsa-4096'];

export const sshKey: Connector = {
  name: 'ssh-key',
  title: 'key pairs of accounts on ssh servers, in authorized_keys',
  kind: 'ssh-key',
  protocols: ['ssh'],
  capabilities: { modes: ['self', 'admin'], via: true, adminverify: 'stored', fence: 'sessions', sends: 'verifier' },
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
    onFiles(work, signal, async (client, { files: [first] }) => {
      const content = await read(client, first, signal);
      return isFault(content) ? unsent(content) : done;
    }),
  change: (work, fresh, signal) =>
    onFiles(work, signal, (client, { files: [first] }, sending) =>
      edit(client, work, first, sending, (content) => withKey(work, content, fresh), signal),
    ),
  // From every file that sshd reads: a key that stays in the second one still lets in.
  retire: (work, former, signal) =>
    onFiles(work, signal, async (client, { files }, sending) => {
      let answer = done;
      let sent = false;
      const started = (): void => {
        sent = true;
        sending();
      };
      for (const file of files) {
        if (answer.said !== 'confirmed') break;
        answer = await edit(client, work, file, started, (content) => removeKeys(content, former), signal);
      }
      // The last file alone says nothing of those before it.
      return sent && answer.said === 'unsent' ? { ...answer, said: 'uncertain' } : answer;
    }),
  fence,
  verify: tryLinuxLogin,
  adminverify: tryKeys,
};

function withKey(work: Work, content: Uint8Array, fresh: NewCredential): Uint8Array {
  if (fresh.kind !== 'ssh-key') throw new TypeError('ssh-key sets keys');
  return addKey(content, fresh.publicKey, `${work.account} by sallyport`, fresh.replaces);
}

function onFiles(
  work: Work,
  signal: AbortSignal,
  use: (client: SshClient, files: KeysFiles, sending: () => void) => Promise<ChangeAnswer>,
): Promise<ChangeAnswer> {
  const { login, mode } = work.by;
  return onTarget(work.place, login, signal, async (client, sending) => {
    const files = await locate(client, work, login, mode, signal);
    return isFault(files) ? unsent(files) : use(client, files, sending);
  });
}

/** By the files, where an administrator may read them; what they do not decide, by logins. */
async function tryKeys(
  task: Task,
  admin: Login | undefined,
  candidates: readonly LoginCredential[],
  budget: number,
  signal: AbortSignal,
): Promise<readonly VerifyAnswer[]> {
  const stored = admin === undefined ? [] : await lookUp(task, admin, candidates, signal);
  const open = candidates.filter((_, at) => stored[at] === undefined);
  const tried = await tryWithin(budget, open, (credential) =>
    tryLinuxLogin(task, { user: task.account, credential }, signal),
  );
  const rest = tried.values();
  const unasked: VerifyAnswer = { answer: 'unknown', class: 'budget', words: '' };
  return candidates.map((_, at) => stored[at] ?? rest.next().value ?? unasked);
}

/** One entry for each candidate; undefined where the files do not say. */
async function lookUp(
  task: Task,
  admin: Login,
  candidates: readonly LoginCredential[],
  signal: AbortSignal,
): Promise<readonly (VerifyAnswer | undefined)[]> {
  const client = await reach(task.place, admin, signal);
  if (isFault(client)) return [];
  await using _ = client;
  const where = await locate(client, task, admin, 'admin', signal);
  if (isFault(where)) return [];
  const contents: Uint8Array[] = [];
  for (const file of where.files) {
    const content = await read(client, file, signal);
    if (isFault(content)) return [];
    contents.push(content.bytes);
  }
  return candidates.map((candidate) => {
    if (candidate.kind !== 'ssh-key') return undefined;
    const said = contents.map((content) => letsIn(content, candidate.signer.publicKey));
    if (where.proves && said.includes('yes')) return { answer: 'accepted', class: 'none', words: '', how: 'stored' };
    if (said.some((one) => one !== 'no')) return undefined;
    return where.all ? { answer: 'rejected', class: 'authentication', words: 'in no file', how: 'stored' } : undefined;
  });
}
