/**
 * Passwords of Linux accounts, changed by `chpasswd` over ssh as root or through sudo. The value goes to its standard
 * input and nowhere else: not into a command line, an environment or a file. Proof is a login with the password and
 * nothing but the password. Names and values that could be read as a second record are refused.
 */
import { concat, utf8 } from '../../base/bytes.ts';
import { Secret } from '../../base/secret.ts';
import { tryWithin } from './budget.ts';
import type { ChangeAnswer, Connector, NewCredential, Work } from './connector.ts';
import { isFault, onTarget, quote, type Ran, rootOf, run, runAsRoot, tryLogin, unsent } from './target.ts';

/** What useradd(8) allows, and capital letters; no colon, no line end, nothing that a shell or an option parser reads. */
const nameShape = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?$/;

export const linuxChpasswd: Connector = {
  name: 'linux-chpasswd',
  title: 'passwords of Linux accounts, by chpasswd over ssh as root or through sudo',
  kind: 'password',
  protocols: ['ssh'],
  capabilities: { modes: ['self', 'admin'], via: false, adminverify: 'budget', fence: 'time', sends: 'value' },
  forbidden: '\n\r\0',
  retires: false,
  parameters: {},
  faultOfName: linuxNameFault,
  precheck: (work, signal) =>
    onTarget(work.place, work.by.login, signal, async (client) => {
      const root = await rootOf(client, work.by.login, signal);
      if (isFault(root)) return unsent(root);
      const name = quote(work.account);
      const there = await run(client, `id -u ${name} && command -v timeout && command -v chpasswd`, undefined, signal);
      if (there.status !== 0) return missing(work, there);
      const state = await runAsRoot(client, root, `passwd -S ${name}`, new Uint8Array(0), signal);
      if (/^\S+ LK? /.test(new TextDecoder().decode(state.stdout)))
        return { said: 'unsent', class: 'locked', words: `the password of ${work.account} is locked` };
      return { said: 'confirmed', class: 'none', words: '' };
    }),
  change: (work, fresh, signal) =>
    onTarget(work.place, work.by.login, signal, async (client, sending) => {
      const value = valueOf(fresh);
      const root = await rootOf(client, work.by.login, signal);
      if (isFault(root)) return unsent(root);
      using line = new Secret(concat([utf8(`${work.account}:`), value.reveal(), utf8('\n')]));
      sending();
      const command = `timeout -k 1 ${work.targetSeconds} chpasswd`;
      return answerOf(await runAsRoot(client, root, command, line.reveal(), signal));
    }),
  verify: (task, login, signal) => tryLogin(task.place, login, signal),
  adminverify: (task, _admin, candidates, budget, signal) =>
    tryWithin(budget, candidates, (credential) => tryLogin(task.place, { user: task.account, credential }, signal)),
};

/** Why this is no login name that we hand to a machine. */
export function linuxNameFault(account: string): string | undefined {
  return nameShape.test(account) ? undefined : `${JSON.stringify(account)} is no login name of a Linux machine`;
}

/** A line end would begin a second record. The generator is told so; entered values are checked here. */
function valueOf(fresh: NewCredential): Secret {
  if (fresh.kind !== 'password') throw new TypeError('linux-chpasswd sets passwords');
  const bytes = fresh.secret.reveal();
  if (bytes.length === 0 || bytes.some((byte) => byte === 0 || byte === 10 || byte === 13))
    throw new TypeError('a password holds no line ends');
  return fresh.secret;
}

function missing(work: Work, ran: Ran): ChangeAnswer {
  return /no such user/i.test(ran.stderr)
    ? { said: 'unsent', class: 'missing', words: `there is no user ${work.account}` }
    : { said: 'unsent', class: 'unsupported', words: `chpasswd and timeout are needed there: ${ran.stderr}` };
}

/** 124 and 137 are timeout(1)'s: the command was ended in the middle. */
function answerOf({ status, stderr }: Ran): ChangeAnswer {
  if (status === 0) return { said: 'confirmed', class: 'none', words: '' };
  if (status === undefined) return { said: 'uncertain', class: 'cut', words: 'chpasswd ended without a status' };
  if (status === 124 || status === 137)
    return { said: 'uncertain', class: 'timeout', words: 'chpasswd did not finish in time' };
  return { said: 'failed', class: classOf(stderr), words: `chpasswd ended with ${status}: ${stderr}` };
}

function classOf(stderr: string): ChangeAnswer['class'] {
  if (/does not exist|unknown user/i.test(stderr)) return 'missing';
  if (/BAD PASSWORD|password (is )?(too|fails|unchanged)|dictionary|has been already used|pwquality/i.test(stderr))
    return 'policy';
  if (/sudo|permission denied|password is required/i.test(stderr)) return 'permission';
  return /authentication token manipulation|preliminary check/i.test(stderr) ? 'policy' : 'unexpected';
}
