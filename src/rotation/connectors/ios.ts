/**
 * Passwords on the command line of IOS and of what speaks like it (FRR, Quagga): users' secrets, the password of the
 * lines, that of `enable`. By ssh, or by telnet, which is clear text. Proof is a new login. A value that the running
 * configuration took and the saved one did not is uncertain, never confirmed.
 */
import type { Secret } from '../../base/secret.ts';
import { tryWithin } from './budget.ts';
import type { Connector, Login, LoginCredential, NewCredential, Task, VerifyAnswer } from './connector.ts';
import { changeValue, commandFor, soleAccount, whatOf } from './ios/change.ts';
import { fence } from './ios/fence.ts';
import { enable, logIn, privileged } from './ios/login.ts';
import { oneOf, text } from './parameters.ts';
import { type Fault, isFault, unsent } from './target.ts';

const nameShape = /^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$/;

/** `?` asks for help, a space ends a word, and the rest is edited away before it is a character. */
const forbidden = `? ${Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).join('')}\u007f`;

export const ios: Connector = {
  name: 'ios',
  title: 'users, lines and enable on the command line of IOS and FRR, by ssh or telnet',
  kind: 'password',
  protocols: ['ssh', 'telnet'],
  capabilities: {
    modes: ['self', 'admin'],
    via: true,
    adminverify: 'budget',
    fence: 'sessions',
    saves: true,
    sends: 'value',
  },
  forbidden,
  retires: false,
  parameters: {
    login: oneOf(
      'What a login by telnet asks for: name and password, or the password of the line. username unless set',
      ['username', 'line'],
    ),
    enable: oneOf(
      'The password of `enable` after a login: none is asked for, or the same again. none unless set; another one is an account with `via`',
      ['none', 'same'],
    ),
    command: oneOf(
      'What is changed: the secret of the user (unless set), the password of the lines (account vty), or of enable (account enable)',
      ['username-secret', 'line-password', 'enable-password', 'enable-secret'],
    ),
    lines: text(
      'The lines of a line-password; FRR has one password for all and wants none',
      'such as vty 0 15',
      /^(?:vty|con|aux) \d{1,3}(?: \d{1,3})?$/,
    ),
    form: oneOf('How a secret is sent: as its scrypt hash (type 9, unless set), PBKDF2 hash (type 8), or as it is', [
      'scrypt',
      'pbkdf2',
      'plain',
    ]),
  },
  faultOfName: (account) =>
    nameShape.test(account) ? undefined : `${JSON.stringify(account)} is no name that a command line takes as one word`,
  faultOfValue,
  precheck: async (work, signal) => {
    const session = await privileged(work, work.by.login, signal);
    if (isFault(session)) return unsent(session);
    await using _ = session;
    const command = await commandFor(session.cli, work, signal);
    return typeof command === 'object' ? unsent(command) : { said: 'confirmed', class: 'none', words: '' };
  },
  change: (work, fresh, signal) => changeValue(work, valueOf(fresh, work), signal),
  fence,
  verify: (task, login, signal) => tryValue(task, login, signal),
  adminverify: (task, admin, candidates, budget, signal) =>
    tryWithin(budget, candidates, (credential) => tryValue(task, loginFor(task, admin, credential), signal)),
};

/** FRR takes a password of its lines only if it begins with a letter or a digit; nobody takes more than a line. */
function faultOfValue(value: Secret, settings: Readonly<Record<string, unknown>>): string | undefined {
  const bytes = value.reveal();
  if (bytes.length === 0 || bytes.length > 127) return 'it has 1 to 127 characters';
  if (bytes.some((byte) => byte <= 0x20 || byte >= 0x7f || byte === 0x3f))
    return 'it is printable ASCII without spaces and question marks';
  const hashed =
    (settings['command'] ?? 'username-secret') === 'username-secret' || settings['command'] === 'enable-secret';
  const [first = 0] = bytes;
  return hashed || /[A-Za-z0-9]/.test(String.fromCharCode(first)) ? undefined : 'it begins with a letter or a digit';
}

function valueOf(fresh: NewCredential, { settings }: Task): Secret {
  if (fresh.kind !== 'password') throw new TypeError('ios sets passwords');
  // The first character is the device's to judge; what would be read as something else is never typed.
  const fault = faultOfValue(fresh.secret, { ...settings, command: 'username-secret' });
  if (fault !== undefined) throw new TypeError(`a password on a command line: ${fault}`);
  return fresh.secret;
}

/** How a candidate logs in. The password of `enable` needs somebody who logs in first. */
function loginFor(task: Task, admin: Login | undefined, credential: LoginCredential): Login {
  const login = { user: task.account, credential };
  const first = task.via ?? admin?.via ?? admin;
  return soleAccount(whatOf(task)) === 'enable' && first !== undefined ? { ...login, via: first } : login;
}

async function tryValue(task: Task, login: Login, signal: AbortSignal): Promise<VerifyAnswer> {
  const fault =
    soleAccount(whatOf(task)) === 'enable' ? await tryEnable(task, login, signal) : await tryLogin(task, login, signal);
  if (fault === undefined) return { answer: 'accepted', class: 'none', words: '' };
  return { answer: fault.rejected === true ? 'rejected' : 'unknown', class: fault.fault, words: fault.words };
}

async function tryLogin(task: Task, login: Login, signal: AbortSignal): Promise<Fault | undefined> {
  const session = await logIn(task, login, signal);
  if (isFault(session)) return session;
  await session[Symbol.asyncDispose]();
  return undefined;
}

async function tryEnable(task: Task, login: Login, signal: AbortSignal): Promise<Fault | undefined> {
  const { via, credential } = login;
  if (via === undefined || credential.kind !== 'password')
    return { fault: 'unsupported', words: 'the password of `enable` needs an account that logs in first (`via`)' };
  const session = await logIn(task, via, signal);
  // That somebody else cannot log in says nothing about this password.
  if (isFault(session)) return { fault: session.fault, words: session.words };
  await using _ = session;
  let { prompt } = session;
  if (prompt.privileged) {
    const reply = await session.cli.run('disable', signal);
    if (isFault(reply)) return reply;
    prompt = reply.prompt;
  }
  const done = await enable({ ...session, prompt }, credential.secret, signal);
  if (typeof done === 'object') return done;
  return done === 'asked' ? undefined : { fault: 'unsupported', words: '`enable` asks for no password there' };
}
