/**
 * Passwords of Linux accounts, changed by chpasswd(8) over ssh as root: logged in as root, through sudo, or behind another
 * account by su. The value goes to its standard input and nowhere else: not into a command line, an environment or a
 * file. The machine's PAM rules apply as far as they bind root. Names and values that could be read as a second record
 * are refused.
 */
import { concat, utf8 } from '../../base/bytes.ts';
import { Secret } from '../../base/secret.ts';
import type { SshClient } from '../../protocol/ssh/ssh.ts';
import type { ChangeAnswer, Connector, NewCredential, Work } from './connector.ts';
import { done, precheckAsRoot, reconciled, unlocks } from './linux-account.ts';
import { fenceAsRoot, ranOut, tagged, tooLate } from './linux-fence.ts';
import { type RootWay, rootOf, run } from './linux-run.ts';
import { linuxNameFault, type Ran } from './linux-shell.ts';
import { tryLinuxLogin, tryLinuxPasswords } from './linux-verify.ts';
import { isFault, onTarget, unsent } from './target.ts';

/** What chpasswd and linux-shadow share: everything but the record. */
export const byChpasswd = {
  kind: 'password',
  protocols: ['ssh'],
  forbidden: '\n\r\0',
  retires: false,
  faultOfName: linuxNameFault,
  precheck: (work, signal) => precheckAsRoot(work, ['chpasswd', 'timeout', 'passwd'], signal),
  fence: fenceAsRoot,
  verify: tryLinuxLogin,
  adminverify: tryLinuxPasswords,
} as const satisfies Partial<Connector>;

export const linuxChpasswd: Connector = {
  ...byChpasswd,
  name: 'linux-chpasswd',
  title: 'passwords of Linux accounts, by chpasswd over ssh as root or through sudo or su',
  capabilities: { modes: ['self', 'admin'], via: true, adminverify: 'stored', fence: 'sessions', sends: 'value' },
  parameters: unlocks,
  change: (work, fresh, signal) => changed(work, 'chpasswd', valueOf(fresh), signal),
  reconcile: (work, fresh, signal) =>
    reconciled(
      (client, root, sending) => give(client, root, work, 'chpasswd', valueOf(fresh), sending, signal),
      work,
      signal,
    ),
};

/** As root, whichever way the login becomes it. */
export function changed(work: Work, command: string, value: Uint8Array, signal: AbortSignal): Promise<ChangeAnswer> {
  return onTarget(work.place, work.by.login, signal, async (client, sending) => {
    const root = await rootOf(client, work.by.login, signal);
    return isFault(root) ? unsent(root) : give(client, root, work, command, value, sending, signal);
  });
}

/** One record, `name:value`, to a command of root. */
export async function give(
  client: SshClient,
  root: RootWay,
  work: Work,
  command: string,
  value: Uint8Array,
  sending: () => void,
  signal: AbortSignal,
): Promise<ChangeAnswer> {
  using line = new Secret(concat([utf8(`${work.account}:`), value, utf8('\n')]));
  sending();
  return answerOf(await run(client, root, tagged(work, root, command), line, signal));
}

/** A line end would begin a second record. The generator is told so; entered values are checked here. */
export function valueOf(fresh: NewCredential): Uint8Array {
  if (fresh.kind !== 'password') throw new TypeError('chpasswd sets passwords');
  const bytes = fresh.secret.reveal();
  if (bytes.length === 0 || bytes.some((byte) => byte === 0 || byte === 10 || byte === 13))
    throw new TypeError('a password holds no line ends');
  return bytes;
}

function answerOf({ status, stderr, fault }: Ran): ChangeAnswer {
  if (fault !== undefined) return unsent(fault);
  if (status === 0) return done;
  if (status === undefined) return { said: 'uncertain', class: 'cut', words: 'chpasswd ended without a status' };
  if (ranOut(status)) return { said: 'uncertain', class: 'timeout', words: 'chpasswd did not finish in time' };
  if (status === tooLate) return { said: 'failed', class: 'timeout', words: 'the change came too late to be begun' };
  return { said: 'failed', class: classOf(stderr), words: `chpasswd ended with ${status}: ${stderr}` };
}

function classOf(stderr: string): ChangeAnswer['class'] {
  if (/does not exist|unknown user/i.test(stderr)) return 'missing';
  if (/BAD PASSWORD|password (is )?(too|fails|unchanged)|dictionary|has been already used|pwquality/i.test(stderr))
    return 'policy';
  if (/^sudo:|permission denied|password is required/im.test(stderr)) return 'permission';
  return /authentication token manipulation|preliminary check/i.test(stderr) ? 'policy' : 'unexpected';
}
