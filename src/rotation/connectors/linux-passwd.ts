/**
 * Passwords of Linux accounts, changed by passwd(1) as a person would: on a terminal, prompt by prompt, in whatever
 * language the machine asks (wire/dialogue.ts). An account changes itself with its present password, or root changes it,
 * logged in as root, by sudo, or by su. All rules of the machine's PAM stack apply. A secret goes only to a hidden prompt
 * that names a password at the place where one is due; anything else that is asked ends the change with its words.
 */
import type { Secret } from '../../base/secret.ts';
import type { SshClient } from '../../protocol/ssh/ssh.ts';
import type { ChangeAnswer, Connector, LoginCredential, NewCredential, Work } from './connector.ts';
import { done, missing, precheckAsRoot, reconciled, stateOf, unlocks } from './linux-account.ts';
import { fence, ranOut, tagged, tooLate } from './linux-fence.ts';
import { type RootWay, rootOf, run, type Way, wayOf } from './linux-run.ts';
import { inC, linuxNameFault, quote } from './linux-shell.ts';
import { openTerminal, talk, type Talk, wordsOf } from './linux-terminal.ts';
import { tryLinuxLogin, tryLinuxPasswords } from './linux-verify.ts';
import { type Fault, isFault, onTarget, unsent } from './target.ts';
import { noticesOf, promptOf, type Step } from './wire/dialogue.ts';

const programs = ['passwd', 'stty', 'tty', 'timeout'];

export const linuxPasswd: Connector = {
  name: 'linux-passwd',
  title: 'passwords of Linux accounts, by passwd on a terminal over ssh: by themselves, or by root',
  kind: 'password',
  protocols: ['ssh'],
  capabilities: { modes: ['self', 'admin'], via: true, adminverify: 'stored', fence: 'sessions', sends: 'value' },
  // A terminal takes control characters for itself.
  forbidden: Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).join('') + '\x7f',
  retires: false,
  parameters: unlocks,
  faultOfName: linuxNameFault,
  precheck: (work, signal) =>
    work.by.mode === 'self' ? precheckSelf(work, signal) : precheckAsRoot(work, programs, signal),
  change: (work, fresh, signal) =>
    onTarget(work.place, work.by.login, signal, async (client, sending) => {
      const way =
        work.by.mode === 'self' ? await selfOf(client, work, signal) : await rootOf(client, work.by.login, signal);
      return isFault(way) ? unsent(way) : give(client, way, work, fresh, sending, signal);
    }),
  reconcile: (work, fresh, signal) =>
    reconciled((client, root, sending) => give(client, root, work, fresh, sending, signal), work, signal),
  fence,
  verify: tryLinuxLogin,
  adminverify: tryLinuxPasswords,
};

/** What the account can find out about itself. */
function precheckSelf(work: Work, signal: AbortSignal): Promise<ChangeAnswer> {
  return onTarget(work.place, work.by.login, signal, async (client) => {
    const way = await selfOf(client, work, signal);
    if (isFault(way)) return unsent(way);
    const lacking = await missing(client, way, programs, signal);
    const state = await stateOf(client, way, work.account, signal);
    const fault = lacking ?? (isFault(state) ? state : undefined);
    if (fault !== undefined) return unsent(fault);
    return !isFault(state) && state.tooYoungFor > 0 && !way.isRoot
      ? unsent({ fault: 'too-young', words: `${work.account} may change its password in ${hours(state.tooYoungFor)}` })
      : done;
  });
}

function hours(seconds: number): string {
  return `${Math.ceil(seconds / 3600)} hours`;
}

interface Hand extends RootWay {
  /** passwd asks root for no present password. */
  readonly isRoot: boolean;
}

async function selfOf(client: SshClient, { by, account }: Work, signal: AbortSignal): Promise<Hand | Fault> {
  const way = wayOf(by.login);
  const ran = await run(client, way, 'id -u; date +%s', undefined, signal);
  if (ran.fault !== undefined) return ran.fault;
  const [uid, clock] = new TextDecoder().decode(ran.stdout).trim().split('\n');
  if (ran.status !== 0 || !Number.isSafeInteger(Number(clock)))
    return { fault: 'permission', words: `${account} may not run commands there: ${ran.stderr}` };
  return { ...way, now: Number(clock), isRoot: uid === '0' };
}

/** The whole talk with passwd. */
async function give(
  client: SshClient,
  way: RootWay & { readonly isRoot?: boolean },
  work: Work,
  fresh: NewCredential,
  sending: () => void,
  signal: AbortSignal,
): Promise<ChangeAnswer> {
  const value = valueOf(fresh);
  const self = work.by.mode === 'self' && way.isRoot !== true;
  const present = passwordOf(work.by.login.credential);
  if (present === undefined && (self || way.su !== undefined))
    return unsent({
      fault: 'unsupported',
      words: `passwd and su ask for a password, and ${work.by.login.user} has a key`,
    });
  const become = [way.su !== undefined, way.sudo.kind === 'asks'].flatMap((asked): Step[] => (asked ? ['become'] : []));
  const expected: Step[] = [...become, ...(self ? (['current'] as const) : []), 'fresh', 'again'];

  const terminal = await openTerminal(client, commandOf(way, work), signal);
  if (terminal === 'expired')
    return unsent({
      fault: 'expired',
      words: `${work.account} must change its password at the next login: let an administrator do it`,
    });
  await using _ = terminal;
  const secretOf = (step: Step): Secret => {
    if (step !== 'fresh' && step !== 'again' && present !== undefined) return present;
    sending();
    return value;
  };
  const spoken = await talk(client, terminal, expected, secretOf, undefined, signal);
  return answerOf(spoken, [value, ...(present === undefined ? [] : [present])]);
}

/** `--foreground`: in a group of its own it could not read from the terminal. */
function commandOf(way: Way & { readonly now: number }, work: Work): string {
  const change = tagged(work, way, `exec passwd ${work.account}`, '--foreground').replace(/^exec /, '');
  const sudo = { none: '', free: 'sudo -k -n ', asks: `sudo -k -p "Password of %p for sudo: " ` }[way.sudo.kind];
  const asRoot = `${sudo}${change}`;
  return way.su === undefined ? asRoot : `su ${way.su.user} -c ${quote(inC(`exec ${asRoot}`))}`;
}

function valueOf(fresh: NewCredential): Secret {
  if (fresh.kind !== 'password') throw new TypeError('passwd sets passwords');
  if (fresh.secret.length === 0 || fresh.secret.reveal().some((byte) => byte < 32 || byte === 127))
    throw new TypeError('a password that is typed holds no control characters');
  return fresh.secret;
}

function passwordOf(credential: LoginCredential): Secret | undefined {
  return credential.kind === 'password' ? credential.secret : undefined;
}

/** Certain only as far as it was seen: once the new value was typed, only passwd's own end says what became of it. */
function answerOf(spoken: Talk, secrets: readonly Secret[]): ChangeAnswer {
  const { dialogue } = spoken;
  const words = wordsOf(dialogue, secrets);
  const typed = dialogue.answered.some(({ step }) => step === 'fresh');
  if (spoken.kind === 'over') {
    const { status } = spoken;
    if (status === 0 && typed) return done;
    if (status === tooLate) return { said: 'failed', class: 'timeout', words: 'the change came too late to be begun' };
    if (status === undefined || ranOut(status))
      return { said: typed ? 'uncertain' : 'unsent', class: status === undefined ? 'cut' : 'timeout', words };
    return { said: 'failed', class: classOf(words, typed, dialogue.answered.at(-1)?.step), words };
  }
  const said = !typed ? 'unsent' : spoken.kind === 'stopped' && spoken.ended ? 'failed' : 'uncertain';
  if (spoken.kind === 'through') return { said, class: 'unexpected', words };
  switch (spoken.why) {
    case 'refused':
      return { said, class: 'policy', words: noticesOf(dialogue) || words };
    case 'wrong':
      return { said, class: 'authentication', words };
    case 'unknown-prompt':
      return {
        said,
        class: 'unexpected',
        words: `an unknown prompt ${JSON.stringify(promptOf(dialogue).slice(0, 80))}: ${words}`,
      };
    case 'too-long':
      return { said, class: 'unexpected', words: `too many words: ${words}` };
    default:
      return spoken.why satisfies never;
  }
}

/** In English its own words; in another language the place where it ended. */
function classOf(words: string, typed: boolean, last: Step | undefined): ChangeAnswer['class'] {
  if (/wait longer/i.test(words)) return 'too-young';
  if (/does not exist|unknown user/i.test(words)) return 'missing';
  if (/not allowed|may not|not in the sudoers|permission denied/i.test(words)) return 'permission';
  if (typed || /BAD PASSWORD/i.test(words)) return 'policy';
  return last === 'current' || last === 'become' ? 'authentication' : 'policy';
}
