/**
 * The connector ios on an emulated IOS device: what FRR cannot show. Nothing here says how a device of Cisco's behaves,
 * beyond what the emulator has in common with one; another client has judged that (ios-emulator.test.ts).
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { Login, Place, Work } from '../../src/rotation/connectors/connector.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import { type EmulatedIos, startEmulatedIos } from '../lab/ios-emulator.ts';
import type { Faults } from '../lab/ios-emulator-device.ts';
import { conformance, type Value } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';

const connector = 'ios';
const adminPassword = 'Admin.Pass-1';
const readerPassword = 'Reader.Pass-1';
const enabling = 'Enable.Pass-1';

function value(text: string): Value {
  return { fresh: { kind: 'password', secret: Secret.fromText(text) }, login: password(text) };
}
const some = (word: string): string => `${word}-${randomBytes(9).toString('base64url')}`;

describe('ios, emulated', () => {
  let ios: EmulatedIos;
  beforeAll(async () => {
    ios = await startEmulatedIos('rt1');
    ios.device.provision('admin', 15, adminPassword);
    ios.device.provision('reader', 1, readerPassword);
    ios.device.provision('old', 1, 'Old.Pass-1', 'password');
    ios.device.provision('unused', 1, enabling);
    ios.device.running.enableSecret = ios.device.running.users['unused']?.credential;
    ios.device.startup = structuredClone(ios.device.running);
  });
  afterAll(async () => ios?.[Symbol.asyncDispose]());

  const place = (at = { address: ios.address, port: ios.ssh }, protocol: 'ssh' | 'telnet' = 'ssh'): Place => ({
    protocol,
    address: at.address,
    port: at.port,
    hostKeys: [ios.hostKey],
    tls: { kind: 'off' },
    settings: {},
  });
  const admin = (): Login => ({ user: 'admin', credential: password(adminPassword) });
  const reader = (): Login => ({ user: 'reader', credential: password(readerPassword) });
  const plant = async (): Promise<Value> => {
    const text = some('Planted');
    ios.device.lift();
    ios.device.provision('app', 15, text);
    return value(text);
  };
  const fault = (name: keyof Faults, on: boolean): AsyncDisposable => {
    ios.device.faults[name] = on;
    return {
      [Symbol.asyncDispose]: async () => {
        ios.device.faults[name] = false;
      },
    };
  };

  conformance({
    connector,
    account: 'app',
    place,
    impostor: (at) => ({ ...at, hostKeys: at.hostKeys.map((key) => key.map((byte, n) => (n > 60 ? byte ^ 1 : byte))) }),
    admins: {
      'a user of privilege 15': admin,
      'a user, and the password of enable behind it': () => ({
        user: 'enable',
        credential: password(enabling),
        via: reader(),
      }),
    },
    powerless: reader,
    draw: async () => value(some('Drawn')),
    plant,
    forbid: async () => fault('configurationLocked', true),
    lie: async () => fault('lies', true),
    strikes: async () => {
      ios.device.blockFor = { seconds: 60, attempts: 3, within: 60 };
      return {
        locked: async () => ios.device.quiet(),
        [Symbol.asyncDispose]: async () => {
          ios.device.blockFor = undefined;
          ios.device.lift();
        },
      };
    },
    nasty: [`a'";$(id)\`id\`\\`, '!comment', '#|include', '-&<>*[]{}~^%@,:=+_.-/', '0', `x${'L'.repeat(120)}`],
    settled: async () => {},
    without: {
      lock: 'it locks its lines for a while and no account: below',
      expire: 'a secret has no age',
    },
  });

  const work = (more: Partial<Work> = {}, by = admin()): Work => ({
    place: place(),
    account: 'app',
    settings: {},
    by: { mode: by.user === 'app' ? 'self' : 'admin', login: by },
    tag: 'rot-test',
    targetSeconds: 2,
    ...more,
  });
  const change = (what: Work, { fresh }: Value): Promise<Answer> =>
    ask({ connector, operation: 'change', work: what, fresh });
  const verify = ({ login }: Value, task = work()): Promise<Answer> =>
    ask({ connector, operation: 'verify', task, login: { user: 'app', credential: login } });
  const accepted = { outcome: 'accepted' };
  const confirmed = { outcome: 'confirmed' };

  test('emulated: the secret crosses the line as a hash, in three forms, and the privilege stays', async () => {
    await plant();
    ios.device.provision('app', 7, 'Seven.Pass-1');
    for (const [form, shape] of [
      [undefined, /^username app privilege 7 secret 9 \$9\$[./0-9A-Za-z]{14}\$[./0-9A-Za-z]{43}$/],
      ['pbkdf2', /^username app privilege 7 secret 8 \$8\$/],
      ['plain', /^username app privilege 7 secret 0 Form-/],
    ] as const) {
      ios.device.entered.length = 0;
      const next = value(some('Form'));
      expect(await change(work({ settings: form === undefined ? {} : { form } }), next)).toMatchObject(confirmed);
      expect(ios.device.entered.find((line) => line.startsWith('username'))).toMatch(shape);
      expect(ios.device.startup.users['app']?.privilege).toBe(7);
      expect(await verify(next)).toMatchObject(accepted);
    }
  });

  test('emulated: by telnet as by ssh, through banners that look like prompts', async () => {
    await plant();
    const next = value(some('Telnet'));
    const what = work({ place: place({ address: ios.address, port: ios.telnet }, 'telnet') });
    expect(await ask({ connector, operation: 'precheck', work: what })).toMatchObject(confirmed);
    expect(await change(what, next)).toMatchObject(confirmed);
    expect(await verify(next, what)).toMatchObject(accepted);
    expect(await verify(value('Wrong.Pass-1'), what)).toMatchObject({ outcome: 'rejected' });
  });

  test.each([
    ['log messages in between', 'noisy'],
    ['pages of two lines that cannot be switched off', 'alwaysPages'],
    ['a secret that must be confirmed', 'wantsConfirmation'],
    ['an old NVRAM that must be confirmed', 'nvramForeign'],
  ] as const)('emulated: no obstacle: %s', async (_, name) => {
    await plant();
    const next = value(some('Noise'));
    {
      await using _fault = fault(name, true);
      expect(await change(work(), next)).toMatchObject(confirmed);
      expect(await verify(next)).toMatchObject(accepted);
    }
    ios.device.reload();
    expect(await verify(next)).toMatchObject(accepted);
  });

  test('emulated: a question that nobody foresaw is not answered; its words are kept, the value is not', async () => {
    const old = await plant();
    const next = value('Oddly.Asked-1');
    await using _ = fault('asksOddly', true);
    const answer = await change(work({ settings: { form: 'plain' } }), next);
    expect(answer).toMatchObject({ outcome: 'uncertain', class: 'unexpected' });
    expect(answer.words).toContain('Which of the two moons is meant');
    expect(answer.words).not.toContain('Oddly');
    expect(await verify(old)).toMatchObject(accepted);
  });

  test('emulated: a save that fails is uncertain; a reload brings the old value back, a fence would have saved', async () => {
    const old = await plant();
    const next = value(some('Lost'));
    const busy = fault('nvramBusy', true);
    expect(await change(work(), next)).toMatchObject({
      outcome: 'uncertain',
      class: 'unsaved',
      words: expect.stringContaining('Device or resource busy'),
    });
    expect(await verify(next)).toMatchObject(accepted);
    ios.device.reload();
    expect(await verify(old)).toMatchObject(accepted);
    expect(await change(work(), next)).toMatchObject({ outcome: 'uncertain', class: 'unsaved' });
    await busy[Symbol.asyncDispose]();
    expect(await ask({ connector, operation: 'fence', work: work() })).toMatchObject(confirmed);
    ios.device.reload();
    expect(await verify(next)).toMatchObject(accepted);
  });

  test('emulated: a fence ends what is left of our own sessions and nobody else’s', async () => {
    const hungUp: string[] = [];
    for (const [vty, user, from] of [
      [11, 'admin', '127.0.0.1'],
      [12, 'admin', '192.0.2.7'],
      [13, 'reader', '127.0.0.1'],
    ] as const)
      ios.device.lines.set(vty, {
        user,
        from,
        hangUp: () => {
          hungUp.push(`${user} ${from}`);
          ios.device.lines.delete(vty);
        },
      });
    expect(await ask({ connector, operation: 'fence', work: work() })).toMatchObject(confirmed);
    expect(hungUp).toEqual(['admin 127.0.0.1']);
    for (const vty of [12, 13]) ios.device.lines.delete(vty);
  });

  test('emulated: while logins are blocked nothing is called wrong', async () => {
    const right = await plant();
    ios.device.blockFor = { seconds: 600, attempts: 1, within: 60 };
    await verify(value('Wrong.Pass-1'));
    expect(ios.device.quiet()).toBe(true);
    expect(await verify(right)).toMatchObject({ outcome: 'unknown' });
    expect(
      await verify(right, work({ place: place({ address: ios.address, port: ios.telnet }, 'telnet') })),
    ).toMatchObject({
      outcome: 'unknown',
    });
    ios.device.blockFor = undefined;
    ios.device.lift();
  });

  test('emulated: a rule of the device that refuses the value is a policy', async () => {
    await plant();
    ios.device.minLength = 40;
    const answer = await change(work({ settings: { form: 'plain' } }), value(some('Short')));
    ios.device.minLength = 0;
    expect(answer).toMatchObject({ outcome: 'failed', class: 'policy', words: expect.stringContaining('too short') });
  });

  test('emulated: a user with a password instead of a secret is not changed', async () => {
    const what = work({ account: 'old' });
    expect(await ask({ connector, operation: 'precheck', work: what })).toMatchObject({
      outcome: 'unsent',
      class: 'unsupported',
    });
  });

  test('emulated: the secret of enable is changed by its hash and proven by becoming privileged', async () => {
    const next = value(some('Enable'));
    const settings = { command: 'enable-secret' };
    const what = work({ account: 'enable', settings });
    expect(await change(what, next)).toMatchObject(confirmed);
    expect(ios.device.startup.enableSecret).toMatch(/^secret 9 /);
    const each = await ask({
      connector,
      operation: 'adminverify',
      task: what,
      admin: admin(),
      candidates: [password(enabling), next.login],
      budget: 2,
    });
    expect(each.each?.map((one) => one.answer)).toEqual(['rejected', 'accepted']);
  });

  test('emulated: the password of chosen lines', async () => {
    await using lines = await startEmulatedIos('a-rather-long-name-of-a-router', { lineLogin: true });
    lines.device.running.linePassword = 'Line.Pass-1';
    const next = value(some('Line'));
    const settings = { login: 'line', command: 'line-password', lines: 'vty 0 15' };
    const at = place({ address: lines.address, port: lines.telnet }, 'telnet');
    lines.device.provision('', 15, 'unused');
    const self: Login = { user: 'vty', credential: password('Line.Pass-1') };
    const what = work({ account: 'vty', settings, place: at, by: { mode: 'self', login: self } });
    expect(await change(what, next)).toMatchObject(confirmed);
    expect(
      await ask({ connector, operation: 'verify', task: what, login: { ...self, credential: next.login } }),
    ).toMatchObject(accepted);
    expect(lines.device.startup.linePassword).toMatch(/^Line-/);
  });
});
