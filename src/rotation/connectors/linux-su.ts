/**
 * Two-account mode: one account logs in by ssh and becomes another one by su, on a terminal, with that one's password in
 * answer to su's prompt in whatever language. The command's own input, output, errors and status cross the terminal as
 * lines of base64, so that no byte of them is changed by it. The input is sent after su has let us through, never before.
 */
import { concat, text, utf8 } from '../../base/bytes.ts';
import { Secret } from '../../base/secret.ts';
import { type Shell, type SshClient, SshError } from '../../protocol/ssh/ssh.ts';
import type { Login, VerifyAnswer } from './connector.ts';
import { inC, linuxNameFault, mostOutput, quote, type Ran } from './linux-shell.ts';
import { openTerminal, talk, type Talk, type Terminal, wordsOf } from './linux-terminal.ts';
import { type Fault, isFault } from './target.ts';

const begun = 'sallyport:begin';

/** Runs a command as `login.user` on a connection of `login.via`. */
export async function runBySu(
  client: SshClient,
  login: Login,
  command: string,
  input: Secret,
  signal: AbortSignal,
): Promise<Ran> {
  const through = await pass(client, login, framed(command), signal);
  if (isFault(through)) return { status: undefined, stdout: new Uint8Array(0), stderr: through.words, fault: through };
  await using terminal = through.terminal;
  using lines = new Secret(concat([utf8(base64(input.reveal())), utf8('.\n')]));
  await terminal.shell.write(lines, signal);
  return unframed(await rest(terminal.shell, through.talk.rest, signal));
}

/** Whether su takes this value for the account, told by su itself. A value that su did not ask for has proven nothing. */
export async function tryBySu(client: SshClient, login: Login, signal: AbortSignal): Promise<VerifyAnswer> {
  const through = await pass(client, login, 'exit 0', signal);
  if (isFault(through)) {
    const { fault, words, rejected } = through;
    if (fault === 'expired' && login.via !== undefined) return { answer: 'accepted', class: 'expired', words };
    return { answer: rejected === true ? 'rejected' : 'unknown', class: fault, words };
  }
  await using _ = through.terminal;
  if (through.talk.dialogue.answered.length > 0) return { answer: 'accepted', class: 'none', words: '' };
  const words = `su lets ${login.via?.user ?? ''} become ${login.user} without a password, which proves none`;
  return { answer: 'unknown', class: 'unsupported', words };
}

interface Through {
  readonly terminal: Terminal;
  readonly talk: Talk & { kind: 'through' };
}

/** Up to the point where the script begins to run as the other one. */
async function pass(client: SshClient, login: Login, script: string, signal: AbortSignal): Promise<Through | Fault> {
  const { credential, user } = login;
  if (credential.kind !== 'password') return { fault: 'unsupported', words: `su takes no key of ${user}` };
  const fault = linuxNameFault(user);
  if (fault !== undefined) return { fault: 'missing', words: fault };
  const command = `su ${user} -c ${quote(inC(`stty -echo; echo ${begun}; ${script}`))}`;
  const terminal = await openTerminal(client, command, signal);
  if (terminal === 'expired')
    return { fault: 'permission', words: `the password of ${login.via?.user ?? ''} has expired` };
  try {
    const spoken = await talk(client, terminal, ['become'], () => credential.secret, begun, signal);
    if (spoken.kind === 'through') return { terminal, talk: spoken };
    await terminal[Symbol.asyncDispose]();
    return faultOf(spoken, user, credential.secret);
  } catch (error) {
    await terminal[Symbol.asyncDispose]();
    throw error;
  }
}

/** su's own words, in the C locale that it was started in. Where it speaks another language its no is not understood. */
function faultOf(spoken: Exclude<Talk, { kind: 'through' }>, user: string, secret: Secret): Fault {
  const words = `su ${user}: ${wordsOf(spoken.dialogue, [secret])}`;
  const asked = spoken.dialogue.answered.length > 0;
  if (asked && spoken.kind === 'stopped' && spoken.why === 'wrong')
    return { fault: 'authentication', words, rejected: true };
  if (asked && /authentication failure/i.test(words)) return { fault: 'authentication', words, rejected: true };
  if (asked && /required to change your password|password has expired|new one required/i.test(words))
    return { fault: 'expired', words };
  if (/account has expired/i.test(words)) return { fault: 'locked', words };
  if (/permission denied/i.test(words)) return { fault: 'permission', words };
  if (/does not exist|unknown (id|user)|no passwd entry/i.test(words)) return { fault: 'missing', words };
  return { fault: spoken.kind === 'stopped' ? 'unsupported' : 'unexpected', words };
}

/**
 * Reads lines of base64 up to a dot as the command's input; answers in lines `o` (output), `e` (errors) and one `s`
 * (status). A terminal takes and gives whole lines, so that the two streams do not run into each other.
 */
function framed(command: string): string {
  const input = `sed -n '/^\\.$/q;p' | base64 -d`;
  const output = `{ (${command}) 2>&3; echo "s$?" >&4; } | base64 | sed 's/^/o/' >&4`;
  return `{ { ${input} | ${output}; } 3>&1 | base64 | sed 's/^/e/'; } 4>&1`;
}

function unframed(said: string): Ran {
  let status: number | undefined;
  const parts = { o: '', e: '' };
  for (const line of said.split(/\r?\n/)) {
    const kind = line[0];
    if (kind === 'o' || kind === 'e') parts[kind] += line.slice(1);
    else if (kind === 's' && /^s\d{1,3}$/.test(line)) status = Number(line.slice(1));
  }
  const bytes = (encoded: string): Uint8Array => new Uint8Array(Buffer.from(encoded, 'base64'));
  return { status, stdout: bytes(parts.o), stderr: text(bytes(parts.e)) };
}

/** Short lines: a terminal takes none that is longer than 4095 bytes. */
function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('base64')
    .replace(/.{1,76}/g, '$&\n');
}

async function rest(shell: Shell, first: string, signal: AbortSignal): Promise<string> {
  let said = first;
  for (;;) {
    const got = await shell.read(60_000, signal);
    if (got.kind === 'over') return said;
    if (got.kind === 'text') said += got.text;
    // Base64 is longer by a third, and has line ends.
    if (said.length > mostOutput * 1.5) throw new SshError('ssh.too-much-output', `more than ${mostOutput} bytes`);
  }
}
