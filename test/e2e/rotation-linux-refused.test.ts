/**
 * A machine that lets nobody run another command while a change is being made: sshd cannot fork any more, because a limit
 * of the account's processes is reached. What was done until then is not called unsent.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Login, Work } from '../../src/rotation/connectors/connector.ts';
import { fullMachines, type Machine } from '../lab/machine.ts';
import {
  accountsMachine,
  ask,
  drawn,
  instead,
  pair,
  password,
  passwords,
  placeOf,
  sh,
  strikeOut,
  strikesOf,
  threeStrikes,
  value,
} from '../rotation/connectors/machine.ts';

describe.runIf(fullMachines)('a machine that refuses another command in the middle of a change', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await accountsMachine('refused');
    // From now on the sshd of this account's connection starts nothing more. Whoever has the same ids may say so.
    const starve = `#!/bin/sh
[ "$(id -u)" != 0 ] || exec setpriv --reuid "$1" --regid "$1" --clear-groups "$0" "$1"
for pid in $(pgrep -u "$1" -x sshd); do prlimit --nproc=0:0 --pid "$pid"; done
`;
    await machine.putFile('/tmp/starve', starve, { mode: '0755' });
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());

  const nopass: Login = { user: 'nopass', credential: password(passwords.nopass) };
  const work = (login: Login): Work => ({
    place: placeOf(machine),
    account: 'app',
    settings: {},
    by: { mode: login.user === 'app' ? 'self' : 'admin', login },
    tag: 'rot-refused',
    targetSeconds: 10,
  });
  const holds = async (text: string): Promise<boolean> =>
    (await machine.exec(['unix_chkpwd', 'app', 'nonull'], { input: `${text}\0` })).code === 0;
  /** A program of the machine, replaced by a script until the end of the scope. */
  async function replaced(path: string, script: string): Promise<AsyncDisposable> {
    await machine.putFile('/tmp/program', `#!/bin/sh\n${script}\n`, { mode: '0755' });
    await sh(machine, `mount --bind /tmp/program ${path}`);
    return {
      [Symbol.asyncDispose]: async () => {
        await sh(machine, `umount ${path}`);
      },
    };
  }

  test('a reconcile that has set the value and cannot lift the lock-out is confirmed, and says so', async () => {
    await using _strikes = await threeStrikes(machine);
    await strikeOut(machine);
    const rules = 'password required pam_unix.so\npassword optional pam_exec.so quiet /tmp/starve nopass\n';
    await using _rules = await instead(machine, '/etc/pam.d/chpasswd', rules);
    const text = drawn();
    const job = { connector: 'linux-chpasswd', operation: 'reconcile', work: work(nopass) } as const;
    const words = expect.stringContaining('refused logins still count');
    expect(await ask({ ...job, fresh: value(text).fresh })).toMatchObject({ outcome: 'confirmed', words });
    expect([await holds(text), await strikesOf(machine)]).toEqual([true, 3]);
    await sh(machine, 'faillock --user app --reset');
  });

  test('where the terminal cannot be looked at any more, a new value that was typed is not called unsent', async () => {
    const script = `stty -echo; printf 'New password: '; IFS= read -r one; /tmp/starve nopass
printf 'Retype new password: '; IFS= read -r two`;
    await using _ = await replaced('/usr/bin/passwd', script);
    const job = { connector: 'linux-passwd', operation: 'change', work: work(nopass) } as const;
    const { outcome, words } = await ask({ ...job, fresh: value(drawn()).fresh });
    expect(outcome).toMatch(/^(uncertain|failed)$/);
    expect(words).toContain('unknown prompt');
  });

  test('former keys that were taken from one file and not from the next are not called unsent', async () => {
    const [mine, former] = [await pair('mine'), await pair('former')];
    const file = '/home/app/.ssh/authorized_keys';
    await sh(machine, 'install -d -m 700 -o app -g app /home/app/.ssh');
    for (const path of [file, `${file}2`])
      await machine.putFile(path, `${mine.line}\n${former.line}\n`, { owner: 'app' });
    await using _ = await replaced('/usr/bin/sync', '/tmp/starve app');
    const settings = { authorized_keys_file: '.ssh/authorized_keys .ssh/authorized_keys2' };
    const what = { ...work({ user: 'app', credential: mine.login }), settings };
    const job = { connector: 'ssh-key', operation: 'retire', work: what, former: [former.publicKey] } as const;
    expect(await ask(job)).toMatchObject({ outcome: 'uncertain', class: 'permission' });
    expect(await machine.readFile(file)).toBe(`${mine.line}\n`);
    expect(await machine.readFile(`${file}2`)).toContain(former.line);
  });
});
