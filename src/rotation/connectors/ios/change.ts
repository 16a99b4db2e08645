/**
 * The commands that change a value on a device, and what its answers mean. What the running configuration took and the
 * saved one did not is uncertain: it holds now, and a restart would bring the old value back.
 */
import { Secret } from '../../../base/secret.ts';
import type { AnswerClass, ChangeAnswer, Task, Work } from '../connector.ts';
import { type Fault, isFault, unsent } from '../target.ts';
import { type LoggedIn, privileged } from './login.ts';
import { ciscoSecret } from './secret.ts';
import type { CommandLine } from './session.ts';
import { type Refused, refusalIn, saved, userIn } from './wire/answers.ts';

/** What is changed: the secret of a user, the password of the lines, or that of `enable`. */
export type What = 'username-secret' | 'line-password' | 'enable-password' | 'enable-secret';

export function whatOf(task: Task): What {
  return (task.settings['command'] ?? 'username-secret') as What;
}

/** The one account that a password without a user belongs to; undefined for users. */
export function soleAccount(what: What): string | undefined {
  return what === 'username-secret' ? undefined : what === 'line-password' ? 'vty' : 'enable';
}

/** Why the account cannot be changed as it is declared, or, of a user, the words before its new secret. Changes nothing. */
export async function commandFor(cli: CommandLine, work: Work, signal: AbortSignal): Promise<string | Fault> {
  const what = whatOf(work);
  const sole = soleAccount(what);
  if (sole !== undefined && work.account !== sole)
    return { fault: 'missing', words: `${what} belongs to no user: its account is named ${sole}` };
  const reply = await cli.run('show running-config | include ^username|^enable|^password', signal);
  if (isFault(reply)) return reply;
  const refusal = refusalIn(reply.output.replace(/^(username|enable|password) .*$/gm, ''));
  if (refusal !== undefined)
    return { fault: 'permission', words: `the running configuration cannot be read: ${refusal.words}` };
  const lines = reply.output.split('\n').map((line) => line.trim());
  switch (what) {
    case 'username-secret': {
      const user = userIn(reply.output, work.account);
      if (user === undefined) return { fault: 'missing', words: `there is no user ${work.account}` };
      if (user.form === 'password')
        return {
          fault: 'unsupported',
          words: `${work.account} has a \`password\`: give it a \`secret\` once, by hand; a device takes one or the other`,
        };
      const level = user.privilege === undefined ? '' : `privilege ${user.privilege} `;
      return `username ${work.account} ${level}secret ${typeOf(work)} `;
    }
    case 'line-password': {
      if (work.settings['lines'] !== undefined) return 'password ';
      const line = lines.find((one) => one.startsWith('password '));
      if (line === undefined) return { fault: 'missing', words: 'the configuration has no `password`: set `lines`' };
      // Measured on FRR 8.4: crypt(3) by DES, which knows the first eight characters and no others.
      return line.startsWith('password 8 ')
        ? {
            fault: 'unsupported',
            words:
              '`service password-encryption` would keep eight characters: switch it off, or let no one read the file',
          }
        : 'password ';
    }
    case 'enable-password':
      return lines.some((line) => line.startsWith('enable secret '))
        ? { fault: 'unsupported', words: 'there is an `enable secret`, and it counts: set `command` to enable-secret' }
        : 'enable password ';
    case 'enable-secret':
      return `enable secret ${typeOf(work)} `;
    default:
      return what satisfies never;
  }
}

function typeOf({ settings }: Task): '9' | '8' | '0' {
  const form = settings['form'] ?? 'scrypt';
  return form === 'plain' ? '0' : form === 'pbkdf2' ? '8' : '9';
}

/** The value as it is typed: itself, or its hash. */
async function formOf(work: Work, value: Secret): Promise<Secret> {
  const what = whatOf(work);
  const type = what === 'line-password' || what === 'enable-password' ? '0' : typeOf(work);
  return type === '0' ? value.copy() : Secret.fromText(await ciscoSecret(type === '8' ? 8 : 9, value));
}

/** Changes the value, and saves. Idempotent. */
export async function changeValue(work: Work, value: Secret, signal: AbortSignal): Promise<ChangeAnswer> {
  using typed = await formOf(work, value);
  const session = await privileged(work, work.by.login, signal);
  if (isFault(session)) return unsent(session);
  await using _ = session;
  const { cli } = session;
  const words = await commandFor(cli, work, signal);
  if (typeof words === 'object') return unsent(words);
  const entered = await enterConfiguration(cli, work, signal);
  if (entered !== undefined) return entered;
  const reply = await cli.run({ words, secret: typed }, signal);
  if (isFault(reply)) return uncertain(reply);
  const refusal = refusalIn(reply.output);
  const left = await cli.run('end', signal);
  if (refusal !== undefined)
    return { said: 'failed', class: classOf(refusal), words: `the device refused: ${refusal.words}` };
  if (isFault(left)) return uncertain(left);
  return await save(session, signal);
}

/** Nothing has been changed when this is refused. */
async function enterConfiguration(
  cli: CommandLine,
  work: Work,
  signal: AbortSignal,
): Promise<ChangeAnswer | undefined> {
  const { lines } = work.settings;
  const steps = ['configure terminal'];
  if (whatOf(work) === 'line-password' && typeof lines === 'string') steps.push(`line ${lines}`);
  for (const step of steps) {
    const reply = await cli.run(step, signal);
    if (isFault(reply)) return unsent(reply);
    const refusal = refusalIn(reply.output);
    if (refusal === undefined && reply.prompt.mode.startsWith('config')) continue;
    const kind = refusal === undefined || refusal.why === 'syntax' ? 'permission' : classOf(refusal);
    return { said: 'failed', class: kind, words: `${step}: ${refusal?.words ?? 'not allowed'}` };
  }
  return undefined;
}

/** Makes what is running durable: `confirmed` only if the device says so. */
export async function save({ cli }: LoggedIn, signal: AbortSignal): Promise<ChangeAnswer> {
  const reply = await cli.run('write memory', signal);
  if (isFault(reply)) return { said: 'uncertain', class: 'unsaved', words: `not saved: ${reply.words}` };
  if (saved(reply.output)) return { said: 'confirmed', class: 'none', words: '' };
  const words = refusalIn(reply.output)?.words ?? reply.output.slice(-200);
  return { said: 'uncertain', class: 'unsaved', words: `it holds, but it was not saved: ${words}` };
}

function uncertain({ fault, words }: Fault): ChangeAnswer {
  return { said: 'uncertain', class: fault, words };
}

function classOf({ why }: Refused): AnswerClass {
  return why === 'syntax' ? 'unsupported' : why === 'other' ? 'unexpected' : why;
}
