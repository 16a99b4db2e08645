/**
 * A command on a terminal that asks for secrets, and whoever answers it. What to answer is told by wire/dialogue.ts; here
 * are the connection, the time, and the look at the terminal itself: a second command on the same connection asks it
 * whether typing is hidden. A secret leaves only for a prompt that the machine knows. Words that go out are without secrets.
 */
import { concat, text, utf8 } from '../../base/bytes.ts';
import { Secret } from '../../base/secret.ts';
import { type Shell, type SshClient, SshError } from '../../protocol/ssh/ssh.ts';
import { inC, quote } from './linux-shell.ts';
import { type Dialogue, hear, type Heard, promptOf, startDialogue, type Step, type Why } from './wire/dialogue.ts';

/** Wide, so that no line of the target is broken in two. */
const pty = { term: 'dumb', cols: 500, rows: 50 };

/** Silence after which what has come is looked at. */
const quietMs = 50;
/** How long a program has to end after ^C. */
const endingMs = 3_000;

export interface Terminal extends AsyncDisposable {
  readonly shell: Shell;
  /** Its device on the target. */
  readonly device: string;
}

export type Talk =
  /** The program ended by itself. */
  | { readonly kind: 'over'; readonly status: number | undefined; readonly dialogue: Dialogue }
  /** `until` came; `rest` is what came behind it. */
  | { readonly kind: 'through'; readonly rest: string; readonly dialogue: Dialogue }
  /** We stopped it. `ended`: and saw its end. */
  | { readonly kind: 'stopped'; readonly why: Why; readonly ended: boolean; readonly dialogue: Dialogue };

/** `expired`: the machine puts its own demand for a new password in place of the command. */
export async function openTerminal(
  client: SshClient,
  command: string,
  signal: AbortSignal,
): Promise<Terminal | 'expired'> {
  // Whatever a login's start files say stands before this line, and is not looked at.
  const begin = `printf 'sallyport on %s\\n' "$(tty)"; exec ${command}`;
  const shell = await client.dialogue(`exec ${inC(begin)}`, pty, signal);
  const patterns = {
    ready: /sallyport on (\/dev\/[\w/.-]{1,64})\r?\n/,
    // sshd's own words (session.c), in no other language.
    expired: /password has expired/,
  };
  try {
    const found = await shell.waitFor(patterns, 10_000, signal);
    if (found.name === 'ready')
      return { shell, device: found.match[1] ?? '', [Symbol.asyncDispose]: () => shell[Symbol.asyncDispose]() };
    await shell[Symbol.asyncDispose]();
    return 'expired';
  } catch (error) {
    await shell[Symbol.asyncDispose]();
    throw error;
  }
}

/** Answers what is expected until the program ends, `until` comes as a line, or something unknown is asked. */
export async function talk(
  client: SshClient,
  { shell, device }: Terminal,
  expected: readonly Step[],
  secretOf: (step: Step) => Secret,
  until: string | undefined,
  signal: AbortSignal,
): Promise<Talk> {
  let dialogue = startDialogue(expected);
  let quiet = 0;
  for (;;) {
    const got = await shell.read(quietMs, signal);
    if (got.kind === 'over') {
      const status = shell.exit.kind === 'status' ? shell.exit.status : undefined;
      return { kind: 'over', status, dialogue };
    }
    quiet = got.kind === 'text' ? 0 : quiet + quietMs;
    const heard: Heard =
      got.kind === 'text' || promptOf(dialogue) === ''
        ? { kind: 'text', text: got.kind === 'text' ? got.text : '' }
        : { kind: 'quiet', ms: quiet, echo: await echoOf(client, device, signal) };
    const next = hear(dialogue, heard);
    dialogue = next.dialogue;
    const at = until === undefined ? -1 : dialogue.heard.indexOf(`${until}\r\n`);
    if (until !== undefined && at !== -1)
      return { kind: 'through', rest: dialogue.heard.slice(at + until.length + 2), dialogue };
    if (next.act.kind === 'stop')
      return { kind: 'stopped', why: next.act.why, ended: await interrupt(shell, signal), dialogue };
    if (next.act.kind === 'answer') {
      using line = new Secret(concat([secretOf(next.act.step).reveal(), utf8('\n')]));
      await shell.write(line, signal);
      quiet = 0;
    }
  }
}

/** What the terminal does with typing. */
async function echoOf(client: SshClient, device: string, signal: AbortSignal): Promise<'hidden' | 'shown' | 'unknown'> {
  try {
    const command = `exec ${inC(`stty -a <${quote(device)}`)}`;
    const { stdout } = await client.exec(command, { maxOutput: 16_384 }, signal);
    const sign = /(?:^|\s)(-?)echo(?:;|\s|$)/.exec(text(stdout))?.[1];
    return sign === undefined ? 'unknown' : sign === '-' ? 'hidden' : 'shown';
  } catch (error) {
    // A server that grants one channel only, or that starts nothing more.
    const refused = ['ssh.channel-refused', 'ssh.request-refused'];
    if (error instanceof SshError && refused.includes(error.code)) return 'unknown';
    throw error;
  }
}

/** ^C, and whether the program ended by it. */
async function interrupt(shell: Shell, signal: AbortSignal): Promise<boolean> {
  await shell.write('\x03', signal);
  for (let waited = 0; waited < endingMs; waited += quietMs) {
    const got = await shell.read(quietMs, signal);
    if (got.kind === 'over') return true;
  }
  return false;
}

/** The end of a talk as words for people, without what was typed. */
export function wordsOf({ transcript }: Dialogue, secrets: readonly Secret[]): string {
  let words = transcript;
  for (const secret of secrets) if (secret.length > 0) words = words.replaceAll(secret.revealText(), '[secret]');
  return words
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' / ')
    .slice(-300);
}
