/** The connector ios on a real command line: FRR's, over telnet, with its own logins, its own refusals and its own file. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { Login, Place, Work } from '../../src/rotation/connectors/connector.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import { type Router, startRouter } from '../lab/frr.ts';
import { missingPackages } from '../lab/install.ts';
import { conformance, type Value } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';

const connector = 'ios';
const settings = { login: 'line', command: 'line-password' };
const enabling = 'Enable.Pass-1';

function value(text: string): Value {
  return { fresh: { kind: 'password', secret: Secret.fromText(text) }, login: password(text) };
}
const some = (word: string): string => `${word}-${randomBytes(9).toString('base64url')}`;

describe.runIf(process.getuid?.() === 0 && missingPackages(['frr']).length === 0)('ios on FRR', () => {
  let router: Router;
  let current = 'First.Pass-1';
  const configuration = (line: string, more = ''): string =>
    `hostname rt1\npassword ${line}\nenable password ${enabling}\nlog commands\n${more}line vty\n exec-timeout 0 30\n`;
  beforeAll(async () => {
    router = await startRouter(configuration(current));
  });
  afterAll(async () => router?.[Symbol.asyncDispose]());

  const place = (at: { address: string; port: number } = router): Place => ({
    protocol: 'telnet',
    address: at.address,
    port: at.port,
    hostKeys: [],
    tls: { kind: 'off' },
    settings: {},
  });
  const line = (): Login => ({ user: 'vty', credential: password(current) });
  const admin = (): Login => ({ user: 'enable', credential: password(enabling), via: line() });
  const plant = async (): Promise<Value> => {
    current = some('Planted');
    await router.restart(configuration(current));
    return value(current);
  };

  conformance({
    connector,
    account: 'vty',
    settings,
    place,
    impostor: undefined,
    admins: { 'the password of enable, behind the line password': admin },
    powerless: line,
    draw: async () => value(some('Drawn')),
    plant,
    forbid: async () => ({ refused: value('-begins.with.a.dash-1'), [Symbol.asyncDispose]: async () => {} }),
    lie: async () => {
      await router.saving(false);
      return { [Symbol.asyncDispose]: () => router.saving(true) };
    },
    nasty: [`a'";$(id)\`id\`\\`, 'a!comment', '9#|include', 'a&<>*[]{}~^%@,:=+_.-/', `x${'L'.repeat(120)}`],
    settled: async () => {},
    without: {
      impostor: 'telnet proves nobody',
      lock: 'FRR locks nothing',
      expire: 'a line password has no age',
      strikes: 'FRR counts refused logins on one connection only',
      self: 'below: it needs an enable without a password',
    },
  });

  const work = (login = admin(), more: Partial<Work> = {}): Work => ({
    place: place(),
    account: 'vty',
    settings,
    by: { mode: login.user === 'vty' ? 'self' : 'admin', login },
    tag: 'rot-test',
    targetSeconds: 2,
    ...more,
  });
  const verify = ({ login }: Value): Promise<Answer> =>
    ask({ connector, operation: 'verify', task: work(), login: { user: 'vty', credential: login } });

  test('where enable asks for nothing, the line password changes itself and is saved', async () => {
    const old = value('Self.Pass-1');
    const next = value('Self.Pass-2');
    await router.restart('hostname rt2\npassword Self.Pass-1\n');
    const self = work({ user: 'vty', credential: old.login });
    expect(await ask({ connector, operation: 'precheck', work: self })).toMatchObject({ outcome: 'confirmed' });
    expect(await ask({ connector, operation: 'change', work: self, fresh: next.fresh })).toMatchObject({
      outcome: 'confirmed',
    });
    await router.restart();
    expect(await verify(next)).toMatchObject({ outcome: 'accepted' });
    expect(await verify(old)).toMatchObject({ outcome: 'rejected' });
    await plant();
  });

  test('the password of enable is changed, and proven by becoming privileged with it', async () => {
    await plant();
    const enable = { account: 'enable', settings: { login: 'line', command: 'enable-password' } };
    const next = value('Enable.Pass-2');
    const what = work(admin(), { ...enable, by: { mode: 'self', login: admin() } });
    const tried = (credential: Value['login']): Promise<Answer> =>
      ask({ connector, operation: 'verify', task: what, login: { user: 'enable', credential, via: line() } });
    expect(await ask({ connector, operation: 'precheck', work: what })).toMatchObject({ outcome: 'confirmed' });
    expect(await ask({ connector, operation: 'change', work: what, fresh: next.fresh })).toMatchObject({
      outcome: 'confirmed',
    });
    expect(await tried(next.login)).toMatchObject({ outcome: 'accepted' });
    expect(await tried(password(enabling))).toMatchObject({ outcome: 'rejected', class: 'authentication' });
    const found = await ask({
      connector,
      operation: 'adminverify',
      task: what,
      admin: { ...admin(), credential: next.login },
      candidates: [password(enabling), next.login],
      budget: 2,
    });
    expect(found.each?.map((one) => one.answer)).toEqual(['rejected', 'accepted']);
    const alone = await ask({
      connector,
      operation: 'adminverify',
      task: { ...what, via: line() },
      candidates: [next.login],
      budget: 2,
    });
    expect(alone.each?.map((one) => one.answer)).toEqual(['accepted']);
    expect(
      await ask({ connector, operation: 'verify', task: what, login: { user: 'enable', credential: next.login } }),
    ).toMatchObject({
      outcome: 'unknown',
      class: 'unsupported',
    });
    await plant();
  });

  test('what is running and not saved is uncertain; a restart would undo it, and a fence saves it', async () => {
    const old = await plant();
    const next = value(some('Unsaved'));
    await router.saving(false);
    expect(await ask({ connector, operation: 'change', work: work(), fresh: next.fresh })).toMatchObject({
      outcome: 'uncertain',
      class: 'unsaved',
      words: expect.stringContaining("Can't open configuration file"),
    });
    expect(await verify(next)).toMatchObject({ outcome: 'accepted' });
    const fence = (): Promise<Answer> =>
      ask({
        connector,
        operation: 'fence',
        work: work({ user: 'enable', credential: password(enabling), via: { user: 'vty', credential: next.login } }),
      });
    expect(await fence()).toMatchObject({ outcome: 'uncertain', class: 'unsaved' });
    expect(await router.saved()).toContain(`password ${current}`);
    await router.saving(true);
    expect(await fence()).toMatchObject({ outcome: 'confirmed' });
    await router.restart();
    expect(await verify(next)).toMatchObject({ outcome: 'accepted' });
    expect(await verify(old)).toMatchObject({ outcome: 'rejected' });
  });

  test('a fence does not promise an end while another terminal is open', async () => {
    await plant();
    await using other = await openTerminal();
    await other.login(current);
    expect(await ask({ connector, operation: 'fence', work: work() })).toMatchObject({
      outcome: 'uncertain',
      class: 'cut',
    });
    other.close();
    expect(await ask({ connector, operation: 'fence', work: work() })).toMatchObject({ outcome: 'confirmed' });
  });

  test('FRR would cut encrypted passwords to eight characters, so none is set', async () => {
    await router.restart(configuration(current, 'service password-encryption\n'));
    // The first eight characters are the same: FRR lets both in.
    expect(await verify(value(`${current.slice(0, 8)}.anything`))).toMatchObject({ outcome: 'accepted' });
    expect(await ask({ connector, operation: 'precheck', work: work() })).toMatchObject({
      outcome: 'unsent',
      class: 'unsupported',
    });
    await plant();
  });

  test('a line that lets everybody in, or nobody, proves nothing', async () => {
    await router.restart('hostname rt3\nline vty\n no login\n');
    expect(await verify(value('Any.Pass-1'))).toMatchObject({ outcome: 'unknown', class: 'unsupported' });
    await router.restart('hostname rt3\n');
    expect(await verify(value('Any.Pass-1'))).toMatchObject({ outcome: 'unknown', class: 'unsupported' });
    await plant();
  });

  test('a name that is not asked for is never left out silently', async () => {
    await plant();
    const task = work(admin(), { settings: { command: 'username-secret' } });
    expect(await ask({ connector, operation: 'verify', task, login: line() })).toMatchObject({
      outcome: 'unknown',
      words: expect.stringContaining('set `login` to `line`'),
    });
  });

  test('with `log commands` the value stands in the log of the device, and not in our words', async () => {
    await plant();
    const next = value(some('Logged'));
    const answer = await ask({ connector, operation: 'change', work: work(), fresh: next.fresh });
    const text = next.login.kind === 'password' ? next.login.secret.revealText() : '';
    expect(JSON.stringify(answer)).not.toContain(text);
    expect(await router.log()).toContain(`password ${text}`);
  });

  /** A terminal of somebody else's. */
  async function openTerminal(): Promise<AsyncDisposable & { login(text: string): Promise<void>; close(): void }> {
    const socket = connect({ host: router.address, port: router.port });
    const closed = once(socket, 'close');
    let seen = '';
    const said = async (words: string): Promise<void> => {
      while (!seen.includes(words)) seen += String((await once(socket, 'data'))[0]);
    };
    return {
      login: async (text) => {
        await said('Password: ');
        socket.write(`${text}\r\n`);
        await said('rt1> ');
      },
      close: () => socket.destroy(),
      [Symbol.asyncDispose]: async () => {
        socket.destroy();
        await closed;
      },
    };
  }
});
