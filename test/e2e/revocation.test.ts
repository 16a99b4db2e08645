/**
 * Rights that go while a session runs: it ends within seconds, the client is told why, the target's process is gone, and
 * the next attempt is refused. Sessions that the change does not concern go on.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import { type House, openHouse, type Visitor, word } from './house.ts';

interface Changes {
  readonly grant?: string;
  readonly user?: string;
  readonly target?: string;
  readonly accounts?: string;
}

const bystander = 'other@web-01';
const account = 'deploy@web-01';

describe.runIf(fullMachines)('revocation', () => {
  let house: House;
  let machine: Machine;
  let estate: (changes?: Changes) => string;
  let other: Visitor;

  beforeAll(async () => {
    const password = word();
    machine = await startMachine({
      name: 'web-01',
      users: [
        { name: 'deploy', password },
        { name: 'other', password },
      ],
    });
    const place = `address: ${machine.address}, services: [{ port: ${machine.port} }]`;
    const textOf =
      (key: string) =>
      (changes: Changes = {}): string =>
        `
groups: [{ name: ops }, { name: web }]
users:
  - { name: alice, roles: [administrator], groups: [ops] }
  - { name: bobby, groups: [web], keys: ['${key}']${changes.user ?? ''} }
targets:
  - { name: web-01, ${place} }
  - { name: web-02, ${place}${changes.target ?? ''} }
accounts: [{ name: ${account} }, { name: ${bystander} }${changes.accounts ?? ', { name: deploy@web-02 }'}]
grants:
  - { name: ops, group: ops, targets: [web-01] }
${changes.grant ?? '  - { name: web, group: web, targets: [web-01, web-02] }'}
`;
    house = await openHouse((key) => textOf(key)());
    estate = textOf(house.key.line);
    for (const name of ['web-01', 'web-02']) await house.product.ask(['target', 'trust', name, '--yes']);
    for (const name of [account, bystander, 'deploy@web-02'])
      await house.call('account.store', { account: name, secret: Buffer.from(password), unverified: false });
    other = await house.stay(bystander);
  });
  afterAll(async () => {
    await other?.[Symbol.asyncDispose]();
    await house?.[Symbol.asyncDispose]();
    await machine?.[Symbol.asyncDispose]();
  });
  // What was taken is given back, so that the next one can begin.
  afterEach(async () => {
    await house.call('user.disable', { name: 'bobby', disabled: false });
    await house.call('estate.apply', { text: estate(), dryRun: false, prune: true });
  });

  /** bobby with a terminal and a program that ends only if it is made to; its process id on the target. */
  async function begin(at: string): Promise<{ visitor: Visitor; pid: string }> {
    const visitor = await house.stay(at, {
      user: `bobby@${at}`,
      flags: ['-tt'],
      command: 'echo here $$ pid; exec sleep 86399',
    });
    await visitor.shows(' pid');
    return { visitor, pid: /here (\d+) pid/.exec(visitor.said())?.[1] ?? '' };
  }

  /** Resolves when the process is gone from the machine; throws after two seconds. */
  async function gone(pid: string): Promise<void> {
    const argv = ['sh', '-c', 'while kill -0 "$1" 2>/dev/null; do sleep 0.02; done', 'sh', pid];
    await machine.exec(argv, {}, AbortSignal.timeout(2_000));
  }

  async function within<T>(seconds: number, work: Promise<T>): Promise<T> {
    const late = AbortSignal.timeout(seconds * 1000);
    return await Promise.race([
      work,
      new Promise<never>((_, reject) =>
        late.addEventListener('abort', () => reject(new Error(`not within ${seconds} s`)), { once: true }),
      ),
    ]);
  }

  async function bystanderGoesOn(word: string): Promise<void> {
    other.type(`${word}\n`);
    await within(5, other.shows(word));
  }

  const apply =
    (changes: () => Changes, prune = false) =>
    async () =>
      void (await house.call('estate.apply', { text: estate(changes()), dryRun: false, prune }));

  const ways: readonly { what: string; at?: string; how: () => Promise<void>; reason: string; seconds?: number }[] = [
    {
      what: 'its grant is removed',
      how: apply(() => ({ grant: '' }), true),
      reason: 'the right to be here was withdrawn',
    },
    {
      what: 'its grant is disabled',
      how: apply(() => ({ grant: '  - { name: web, group: web, targets: [web-01, web-02], disabled: true }' })),
      reason: 'the right to be here was withdrawn',
    },
    {
      what: 'its grant is narrowed to another way of working',
      how: apply(() => ({ grant: '  - { name: web, group: web, targets: [web-01, web-02], subprotocols: [sftp] }' })),
      reason: 'the rights here were reduced',
    },
    {
      what: 'the user is disabled',
      how: async () => void (await house.product.ask(['user', 'disable', 'bobby'])),
      reason: 'the user was disabled',
    },
    {
      what: 'the user has expired',
      how: apply(() => ({ user: ', expires: 2020-01-01' })),
      reason: 'the user has expired',
    },
    {
      what: 'the user may come from elsewhere only',
      how: apply(() => ({ user: ', sources: [192.0.2.0/24]' })),
      reason: 'the user may not come from here any more',
    },
    {
      what: 'the target is disabled',
      at: 'deploy@web-02',
      how: apply(() => ({ target: ', disabled: true' })),
      reason: 'the target was disabled',
    },
    {
      what: 'the account is removed',
      at: 'deploy@web-02',
      how: apply(() => ({ accounts: '' }), true),
      reason: 'the account was removed',
    },
  ];

  test.each(ways)('a session ends within 5 s after $what', async ({ at = account, how, reason }) => {
    const { visitor, pid } = await begin(at);
    await using _ = visitor;
    const from = await house.mark();
    await how();
    const { code, stderr } = await within(5, visitor.over);
    expect(code).toBe(255);
    expect(stderr).toContain(reason);
    expect(stderr).toContain(`(session ${visitor.session})`);
    await gone(pid);
    const killed = await house.event((row) => row.type === 'session.killed', from);
    expect(killed.details).toMatchObject({ session: visitor.session, reason });
    const ended = await house.event((row) => row.type === 'session.ended', from);
    expect(ended.details).toMatchObject({ session: visitor.session });
    expect(JSON.stringify(ended.details)).toContain(reason);
    expect((await house.visit(at, { user: `bobby@${at}`, command: 'true' })).code).toBe(255);
    await bystanderGoesOn(`still here after ${pid}`);
  });

  test('killing a session ends the client and the target’s process within 2 s, and nothing else', async () => {
    const { visitor, pid } = await begin(account);
    await using _ = visitor;
    const from = await house.mark();
    await house.call('session.kill', { session: visitor.session, reason: 'maintenance of web-01' });
    const { code, stderr } = await within(2, visitor.over);
    expect(code).toBe(255);
    expect(stderr).toContain(`maintenance of web-01 (session ${visitor.session})`);
    await gone(pid);
    const killed = await house.event((row) => row.type === 'session.killed', from);
    expect(killed.details).toMatchObject({ session: visitor.session, reason: 'maintenance of web-01' });
    await bystanderGoesOn('still here after a kill');
    await house.event((row) => row.type === 'session.ended', from);
    const again = await house.product.cli(['kill', visitor.session, '--reason', 'twice']);
    expect(again.code).not.toBe(0);
    expect(again.stderr).toContain('keeper.session-over');
    const unknown = await house.product.cli(['kill', 'no-such-session', '--reason', 'typed wrongly']);
    expect(unknown.code).toBe(6);
  });

  test('the command line kills too, and says so', async () => {
    const { visitor } = await begin(account);
    await using _ = visitor;
    const ran = await house.product.cli(['kill', visitor.session, '--reason', 'by hand']);
    expect(ran).toMatchObject({ code: 0 });
    expect((await within(2, visitor.over)).stderr).toContain('by hand');
  });

  test('a grant that expires while the session runs ends it at that time', async () => {
    const expiry = new Date(Date.now() + 4_000);
    const day = expiry.toISOString().replace(/\.\d+Z$/, 'Z');
    const grant = `  - { name: web, group: web, targets: [web-01], expires: '${day}' }`;
    await apply(() => ({ grant }))();
    const { visitor, pid } = await begin(account);
    await using _ = visitor;
    const { code, stderr, at } = await within(10, visitor.over);
    expect(code).toBe(255);
    expect(stderr).toContain('the time that was granted is over');
    expect(at).toBeGreaterThanOrEqual(Date.parse(day));
    await gone(pid);
    await bystanderGoesOn('still here after an expiry');
  });
});
