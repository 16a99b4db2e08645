/**
 * An account on a Linux machine before and after its password is changed: what the machine says about it, whether a
 * change can succeed at all, and lifting a lock-out. Only root is told all of it; what is not told is taken as nothing.
 */
import { text } from '../../base/bytes.ts';
import { type SshClient, SshError } from '../../protocol/ssh/ssh.ts';
import type { ChangeAnswer, Work } from './connector.ts';
import { type RootWay, rootOf, run, type Way } from './linux-run.ts';
import { quote } from './linux-shell.ts';
import { yesOrNo } from './parameters.ts';
import { type Fault, isFault, onTarget, unsent } from './target.ts';
import { type AccountState, parseAccountState } from './wire/account-state.ts';

/** A setting of every connector of passwords on Linux. */
export const unlocks = {
  unlock: yesOrNo('whether a reconcile gives a password also to an account that somebody locked; no unless told'),
};

export const done: ChangeAnswer = { said: 'confirmed', class: 'none', words: '' };

/** Asks the machine about an account that is there. Changes nothing. */
export async function stateOf(
  client: SshClient,
  way: Way,
  account: string,
  signal: AbortSignal,
): Promise<AccountState | Fault> {
  const name = quote(account);
  const script = `id -u ${name} >/dev/null || exit 3
echo "status $(passwd -S ${name} 2>/dev/null)"
echo "now $(date +%s)"
echo "clock $(date '+%Y-%m-%d %H:%M:%S')"
echo "local $(grep -c ${quote(`^${account.replaceAll(/[.$]/g, '\\$&')}:`)} /etc/shadow 2>/dev/null)"
echo "chkpwd $(command -v unix_chkpwd)"
cd /etc/pam.d 2>/dev/null && cat sshd common-auth common-account password-auth system-auth 2>/dev/null | sed 's/^/pam /'
cat /etc/security/faillock.conf 2>/dev/null | sed 's/^/conf /'
faillock --user ${name} 2>/dev/null | sed 's/^/failure /'
exit 0`;
  const ran = await run(client, way, script, undefined, signal);
  if (ran.fault !== undefined) return ran.fault;
  if (ran.status === 3) return { fault: 'missing', words: `there is no user ${account}` };
  if (ran.status !== 0)
    return { fault: 'unexpected', words: `the machine does not tell about ${account}: ${ran.stderr}` };
  return parseAccountState(text(ran.stdout));
}

/** Whether a change of this account by root can work, with the programs that it takes. */
export function precheckAsRoot(work: Work, programs: readonly string[], signal: AbortSignal): Promise<ChangeAnswer> {
  return onTarget(work.place, work.by.login, signal, async (client) => {
    const root = await rootOf(client, work.by.login, signal);
    if (isFault(root)) return unsent(root);
    const state = await stateOf(client, root, work.account, signal);
    if (isFault(state)) return unsent(state);
    const fault = (await missing(client, root, programs, signal)) ?? lockOf(work, state);
    return fault === undefined ? done : unsent(fault);
  });
}

/** The programs are there, or what is lacking. */
export async function missing(
  client: SshClient,
  way: Way,
  programs: readonly string[],
  signal: AbortSignal,
): Promise<Fault | undefined> {
  const ran = await run(
    client,
    way,
    programs.map((name) => `command -v ${name} >/dev/null`).join(' && '),
    undefined,
    signal,
  );
  return ran.status === 0 ? undefined : { fault: 'unsupported', words: `${programs.join(', ')} are needed there` };
}

/**
 * A lock that somebody set is his decision, unless the setting `unlock` is ours. One that wrong passwords set would hide
 * whether the new value works; a reconcile lifts it.
 */
function lockOf({ account, settings, lifts }: Work, state: AccountState): Fault | undefined {
  if (state.locked && !(lifts === true && settings['unlock'] === true))
    return { fault: 'locked', words: `the password of ${account} is locked` };
  const words = `${state.strikes} refused logins: pam_faillock lets ${account} in with no password`;
  return state.lockedOut && lifts !== true ? { fault: 'locked', words } : undefined;
}

/**
 * A change by root of an account in any state: what wrong passwords locked is opened again afterwards. A password that
 * somebody locked (`passwd -l`, `usermod -L`) stays as it is unless the setting `unlock` says otherwise.
 */
export function reconciled(
  change: (client: SshClient, root: RootWay, sending: () => void) => Promise<ChangeAnswer>,
  work: Work,
  signal: AbortSignal,
): Promise<ChangeAnswer> {
  return onTarget(work.place, work.by.login, signal, async (client, sending) => {
    const root = await rootOf(client, work.by.login, signal);
    if (isFault(root)) return unsent(root);
    const state = await stateOf(client, root, work.account, signal);
    if (isFault(state)) return unsent(state);
    const fault = lockOf({ ...work, lifts: true }, state);
    if (fault !== undefined) return unsent(fault);
    const answer = await change(client, root, sending);
    if (answer.said !== 'confirmed' || state.strikes === 0) return answer;
    // Whatever becomes of this, the value is in place.
    const failure = await forgetStrikes(client, root, work.account, signal);
    return failure === undefined ? answer : { ...answer, words: `refused logins still count there: ${failure}` };
  });
}

/** Why it could not be done, or undefined. */
async function forgetStrikes(
  client: SshClient,
  root: RootWay,
  account: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const ran = await run(client, root, `faillock --user ${quote(account)} --reset`, undefined, signal);
    return ran.status === 0 ? undefined : ran.stderr;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SshError)) throw error;
    return error.message;
  }
}
