/**
 * Logging in to a command line, by name and password or by a line's password alone, and becoming privileged. A login
 * counts only if a password was asked for: a device that lets everybody in proves nothing about a value.
 */
import type { Secret } from '../../../base/secret.ts';
import type { Login, Task } from '../connector.ts';
import { type Fault, isFault } from '../target.ts';
import { openLine } from './line.ts';
import { CommandLine, type Prompt } from './session.ts';
import { closedLine, refusalIn, rejectedLogin } from './wire/answers.ts';

export interface LoggedIn extends AsyncDisposable {
  readonly cli: CommandLine;
  readonly prompt: Prompt;
}

/** Somebody who is logged in as `login`, or why not; `rejected` if the device said no to the password. */
export async function logIn(task: Task, login: Login, signal: AbortSignal): Promise<LoggedIn | Fault> {
  const { credential } = login;
  const telnet = task.place.protocol === 'telnet';
  if (credential.kind !== 'password' && telnet) return { fault: 'unsupported', words: 'telnet knows passwords only' };
  const line = await openLine(task.place, login, signal);
  if (isFault(line)) return line;
  await using undo = new AsyncDisposableStack();
  const cli = undo.use(new CommandLine(line));
  const password = telnet && credential.kind === 'password' ? credential.secret : undefined;
  if (password !== undefined) {
    const fault = await answerQuestions(cli, task, login.user, password, signal);
    if (fault !== undefined) return fault;
  }
  const prompt = await learnPrompt(cli, signal);
  if (isFault(prompt)) return prompt;
  const life = undo.move();
  return { cli, prompt, [Symbol.asyncDispose]: () => life.disposeAsync() };
}

/** Name and password as they are asked for, each once. Returns when the password was typed. */
async function answerQuestions(
  cli: CommandLine,
  task: Task,
  user: string,
  password: Secret,
  signal: AbortSignal,
): Promise<Fault | undefined> {
  const byName = task.settings['login'] !== 'line';
  let named = false;
  for (;;) {
    const screen = await cli.until('', signal);
    if (isFault(screen)) return closedLine(screen.words) ? { ...screen, fault: 'unsupported' } : screen;
    const { text, ending } = screen;
    if (closedLine(text)) return cli.fault('unsupported', 'the line lets nobody in', text);
    switch (ending.kind) {
      case 'username':
        if (!byName) return { fault: 'unsupported', words: 'the device asks for a name: set `login` to `username`' };
        if (named) return { fault: 'unexpected', words: 'the device asks for the name again' };
        named = true;
        await cli.type({ words: user }, signal);
        break;
      case 'password':
        if (byName && !named)
          return { fault: 'unsupported', words: 'the device asks for no name: set `login` to `line`' };
        await cli.type({ words: '', secret: password }, signal);
        return undefined;
      case 'prompt':
        return {
          fault: 'unsupported',
          words: 'the device lets everybody in without a password, so that a login proves nothing',
        };
      case 'question':
        return cli.fault('unexpected', 'the device asks something that is not foreseen', text);
      default:
        return ending satisfies never;
    }
  }
}

/** After the password: the prompt, twice the same, so that no line of a greeting is taken for it. Or the device's no. */
async function learnPrompt(cli: CommandLine, signal: AbortSignal): Promise<Prompt | Fault> {
  let before: Prompt | undefined;
  for (let tries = 0; tries < 5; tries++) {
    const screen = await cli.until('', signal);
    if (isFault(screen))
      return rejectedLogin(screen.words) ? { ...screen, fault: 'authentication', rejected: true } : screen;
    const { text, ending } = screen;
    if (before === undefined && (rejectedLogin(text) || ending.kind === 'password' || ending.kind === 'username'))
      return { fault: 'authentication', words: 'the device refused the login', rejected: true };
    if (ending.kind !== 'prompt') return cli.fault('unexpected', 'no prompt came after the login', text);
    if (before !== undefined && before.host === ending.host && before.privileged === ending.privileged) {
      cli.host = ending.host;
      return ending;
    }
    before = ending;
    await cli.type({ words: '' }, signal);
  }
  return { fault: 'unexpected', words: 'the device shows no prompt that stays the same' };
}

/** Becomes privileged with this password, or without one. `rejected` if the device said no to the password. */
export async function enable(
  { cli, prompt }: LoggedIn,
  password: Secret | undefined,
  signal: AbortSignal,
): Promise<'asked' | 'free' | Fault> {
  if (prompt.privileged) return 'free';
  await cli.type({ words: 'enable' }, signal);
  const first = await cli.until('enable', signal);
  if (isFault(first)) return first;
  if (first.ending.kind === 'prompt') return granted(cli, first.text, first.ending, 'free');
  if (first.ending.kind !== 'password')
    return cli.fault('unexpected', 'the device asks something that is not foreseen', first.text);
  if (password === undefined)
    return {
      fault: 'permission',
      words: '`enable` asks for a password: set `enable`, or log in through another account',
    };
  await cli.type({ words: '', secret: password }, signal);
  const second = await cli.until('', signal);
  if (isFault(second))
    return rejectedLogin(second.words) ? { ...second, fault: 'authentication', rejected: true } : second;
  if (second.ending.kind === 'prompt' && second.ending.privileged && !rejectedLogin(second.text)) return 'asked';
  return { fault: 'authentication', words: 'the device refused the password of `enable`', rejected: true };
}

function granted(cli: CommandLine, text: string, prompt: Prompt, how: 'free'): 'free' | Fault {
  if (prompt.privileged) return how;
  const words = refusalIn(text)?.words;
  return cli.fault('permission', '`enable` is not allowed', words ?? text);
}

/**
 * Logged in with every privilege: as `login`, or, where it has a `via`, as that one, with `login` for the password of
 * `enable`. Nothing was changed on the device until here.
 */
export async function privileged(task: Task, login: Login, signal: AbortSignal): Promise<LoggedIn | Fault> {
  const session = await logIn(task, login.via ?? login, signal);
  if (isFault(session)) return session;
  await using undo = new AsyncDisposableStack();
  undo.use(session);
  const own = login.via !== undefined || task.settings['enable'] === 'same';
  const password = own && login.credential.kind === 'password' ? login.credential.secret : undefined;
  const done = await enable(session, password, signal);
  if (typeof done === 'object') return done;
  // Refused where there are no pages or no columns: then there is nothing to switch off.
  for (const command of ['terminal length 0', 'terminal width 511']) {
    const reply = await session.cli.run(command, signal);
    if (isFault(reply)) return reply;
  }
  undo.move();
  return session;
}
