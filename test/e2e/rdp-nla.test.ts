/** Desktops that insist on NLA, behind the gate: their passwords are tried before they are stored, and are of use then. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilSame } from '../lab/rdp/compare.ts';
import { type NlaTarget, startNlaTarget } from '../lab/rdp/nla-target.ts';
import { picture } from '../lab/rdp/screen.ts';
import { fullMachines } from '../lab/machine.ts';
import { word } from './house.ts';
import { type Desk, openDesk } from './rdp-stage.ts';

const soon = (seconds: number): AbortSignal => AbortSignal.timeout(seconds * 1000);
const account = 'shadow@nla-01';

describe.runIf(fullMachines)('a desktop that insists on NLA', { timeout: 90_000 }, () => {
  let desk: Desk;
  let strict: NlaTarget;
  beforeAll(async () => {
    strict = await startNlaTarget('svc');
    strict.password = word();
    // With 24 bits this server draws in 16, and then no picture is its screen to the pixel.
    desk = await openDesk({ withNla: true, terms: '{ depth: 32 }' });
    await desk.house.call('estate.apply', { text: withStrict(strict), dryRun: false, prune: false });
    await desk.house.product.ask(['target', 'trust', 'nla-02,rdp', '--yes']);
  }, 120_000);
  afterAll(async () => {
    await desk?.[Symbol.asyncDispose]();
    await strict?.[Symbol.asyncDispose]();
  });

  function shadow() {
    if (desk.shadow === undefined) throw new Error('the stage has no target with NLA');
    return desk.shadow;
  }

  async function set(name: string, value: string, unverified = false): Promise<unknown> {
    return await desk.house.call('account.store', { account: name, secret: Buffer.from(value), unverified });
  }

  for (const security of ['nla', 'tls'] as const)
    test(`shows a client with ${security} its screen to the pixel`, async () => {
      const from = await desk.house.mark();
      {
        const { user, token } = await desk.token(account);
        await using client = await desk.connect('', { user, password: token, security });
        await client.connected(soon(20));
        await untilSame(
          (signal) => picture(shadow().screen, {}, signal),
          (signal) => client.picture(signal),
          soon(20),
        );
        const started = await desk.house.event((row) => row.type === 'session.started', from);
        expect(started.details).toMatchObject({ front: { security }, back: { security: 'nla' } });
      }
      await desk.house.event((row) => row.type === 'session.ended', from);
    });

  test('takes no wrong password into the vault, and says that it was probably the password', async () => {
    await expect(set(account, word())).rejects.toMatchObject({
      code: 'rotation.credential-unchecked',
      message: expect.stringContaining('probably the password is wrong'),
    });
    expect(await desk.house.call('rotation.verify', { account })).toMatchObject({ status: 'accepted' });
  });

  test('whose password was changed behind the vault is not opened, and the trail says why', async () => {
    const from = await desk.house.mark();
    await shadow().setAccounts([{ name: 'shadow', password: word() }]);
    await using client = await desk.connect(account);
    await client.ended;
    expect(client.log()).toContain('ERRINFO_SERVER_DENIED_CONNECTION');
    const ended = await desk.house.event((row) => row.type === 'session.ended', from);
    expect(JSON.stringify(ended.details)).toContain(
      'the target hung up: probably it does not take the stored password',
    );
    await shadow().setAccounts([{ name: 'shadow', password: desk.secrets.shadow }]);
    expect(await desk.house.call('rotation.verify', { account })).toMatchObject({ status: 'accepted' });
  });

  test('that gives its reasons has them in the trail, and wrong passwords are rejected by name', async () => {
    await expect(set('svc@nla-02', word())).rejects.toMatchObject({ code: 'rotation.credential-rejected' });
    expect(await set('svc@nla-02', strict.password)).toMatchObject({ status: 'confirmed' });
    expect(strict.visits.map((visit) => visit.delegated)).toEqual(strict.visits.map(() => undefined));
    const from = await desk.house.mark();
    strict.password = word();
    await using client = await desk.connect('svc@nla-02');
    await client.ended;
    expect(client.log()).toContain('ERRINFO_SERVER_DENIED_CONNECTION');
    const ended = await desk.house.event((row) => row.type === 'session.ended', from);
    expect(JSON.stringify(ended.details)).toContain('server answered with status 0xc000006d');
  });

  test('takes a value unverified when it cannot be asked, and without that it does not', async () => {
    strict.manner = 'leaves at once';
    await expect(set('svc@nla-02', word())).rejects.toMatchObject({ code: 'rotation.credential-unchecked' });
    expect(await set('svc@nla-02', word(), true)).toMatchObject({ status: 'uncertain' });
  });
});

function withStrict({ address, port }: NlaTarget): string {
  return `
targets:
  - { name: nla-02, platform: windows, address: ${address}, services: [{ protocol: rdp, port: ${port} }] }
accounts: [{ name: svc@nla-02 }]
grants:
  - { name: strict, group: ops, targets: [nla-02], subprotocols: [rdp] }
`;
}
