/** Two-account mode: root may not log in, so somebody else does, and becomes root by su with root's own password. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Login, Task, Work } from '../../src/rotation/connectors/connector.ts';
import { fullMachines, type Machine } from '../lab/machine.ts';
import {
  accountsMachine,
  ask,
  drawn,
  instead,
  pair,
  type Pair,
  password,
  passwords,
  placeOf,
  rootBehind,
  sh,
  value,
} from '../rotation/connectors/machine.ts';

describe.runIf(fullMachines)('root behind another account', () => {
  let machine: Machine;
  let key: Pair;
  beforeAll(async () => {
    key = await pair('of plain');
    machine = await accountsMachine('behind', { plain: [key.line] });
    await machine.restartSshd({ sshd: ['PermitRootLogin no', 'MaxStartups 100'] });
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());

  const task = (account: string): Task => ({ place: placeOf(machine), account, settings: {} });
  const work = (account: string, login: Login): Work => ({
    ...task(account),
    by: { mode: login.user === account ? 'self' : 'admin', login },
    tag: 'rot-behind',
    targetSeconds: 10,
  });
  const verify = (account: string, login: Login) =>
    ask({ connector: 'linux-passwd', operation: 'verify', task: task(account), login });
  const own = (text: string): Login => ({ user: 'app', credential: password(text) });
  const bare: Login = { user: 'root', credential: password(passwords.root) };

  test.each(['linux-chpasswd', 'linux-shadow', 'linux-passwd'])('%s changes an account', async (connector) => {
    const text = drawn();
    const change = (login: Login) =>
      ask({ connector, operation: 'change', work: work('app', login), fresh: value(text).fresh });
    expect(await change(bare)).toMatchObject({ outcome: 'unsent', class: 'authentication' });
    const before = await ask({ connector, operation: 'precheck', work: work('app', rootBehind('plain')) });
    expect(before).toMatchObject({ outcome: 'confirmed' });
    expect(await change(rootBehind('plain'))).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('app', own(text))).toMatchObject({ outcome: 'accepted' });
  });

  test.each(['linux-chpasswd', 'linux-shadow', 'linux-passwd'])('%s changes root itself', async (connector) => {
    const text = drawn();
    const job = { connector, operation: 'change', work: work('root', rootBehind('plain')), fresh: value(text).fresh };
    expect(await ask(job as Parameters<typeof ask>[0])).toMatchObject({ outcome: 'confirmed' });
    const fresh = { ...rootBehind('plain'), credential: password(text) };
    expect(await verify('root', fresh)).toMatchObject({ outcome: 'accepted' });
    expect(await verify('root', rootBehind('plain'))).toMatchObject({ outcome: 'rejected', class: 'authentication' });
    await sh(machine, 'chpasswd', `root:${passwords.root}\n`);
  });

  test('an account that may not log in changes itself behind another one', async () => {
    const [old, text] = [drawn(), drawn()];
    await sh(machine, 'chpasswd', `app:${old}\n`);
    const { via } = rootBehind('plain');
    const login = { ...own(old), ...(via === undefined ? {} : { via }) };
    const job = { connector: 'linux-passwd', operation: 'change', work: work('app', login), fresh: value(text).fresh };
    expect(await ask(job as Parameters<typeof ask>[0])).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('app', own(text))).toMatchObject({ outcome: 'accepted' });
  });

  test('the first account may log in by its key', async () => {
    const text = drawn();
    const login = { ...bare, via: { user: 'plain', credential: key.login } };
    const job = {
      connector: 'linux-chpasswd',
      operation: 'change',
      work: work('app', login),
      fresh: value(text).fresh,
    };
    expect(await ask(job as Parameters<typeof ask>[0])).toMatchObject({ outcome: 'confirmed' });
    expect(await verify('app', own(text))).toMatchObject({ outcome: 'accepted' });
  });

  test('keys of an account are changed in a large file without a byte lost on the terminal', async () => {
    const file = '/home/app/.ssh/authorized_keys';
    const foreign = `# ${'\u00e4\\"$'.repeat(20)}\r\n`.repeat(3_000);
    await machine.putFile(file, foreign, { owner: 'app' });
    await sh(machine, 'chown app: /home/app/.ssh && chmod 700 /home/app/.ssh');
    const { publicKey, login, line } = await pair('behind');
    const what = work('app', rootBehind('plain'));
    const fresh = { kind: 'ssh-key', publicKey } as const;
    const answer = await ask({ connector: 'ssh-key', operation: 'change', work: what, fresh });
    expect(answer).toMatchObject({ outcome: 'confirmed' });
    const content = await machine.readFile(file);
    expect(content.slice(content.indexOf('\n') + 1) === foreign).toBe(true);
    expect(content.startsWith(line.split(' ').slice(0, 2).join(' '))).toBe(true);
    const job = { connector: 'ssh-key', operation: 'verify', task: task('app') } as const;
    expect(await ask({ ...job, login: { user: 'app', credential: login } })).toMatchObject({ outcome: 'accepted' });
  });

  test('a wrong value of root is rejected, a wrong one of the first account says nothing about root', async () => {
    const wrong = { ...rootBehind('plain'), credential: password('Wrong.Root-1') };
    expect(await verify('root', wrong)).toMatchObject({ outcome: 'rejected', class: 'authentication' });
    const stranger = { ...bare, via: { user: 'plain', credential: password('Wrong.Plain-1') } };
    expect(await verify('root', stranger)).toMatchObject({ outcome: 'unknown', class: 'authentication' });
    const change = { operation: 'change', work: work('app', wrong), fresh: value('Never.Set-1').fresh } as const;
    for (const connector of ['linux-chpasswd', 'linux-passwd'])
      expect(await ask({ connector, ...change })).toMatchObject({ outcome: 'unsent', class: 'authentication' });
  });

  test("root's candidates are tried through the same account, or by the machine itself", async () => {
    const candidates = [password('No.1'), password(passwords.root), password('No.2')];
    const { via } = rootBehind('plain');
    const what = { ...task('root'), ...(via === undefined ? {} : { via }) };
    const job = { connector: 'linux-passwd', operation: 'adminverify', candidates, budget: 5 } as const;
    const each = (await ask({ ...job, task: what })).each?.map(({ answer, how }) => [answer, how]);
    expect(each).toEqual([
      ['rejected', undefined],
      ['accepted', undefined],
      ['rejected', undefined],
    ]);
    const stored = await ask({ ...job, task: what, admin: { user: 'nopass', credential: password(passwords.nopass) } });
    expect(stored.each?.map(({ answer, how }) => [answer, how])).toEqual([
      ['rejected', 'stored'],
      ['accepted', 'stored'],
      ['rejected', 'stored'],
    ]);
  });

  test('a su that asks for no password has proven none', async () => {
    const before = await machine.readFile('/etc/pam.d/su');
    await using _ = await instead(
      machine,
      '/etc/pam.d/su',
      `auth sufficient pam_wheel.so trust group=plain\n${before}`,
    );
    expect(await verify('root', { ...rootBehind('plain'), credential: password('Any.Thing-1') })).toMatchObject({
      outcome: 'unknown',
      class: 'unsupported',
    });
  });

  test('a su that is not for everybody is a lack of rights, and no answer about the value', async () => {
    const before = await machine.readFile('/etc/pam.d/su');
    await using _ = await instead(machine, '/etc/pam.d/su', `auth required pam_wheel.so group=root\n${before}`);
    expect(await verify('root', rootBehind('plain'))).toMatchObject({ outcome: 'unknown', class: 'permission' });
  });

  test('a right value that has expired is told from a wrong one behind su too', async () => {
    const text = drawn();
    await sh(machine, 'chpasswd && chage -d 0 app', `app:${text}\n`);
    const { via } = rootBehind('plain');
    const login = { ...own(text), ...(via === undefined ? {} : { via }) };
    expect(await verify('app', login)).toMatchObject({ outcome: 'accepted', class: 'expired' });
    const wrong = { ...login, credential: password('Wrong.App-1') };
    expect(await verify('app', wrong)).toMatchObject({ outcome: 'rejected' });
  });
});
