/** linux-chpasswd on a machine with real PAM, shadow, sudo and sshd. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { linuxChpasswd } from '../../src/rotation/connectors/linux-chpasswd.ts';
import { fullMachines, type Machine } from '../lab/machine.ts';
import { conformance } from '../rotation/connectors/conformance.ts';
import {
  accountsMachine,
  ask,
  password,
  passwordBench,
  passwords,
  placeOf,
  sh,
  sshBench,
  value,
  work,
} from '../rotation/connectors/machine.ts';

describe.runIf(fullMachines)('linux-chpasswd', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await accountsMachine('chpasswd');
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());

  const set = async (user: string, text: string): Promise<void> => {
    await sh(machine, 'chpasswd', `${user}:${text}\n`);
  };
  const connector = 'linux-chpasswd';
  const verify = (user: string, credential: ReturnType<typeof password>) =>
    ask({
      connector,
      operation: 'verify',
      task: { place: placeOf(machine), account: user, settings: {} },
      login: { user, credential },
    });

  conformance({
    ...sshBench(() => machine),
    connector,
    ...passwordBench(() => machine, 'chpasswd'),
    nasty: [`'";$(id)\`id\`\\`, ' leading and trailing ', 'root:x', 'ümläut €', '-e %s \\n', '#!&|<>*?[]{}~', '$6$x$y'],
    without: { self: 'chpasswd is for root' },
  });

  test('a value with a line end is never sent: it would be a second record', async () => {
    await set('plain', passwords.plain);
    const { fresh } = value('x\nplain:taken-over');
    const what = work(placeOf(machine), 'app', 'root', password(passwords.root));
    await ask({ connector, operation: 'change', work: what, fresh });
    expect(await verify('plain', password(passwords.plain))).toMatchObject({ outcome: 'accepted' });
  });

  test('root changes itself', async () => {
    const { fresh, login } = value('Root.Pass-2');
    const what = work(placeOf(machine), 'root', 'root', password(passwords.root));
    expect(await ask({ connector, operation: 'change', work: what, fresh })).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('root', login)).toMatchObject({ outcome: 'accepted' });
    await set('root', passwords.root);
  });

  test('a locked account is told apart by the administrator, and an expired one may still be changed', async () => {
    const what = work(placeOf(machine), 'app', 'root', password(passwords.root));
    await machine.exec(['passwd', '-l', 'app']);
    expect(await ask({ connector, operation: 'precheck', work: what })).toMatchObject({
      outcome: 'unsent',
      class: 'locked',
    });
    await machine.exec(['passwd', '-u', 'app']);
    await machine.exec(['chage', '-d', '0', 'app']);
    const { fresh, login } = value('After.Expiry-1');
    expect(await ask({ connector, operation: 'change', work: what, fresh })).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('app', login)).toMatchObject({ outcome: 'accepted' });
  });

  test('a change that does not end is ended by the target itself, and is uncertain', async () => {
    const before = await machine.readFile('/etc/pam.d/chpasswd');
    await machine.putFile('/etc/pam.d/chpasswd', 'password requisite pam_exec.so quiet /usr/bin/sleep 600\n', {
      mode: '0644',
    });
    const what = { ...work(placeOf(machine), 'app', 'root', password(passwords.root)), targetSeconds: 1 };
    const answer = await ask({ connector, operation: 'change', work: what, fresh: value('Never.Set-1').fresh });
    await machine.putFile('/etc/pam.d/chpasswd', before, { mode: '0644' });
    expect(answer).toMatchObject({ outcome: 'uncertain', class: 'timeout' });
    expect((await machine.exec(['pgrep', '-x', 'chpasswd'])).code).toBe(1);
  });

  test('names that are not login names are refused', () => {
    for (const name of ['a:b', 'a\nb', '', 'a b', '-x', "a'b", '$(id)', 'a/b', 'é', 'x'.repeat(40)])
      expect(linuxChpasswd.faultOfName(name), name).toContain('no login name');
    for (const name of ['root', 'svc_app', 'Web.Admin-2', 'host$'])
      expect(linuxChpasswd.faultOfName(name), name).toBeUndefined();
  });

  test('sshd and sudo wrote no value into their logs', async () => {
    const { fresh } = value('Canary-Value-42');
    const what = work(placeOf(machine), 'app', 'asking', password(passwords.asking));
    await ask({ connector, operation: 'change', work: what, fresh });
    const logs = await machine.exec([
      'sh',
      '-c',
      'grep -rsl -e Canary-Value-42 -e Asking.Pass-1 /var/log /home /root /tmp; true',
    ]);
    expect([logs.stdout, machine.sshdLog().includes('Canary-Value-42')]).toEqual(['', false]);
  });
});
