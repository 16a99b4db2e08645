/** How people come to a desktop: spellings of the login, clients without NLA, and what a grant says of the desktop itself. */
import { generate } from 'otplib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { untilSame } from '../lab/rdp/compare.ts';
import { startRdesktop } from '../lab/rdp/rdesktop.ts';
import type { RdpClient } from '../lab/rdp/rdp-client.ts';
import { click, picture, type as typeText } from '../lab/rdp/screen.ts';
import { word } from './house.ts';
import { type Desk, openDesk } from './rdp-stage.ts';
import { soon, visit } from './rdp-visit.ts';

describe.runIf(fullMachines)('clients of a desktop', { timeout: 60_000 }, () => {
  let desk: Desk;
  const password = word();
  beforeAll(async () => {
    desk = await openDesk({
      accounts: {
        plain: {},
        shallow: { terms: '{ depth: 16 }' },
        small: { terms: '{ maxWidth: 800, maxHeight: 600 }' },
        told: { terms: '{ keys: all }' },
        counted: { terms: '{ keys: masked }' },
        silent: { terms: '{ keys: none }' },
      },
    });
    const text = 'users: [{ name: carol, groups: [ops] }, { name: dave, groups: [ops] }]';
    await desk.house.call('estate.apply', { text, dryRun: false, prune: false });
    for (const name of ['carol', 'dave'])
      await desk.house.call('user.password', { name, password: Buffer.from(password) });
  }, 240_000);
  afterAll(async () => await desk?.[Symbol.asyncDispose]());

  async function shows(client: RdpClient, account: string): Promise<void> {
    await client.connected(soon(20));
    const screen = await desk.xrdp.session(account, soon(20));
    await untilSame(
      (signal) => picture(screen, {}, signal),
      (signal) => client.picture(signal),
      soon(20),
    );
  }
  const rdesktop = (user: string, secret: string): Promise<RdpClient> =>
    startRdesktop(desk.display, { ...desk.house.product.rdp, user, password: secret });

  test.each([
    ['alice%plain%desk-01', ''],
    ['alice@plain@desk-01', ''],
    ['alice', 'desk-01'],
    ['alice', ''],
  ])('a token is enough, however its place is spelt: user %j, domain %j', async (user, domain) => {
    const { token } = await desk.house.call('connection-token.mint', {
      user: 'alice',
      account: 'plain',
      target: 'desk-01',
    });
    await using client = await desk.connect('', { user, domain, password: token });
    await shows(client, 'plain');
  });

  test('rdesktop comes in with the password of its user', async () => {
    const from = await desk.house.mark();
    await using client = await rdesktop('carol@plain@desk-01', password);
    await shows(client, 'plain');
    const { details } = await desk.house.event((row) => row.type === 'identity.login.succeeded', from);
    expect(details['factors']).toEqual(['password']);
  });

  test('with a one-time code behind a comma where there is one, and not without it', async () => {
    const { uri } = await desk.house.product.ask<{ uri: string }>(['user', 'totp', 'dave']);
    const secret = new URL(uri).searchParams.get('secret') ?? '';
    const from = await desk.house.mark();
    await using half = await rdesktop('dave@plain@desk-01', password);
    await half.ended;
    expect((await desk.house.trail(from)).filter(({ type }) => type === 'session.opened')).toEqual([]);
    const code = await generate({ secret, epoch: Math.floor(Date.now() / 1000) });
    await using client = await rdesktop('dave@plain@desk-01', `${password},${code}`);
    await shows(client, 'plain');
    const { details } = await desk.house.event((row) => row.type === 'identity.login.succeeded', from);
    expect(details['factors']).toEqual(['password', 'totp']);
  });

  test('a client that brings no password is told that it may not, and the trail has it', async () => {
    const from = await desk.house.mark();
    await using client = await desk.connect('', { user: 'carol@plain@desk-01', password: '', security: 'tls' });
    await client.ended;
    expect(client.log()).toContain('ERRINFO_SERVER_INSUFFICIENT_PRIVILEGES');
    const { details } = await desk.house.event((row) => row.type === 'identity.login.refused', from);
    expect(details['user']).toBe('carol');
  });

  test.each([
    ['no deeper than the grant says', 'shallow', 'desktop: 1024x768, 16 bits'],
    ['no larger than the grant says', 'small', 'desktop: 800x600, 24 bits'],
  ])('a desktop is %s', async (_, account, line) => {
    await using session = await visit(desk, account, { program: 'xfreerdp', bpp: 32 });
    const recorded = await session.end();
    expect(await recorded.text()).toContain(line);
  });

  test.each([
    ['told', /keys: .*echo q/, undefined],
    ['counted', /keys: .*\d+ masked/, /echo q/],
    ['silent', undefined, /keys: |masked/],
  ])('of what is typed as much is recorded as the grant says: %s', async (account, has, hasNot) => {
    await using session = await visit(desk, account, { program: 'xfreerdp' });
    await shows(session.client, account);
    await click(desk.display, 100, 60);
    await typeText(desk.display, 'echo q >~/typed\n');
    const typed = (): Promise<string> => desk.xrdp.machine.readFile(`/home/${account}/typed`).catch(() => '');
    await expect.poll(typed, { timeout: 15_000 }).toBe('q\n');
    const text = await (await session.end()).text();
    if (has !== undefined) expect(text).toMatch(has);
    if (hasNot !== undefined) expect(text).not.toMatch(hasNot);
  });
});
