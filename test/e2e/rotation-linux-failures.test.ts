/** What can go wrong on a Linux machine, reproduced: each with its class, and with what becomes of the value. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Login, LoginCredential, Work } from '../../src/rotation/connectors/connector.ts';
import { remedyOf } from '../../src/rotation/remedies.ts';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import {
  accountsMachine,
  ask,
  drawn,
  instead,
  password,
  passwords,
  placeOf,
  sh,
  strikeOut,
  strikesOf,
  threeStrikes,
  value,
} from '../rotation/connectors/machine.ts';

const connectors = ['linux-chpasswd', 'linux-shadow', 'linux-passwd'] as const;

describe.runIf(fullMachines)('failures of a Linux machine', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await accountsMachine('failures');
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());

  const root: Login = { user: 'root', credential: password(passwords.root) };
  const task = (account = 'app') => ({ place: placeOf(machine), account, settings: {} });
  const work = (login: Login, more: Partial<Work> = {}): Work => ({
    ...task(),
    by: { mode: login.user === 'app' ? 'self' : 'admin', login },
    tag: 'rot-failures',
    targetSeconds: 10,
    ...more,
  });
  const step = (
    connector: string,
    operation: 'precheck' | 'change' | 'reconcile',
    what: Work,
    text = drawn(),
  ): ReturnType<typeof ask> =>
    operation === 'precheck'
      ? ask({ connector, operation, work: what })
      : ask({ connector, operation, work: what, fresh: value(text).fresh });
  const verify = (credential: LoginCredential, user = 'app') =>
    ask({ connector: 'linux-passwd', operation: 'verify', task: task(user), login: { user, credential } });
  const plant = async (): Promise<LoginCredential> => {
    const text = drawn();
    await sh(machine, 'chpasswd && faillock --user app --reset', `app:${text}\n`);
    return password(text);
  };

  test('a closed port is refused, and a wire that swallows packets is silent', async () => {
    await using away = await startMachine({
      name: 'away',
      users: [{ name: 'app', password: 'App.Pass-1' }],
      network: 'netns',
    });
    const job = {
      connector: 'linux-passwd',
      operation: 'verify',
      task: { place: placeOf(away), account: 'app', settings: {} },
      login: { user: 'app', credential: password('App.Pass-1') },
    } as const;
    expect(await ask(job)).toMatchObject({ outcome: 'accepted' });
    await away.stopSshd();
    expect(await ask(job)).toMatchObject({ outcome: 'unknown', class: 'unreachable-refused' });
    // Whatever it answers is swallowed on the way, as by a firewall.
    const here = away.address.replace(/\d+$/, (last) => String(Number(last) - 1));
    await sh(away, `ip route add blackhole ${here}/32`);
    expect(await ask(job)).toMatchObject({ outcome: 'unknown', class: 'unreachable-timeout' });
    expect(remedyOf('unreachable-refused')).not.toBe(remedyOf('unreachable-timeout'));
  });

  test('a sudo rule that was taken away stops it before anything is sent', async () => {
    const by: Login = { user: 'nopass', credential: password(passwords.nopass) };
    const rule = await machine.readFile('/etc/sudoers.d/nopass');
    await sh(machine, 'rm /etc/sudoers.d/nopass');
    for (const connector of connectors)
      expect(await step(connector, 'precheck', work(by))).toMatchObject({ outcome: 'unsent', class: 'permission' });
    await machine.putFile('/etc/sudoers.d/nopass', rule, { mode: '0440' });
  });

  test('an account that wrong passwords locked is found locked; a reconcile opens it', async () => {
    await plant();
    await using _ = await threeStrikes(machine);
    await strikeOut(machine);
    await sh(machine, 'cp -a /run/faillock/app /tmp/tally');
    expect(await strikesOf(machine)).toBe(3);
    for (const connector of connectors) {
      const before = await step(connector, 'precheck', work(root));
      expect(before).toMatchObject({ outcome: 'unsent', class: 'locked', words: expect.stringContaining('3 refused') });
    }
    expect(await step('linux-passwd', 'precheck', work(root, { lifts: true }))).toMatchObject({ outcome: 'confirmed' });
    for (const connector of connectors) {
      const text = drawn();
      await sh(machine, 'cp -a /tmp/tally /run/faillock/app');
      expect(await step(connector, 'reconcile', work(root), text)).toMatchObject({ outcome: 'confirmed', words: '' });
      expect(await strikesOf(machine)).toBe(0);
      expect(await verify(password(text))).toMatchObject({ outcome: 'accepted' });
    }
  });

  test('an account that somebody locked stays locked, unless the account says that a reconcile may open it', async () => {
    await plant();
    await sh(machine, 'passwd -q -l app');
    for (const connector of connectors) {
      const locked = { outcome: 'unsent', class: 'locked' };
      expect(await step(connector, 'precheck', work(root))).toMatchObject(locked);
      expect(await step(connector, 'precheck', work(root, { lifts: true }))).toMatchObject(locked);
      expect(await step(connector, 'reconcile', work(root))).toMatchObject(locked);
    }
    const text = drawn();
    const may = work(root, { settings: { unlock: true }, lifts: true });
    expect(await step('linux-passwd', 'precheck', may)).toMatchObject({ outcome: 'confirmed' });
    expect(await step('linux-passwd', 'reconcile', may, text)).toMatchObject({ outcome: 'confirmed' });
    expect(await verify(password(text))).toMatchObject({ outcome: 'accepted' });
  });

  test('a minimum age binds the account and not root', async () => {
    const old = await plant();
    const self: Login = { user: 'app', credential: old };
    await sh(machine, 'passwd -q -n 7 app');
    const young = { class: 'too-young' };
    expect(await step('linux-passwd', 'precheck', work(self))).toMatchObject({ outcome: 'unsent', ...young });
    expect(await step('linux-passwd', 'change', work(self))).toMatchObject({ outcome: 'failed', ...young });
    expect(await verify(old)).toMatchObject({ outcome: 'accepted' });
    expect(await step('linux-passwd', 'change', work(root))).toMatchObject({ outcome: 'confirmed' });
    await sh(machine, 'passwd -q -n 0 app');
  });

  test('rules for quality refuse the account, and root where they bind root', async () => {
    const old = await plant();
    const self: Login = { user: 'app', credential: old };
    const refused = { outcome: 'failed', class: 'policy', words: expect.stringContaining('8 characters') };
    expect(await step('linux-passwd', 'change', work(self), 'abc')).toMatchObject(refused);
    expect(await step('linux-passwd', 'change', work(root), 'abc')).toMatchObject({ outcome: 'confirmed' });
    const again = await plant();
    await using _ = await instead(machine, '/etc/security/pwquality.conf', 'dictcheck = 0\nenforce_for_root\n');
    for (const connector of ['linux-passwd', 'linux-chpasswd'])
      expect(await step(connector, 'change', work(root), 'abc'), connector).toMatchObject(refused);
    expect(await verify(again)).toMatchObject({ outcome: 'accepted' });
  });

  test('a present password that is wrong ends it before the new one is typed', async () => {
    const { login } = value('Not.The-Right-One');
    const before = await plant();
    // The login is right and the password in it is not: as if it were changed in between.
    await sh(
      machine,
      'cp /etc/pam.d/sshd /tmp/sshd && printf "auth sufficient pam_permit.so\\n" | cat - /tmp/sshd >/etc/pam.d/sshd',
    );
    const answer = await step('linux-passwd', 'change', work({ user: 'app', credential: login }));
    await sh(machine, 'cat /tmp/sshd >/etc/pam.d/sshd');
    expect(answer).toMatchObject({ outcome: 'failed', class: 'authentication' });
    expect(await verify(before)).toMatchObject({ outcome: 'accepted' });
  });

  test('an account whose shell runs nothing proves its password, and cannot change itself', async () => {
    const old = await plant();
    await sh(machine, 'usermod -s /usr/sbin/nologin app');
    expect(await verify(old)).toMatchObject({ outcome: 'accepted', class: 'none' });
    expect(await verify(password(drawn()))).toMatchObject({ outcome: 'rejected' });
    const self: Login = { user: 'app', credential: old };
    expect(await step('linux-passwd', 'precheck', work(self))).toMatchObject({
      outcome: 'unsent',
      class: 'permission',
    });
    expect(await step('linux-passwd', 'change', work(root))).toMatchObject({ outcome: 'confirmed' });
    await sh(machine, 'usermod -s /bin/bash app');
  });

  test('an account that has expired as a whole, and a machine that lets nobody in, say nothing about the value', async () => {
    const old = await plant();
    await sh(machine, 'chage -E 0 app');
    expect((await verify(old)).outcome).toBe('unknown');
    await sh(machine, 'chage -E -1 app; echo later >/etc/nologin');
    expect((await verify(old)).outcome).toBe('unknown');
    await sh(machine, 'rm /etc/nologin');
    expect(await verify(old)).toMatchObject({ outcome: 'accepted' });
  });

  test('an account that must change its password first is told so, and an administrator does it', async () => {
    const old = await plant();
    await sh(machine, 'chage -d 0 app');
    const self: Login = { user: 'app', credential: old };
    expect(await verify(old)).toMatchObject({ outcome: 'accepted', class: 'expired' });
    expect(await step('linux-passwd', 'change', work(self))).toMatchObject({ outcome: 'unsent', class: 'expired' });
    const text = drawn();
    expect(await step('linux-passwd', 'change', work(root), text)).toMatchObject({ outcome: 'confirmed' });
    expect(await verify(password(text))).toMatchObject({ outcome: 'accepted', class: 'none' });
  });
});
