/** A desktop through the gate, as its user has it: a token once, the target's screen to the pixel, and never a secret. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilSame } from '../lab/rdp/compare.ts';
import { picture } from '../lab/rdp/screen.ts';
import { fullMachines } from '../lab/machine.ts';
import { opens } from './house.ts';
import { type Desk, openDesk } from './rdp-stage.ts';

const soon = (seconds: number): AbortSignal => AbortSignal.timeout(seconds * 1000);

describe.runIf(fullMachines)('a desktop through the gate', { timeout: 90_000 }, () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await openDesk();
  }, 120_000);
  afterAll(async () => await desk?.[Symbol.asyncDispose]());

  test('a client with NLA and a token sees the screen of a target that has only TLS, as the account of the vault', async () => {
    const { house, xrdp } = desk;
    const from = await house.mark();
    const before = desk.secrets.svc;
    {
      await using client = await desk.connect('svc@desk-01');
      await client.connected(soon(20));
      const screen = await xrdp.session('svc', soon(20));
      await xrdp.scroll('svc', { seed: 11, lines: 200 }, soon(20));
      await untilSame(
        (signal) => picture(screen, {}, signal),
        (signal) => client.picture(signal),
        soon(20),
      );
      const started = await house.event((row) => row.type === 'session.started', from);
      expect(started.details).toMatchObject({ front: { security: 'nla' }, back: { security: 'tls' } });
    }
    await house.event((row) => row.type === 'session.ended', from);
    await house.event((row) => row.type === 'rotation.confirmed', from, 60);
    expect(await opens(xrdp.machine, 'svc', before)).toBe('refused');
  });

  test('a client without NLA brings its token as password', async () => {
    const minted = await desk.token('svc@desk-01');
    await using client = await desk.connect('', { user: minted.user, password: minted.token, security: 'tls' });
    await client.connected(soon(20));
  });

  test('a token opens one desktop once; the same token from the same client may come back, and nobody else', async () => {
    const from = await desk.house.mark();
    const minted = await desk.token('svc@desk-01');
    {
      await using client = await desk.connect('', { user: minted.user, password: minted.token });
      await client.connected(soon(20));
    }
    await desk.house.event((row) => row.type === 'session.ended', from);
    const again = await desk.tries({ user: minted.user, password: minted.token, security: 'nla' });
    expect(again.log).not.toContain('LOGON_FAILURE');
  });

  test('a wrong token, a token for somebody else and a name that nobody has are refused in the same words', async () => {
    const minted = await desk.token('svc@desk-01');
    const wrong = `${minted.token.slice(0, -4)}aaaa`;
    const answers = [
      await desk.tries({ user: 'alice', password: wrong, security: 'nla' }),
      await desk.tries({ user: 'bob', password: minted.token, security: 'nla' }),
      await desk.tries({ user: 'nobody', password: minted.token, security: 'nla' }),
    ];
    for (const { log } of answers) expect(log).toContain('ERRCONNECT_LOGON_FAILURE');
    expect(new Set(answers.map(({ code }) => code)).size).toBe(1);
  });

  test('a token leads to its own place and nowhere else', async () => {
    const minted = await desk.token('svc@desk-01');
    await using client = await desk.connect('', { user: 'alice%svc%nla-01', password: minted.token });
    await client.ended;
    expect(client.log()).toContain('ERRINFO_SERVER_INSUFFICIENT_PRIVILEGES');
  });

  test('a client that offers no TLS is told to, and nothing else happens', async () => {
    const from = await desk.house.mark();
    const { log } = await desk.tries({ user: 'alice', password: 'x', security: 'rdp' });
    expect(log).toMatch(/SSL_REQUIRED|SECURITY_NEGO_CONNECT_FAILED/);
    expect((await desk.house.trail(from)).filter((row) => row.type.startsWith('login'))).toEqual([]);
  });

  test('who is killed sees why within a second, and his target is closed', async () => {
    const { house, xrdp } = desk;
    const from = await house.mark();
    await using client = await desk.connect('svc@desk-01');
    await client.connected(soon(20));
    await xrdp.session('svc', soon(20));
    const { details } = await house.event((row) => row.type === 'session.started', from);
    const before = Date.now();
    await house.product.ask(['kill', String(details['session']), '--reason', 'a test']);
    await client.ended;
    expect(client.log()).toContain('ERRINFO_RPC_INITIATED_DISCONNECT');
    expect(Date.now() - before).toBeLessThan(5000);
    await house.event((row) => row.type === 'session.ended', from);
  });
});
