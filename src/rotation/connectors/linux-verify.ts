/**
 * Whether a value is an account's, on a Linux machine. By a login: over ssh, or by su behind another account; that is
 * proof, and a wrong one counts against the account. Or compared by the machine itself with what its shadow file keeps
 * (unix_chkpwd(8) as root), which counts nowhere; where that cannot be, by as many logins as pam_faillock leaves.
 */
import { concat, text } from '../../base/bytes.ts';
import { Secret } from '../../base/secret.ts';
import type { SshClient } from '../../protocol/ssh/ssh.ts';
import { tryWithin } from './budget.ts';
import type { Login, LoginCredential, Task, VerifyAnswer } from './connector.ts';
import { type RootWay, rootOf, run } from './linux-run.ts';
import { demandsPassword, inC } from './linux-shell.ts';
import { stateOf } from './linux-account.ts';
import { tryBySu } from './linux-su.ts';
import { type Fault, isFault, reach } from './target.ts';
import { type AccountState, triesLeft } from './wire/account-state.ts';

/** A real login, and one command that does nothing: a machine that wants a new password first says so in its place. */
export async function tryLinuxLogin(task: Task, login: Login, signal: AbortSignal): Promise<VerifyAnswer> {
  const client = await reach(task.place, login, signal);
  if (isFault(client)) return answerOf(client, login.via === undefined);
  await using _ = client;
  if (login.via !== undefined) return await tryBySu(client, login, signal);
  const { stderr } = await client
    .exec(`exec ${inC('exit 0')}`, { maxOutput: 64 * 1024 }, AbortSignal.any([signal, AbortSignal.timeout(probeMs)]))
    .catch(() => {
      // Let in is let in, whatever becomes of commands there: nologin, a forced command, no sessions.
      signal.throwIfAborted();
      return { stderr: new Uint8Array(0) };
    });
  return demandsPassword(text(stderr))
    ? { answer: 'accepted', class: 'expired', words: `the password of ${login.user} has expired` }
    : { answer: 'accepted', class: 'none', words: '' };
}

const probeMs = 3_000;

/** Only the account's own login tells something about its value, and only a right password hears that it has expired. */
function answerOf({ fault, words, rejected }: Fault, own: boolean): VerifyAnswer {
  if (own && fault === 'expired') return { answer: 'accepted', class: 'expired', words };
  return { answer: own && rejected === true ? 'rejected' : 'unknown', class: fault, words };
}

/** See the contract: `budget` logins at the most, and none where an administrator can have the machine compare. */
export async function tryLinuxPasswords(
  task: Task,
  admin: Login | undefined,
  candidates: readonly LoginCredential[],
  budget: number,
  signal: AbortSignal,
): Promise<readonly VerifyAnswer[]> {
  const logins = (most: number): Promise<readonly VerifyAnswer[]> => {
    const via = task.via === undefined ? {} : { via: task.via };
    return tryWithin(most, candidates, (credential) =>
      tryLinuxLogin(task, { user: task.account, credential, ...via }, signal),
    );
  };
  if (admin === undefined) return logins(budget);
  const client = await reach(task.place, admin, signal);
  if (isFault(client)) return logins(budget);
  await using _ = client;
  const root = await rootOf(client, admin, signal);
  if (isFault(root)) return await logins(budget);
  const state = await stateOf(client, root, task.account, signal);
  if (isFault(state)) return candidates.map(() => ({ answer: 'unknown', class: state.fault, words: state.words }));
  return (await compare(client, root, task, state, candidates, signal)) ?? (await logins(triesLeft(state, budget)));
}

/** One answer each, or undefined where this machine cannot compare. */
async function compare(
  client: SshClient,
  root: RootWay,
  { account }: Task,
  { locked, local, chkpwd }: AccountState,
  candidates: readonly LoginCredential[],
  signal: AbortSignal,
): Promise<readonly VerifyAnswer[] | undefined> {
  if (!local || chkpwd === undefined) return undefined;
  if (locked) {
    // Every value looks wrong then, the right one too.
    const words = `the password of ${account} is locked`;
    return candidates.map(() => ({ answer: 'unknown', class: 'locked', words }));
  }
  const answers: VerifyAnswer[] = [];
  for (const candidate of candidates) {
    if (candidate.kind !== 'password') return undefined;
    using input = new Secret(concat([candidate.secret.reveal(), new Uint8Array(1)]));
    const { status } = await run(client, root, `exec ${chkpwd} '${account}' nonull`, input, signal);
    const answer = status === 0 ? 'accepted' : status === 7 ? 'rejected' : undefined;
    if (answer === undefined) return undefined;
    answers.push({ answer, class: answer === 'accepted' ? 'none' : 'authentication', words: '', how: 'stored' });
  }
  return answers;
}
