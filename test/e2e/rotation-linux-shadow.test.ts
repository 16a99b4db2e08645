/** linux-shadow on a machine with real PAM, shadow, sudo and sshd. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

describe.runIf(fullMachines)('linux-shadow', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await accountsMachine('shadow');
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());
  const connector = 'linux-shadow';
  const { lie: _, ...shared } = passwordBench(() => machine, 'chpasswd');

  conformance({
    ...sshBench(() => machine),
    ...shared,
    connector,
    // A file that is a mount point cannot be replaced by rename.
    forbid: async () => {
      await sh(machine, 'mount --bind /etc/shadow /etc/shadow');
      return {
        [Symbol.asyncDispose]: async () => {
          await sh(machine, 'umount /etc/shadow; rm -f /etc/*.lock /etc/shadow+');
        },
      };
    },
    nasty: [`'";$(id)\`id\`\\`, ' leading and trailing ', 'root:x', 'ümläut €', '$6$x$y'],
    without: {
      self: 'chpasswd is for root',
      lie: 'chpasswd -e asks no module of PAM that could fail later: replacing the file is its last step',
    },
  });

  const change = (text: string, settings = {}) => {
    const what = { ...work(placeOf(machine), 'app', 'root', password(passwords.root)), settings };
    return ask({ connector, operation: 'change', work: what, fresh: value(text).fresh });
  };
  const verify = (text: string) =>
    ask({
      connector,
      operation: 'verify',
      task: { place: placeOf(machine), account: 'app', settings: {} },
      login: { user: 'app', credential: password(text) },
    });

  test('what the shadow file keeps is our hash, with as many rounds as the account is told to have', async () => {
    expect(await change('Hashed.Here-1')).toMatchObject({ outcome: 'confirmed' });
    expect(await sh(machine, 'grep ^app: /etc/shadow')).toMatch(/^app:\$6\$[./\w]{16}\$[./\w]{86}:/);
    expect(await change('Hashed.Here-2', { rounds: 20_000 })).toMatchObject({ outcome: 'confirmed' });
    expect(await sh(machine, 'grep ^app: /etc/shadow')).toMatch(/^app:\$6\$rounds=20000\$/);
    expect(await verify('Hashed.Here-2')).toMatchObject({ outcome: 'accepted' });
  });

  test('chpasswd is given the hash and never the value', async () => {
    await sh(machine, 'cat >/tmp/chpasswd && chmod +x /tmp/chpasswd', '#!/bin/sh\ncat >/tmp/given\nexit 0\n');
    await sh(machine, 'mount --bind /tmp/chpasswd /usr/sbin/chpasswd');
    try {
      expect(await change('Never.On-The-Wire-1')).toMatchObject({ outcome: 'confirmed' });
    } finally {
      await sh(machine, 'umount /usr/sbin/chpasswd');
    }
    expect(await machine.readFile('/tmp/given')).toMatch(/^app:\$6\$[./\w]{16}\$[./\w]{86}\n$/);
  });

  test('rules of PAM are passed over: what pwquality forbids root too is set all the same', async () => {
    const rules = 'dictcheck = 0\nminlen = 30\nenforce_for_root\n';
    const before = await machine.readFile('/etc/security/pwquality.conf');
    await machine.putFile('/etc/security/pwquality.conf', rules, { mode: '0644' });
    const what = work(placeOf(machine), 'app', 'root', password(passwords.root));
    const byPam = await ask({
      connector: 'linux-chpasswd',
      operation: 'change',
      work: what,
      fresh: value('Short-1').fresh,
    });
    expect(byPam).toMatchObject({
      outcome: 'failed',
      class: 'policy',
      words: expect.stringContaining('30 characters'),
    });
    expect(await change('Short-2')).toMatchObject({ outcome: 'confirmed' });
    await machine.putFile('/etc/security/pwquality.conf', before, { mode: '0644' });
    expect(await verify('Short-2')).toMatchObject({ outcome: 'accepted' });
  });
});
