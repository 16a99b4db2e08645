/** The peers of RDP without any gate: whoever trusts a test that uses them trusts these. */
import { existsSync } from 'node:fs';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { startBetween } from '../lab/rdp/between.ts';
import { startChromium } from '../lab/rdp/chromium.ts';
import { startCleanPathGateway } from '../lab/rdp/clean-path.ts';
import { colours, differingPixels, find, psnr, untilSame } from '../lab/rdp/compare.ts';
import { type Display, startDisplay } from '../lab/rdp/display.ts';
import { startFalseTarget } from '../lab/rdp/false-target.ts';
import type { Picture } from '../lab/rdp/picture.ts';
import { startRdesktop } from '../lab/rdp/rdesktop.ts';
import type { RdpClient } from '../lab/rdp/rdp-client.ts';
import { click, picture, readClipboard, type Screen, type as typeText, writeClipboard } from '../lab/rdp/screen.ts';
import { type ShadowServer, startShadow } from '../lab/rdp/shadow.ts';
import { painted } from '../lab/rdp/text.ts';
import { startXfreerdp, tryXfreerdp } from '../lab/rdp/xfreerdp.ts';
import { startXrdp, type XrdpMachine } from '../lab/rdp/xrdp.ts';

const patient = { timeout: 15_000 };
const soon = (): AbortSignal => AbortSignal.timeout(15_000);
const resources = new AsyncDisposableStack();
let display: Display;

beforeAll(async () => {
  display = resources.use(await startDisplay());
});
afterAll(() => resources.disposeAsync());

/** Waits until the client's window is pixel by pixel what the target's own X server has. */
function sameAs(screen: Screen, client: RdpClient): Promise<Picture> {
  return untilSame(
    (signal) => picture(screen, {}, signal),
    (signal) => client.picture(signal),
    soon(),
  );
}

describe.runIf(fullMachines)('an xrdp machine', () => {
  let machine: XrdpMachine;
  const account = { user: 'svc', password: 'first pass' };
  const other = { user: 'ana', password: 'another pass' };
  beforeAll(async () => {
    const users = [account, other].map(({ user, password }) => ({ name: user, password }));
    machine = resources.use(await startXrdp({ name: 'desk-01', users }));
  });

  test('shows xfreerdp the desktop of the account, and the account takes what is typed', async () => {
    const words = Promise.all([painted('svc'), painted('desk-01'), painted('ana')]);
    await using client = await startXfreerdp(display, { ...machine, ...account });
    await client.connected(soon());
    const screen = await machine.session('svc', soon());
    const seen = await sameAs(screen, client);
    expect([seen.width, seen.height]).toEqual([1024, 768]);
    expect(colours(seen)).toBeGreaterThan(2);
    const [svc, host, ana] = await words;
    expect([find(seen, svc), find(seen, host)]).toEqual([expect.anything(), expect.anything()]);
    expect(find(seen, ana)).toBeUndefined();
    await click(display, 100, 60);
    await typeText(display, 'id -un >~/typed; exit\n');
    await expect.poll(() => machine.machine.readFile('/home/svc/typed').catch(() => ''), patient).toBe('svc\n');
    await machine.endSessions('svc');
    expect(await client.ended).not.toBe(0);
  });

  test('gives every account a desktop of its own, which it keeps between connections', async () => {
    await using first = await startXfreerdp(display, { ...machine, ...account });
    await using second = await startXfreerdp(display, { ...machine, ...other });
    await Promise.all([first.connected(soon()), second.connected(soon())]);
    const [svc, ana] = await Promise.all([machine.session('svc', soon()), machine.session('ana', soon())]);
    expect(svc.name).not.toBe(ana.name);
    expect((await svc.run(['id', '-un'])).stdout).toBe('svc\n');
    expect((await ana.run(['id', '-un'])).stdout).toBe('ana\n');
    expect(differingPixels(await sameAs(svc, first), await sameAs(ana, second))).toBeGreaterThan(0);
    await machine.endSessions('ana');
  });

  test('scrolls the same words for the same seed', async () => {
    await using client = await startXfreerdp(display, { ...machine, ...account });
    await client.connected(soon());
    const screen = await machine.session('svc', soon());
    const pictures: Picture[] = [];
    for (const seed of [1, 2, 1]) {
      await machine.scroll('svc', { seed, lines: 400 });
      pictures.push(await sameAs(screen, client));
    }
    const [one, two, again] = pictures as [Picture, Picture, Picture];
    expect(differingPixels(one, again)).toBe(0);
    expect(differingPixels(one, two)).toBeGreaterThan(10_000);
    const stop = new AbortController();
    const endless = machine.scroll('svc', { seed: 3 }, stop.signal);
    await expect.poll(async () => differingPixels(await client.picture(), again), patient).toBeGreaterThan(10_000);
    stop.abort(new Error('enough'));
    await expect(endless).rejects.toThrow('enough');
    await sameAs(screen, client);
  });

  test.each([
    ['compression', { compression: true }],
    ['24 bits', { bpp: 24 }],
  ] as const)('shows xfreerdp with %s every pixel as it is', async (_, options) => {
    await using client = await startXfreerdp(display, { ...machine, ...account, ...options });
    await client.connected(soon());
    const screen = await machine.session('svc', soon());
    await machine.scroll('svc', { seed: 5, lines: 200 });
    await sameAs(screen, client);
  });

  test('shows rdesktop every pixel with 24 bits, and nearly the same with 16', async () => {
    for (const bpp of [24, 16] as const) {
      await using client = await startRdesktop(display, { ...machine, ...account, bpp });
      await client.connected(soon());
      const screen = await machine.session('svc', soon());
      if (bpp === 24) await sameAs(screen, client);
      else
        await expect.poll(async () => psnr(await picture(screen), await client.picture()), patient).toBeGreaterThan(35);
    }
  });

  test('takes the size of the window of a client that tells it', async () => {
    await using client = await startXfreerdp(display, { ...machine, ...account, dynamicResolution: true });
    await client.connected(soon());
    const screen = await machine.session('svc', soon());
    await sameAs(screen, client);
    await display.run(['xdotool', 'windowsize', await client.window(soon()), '900', '700']);
    await expect.poll(async () => (await picture(screen)).width, patient).toBe(900);
    const seen = await sameAs(screen, client);
    expect([seen.width, seen.height]).toEqual([900, 700]);
    await machine.endSessions('svc');
  });

  test('hands copied text to rdesktop and takes it from there', async () => {
    await using client = await startRdesktop(display, { ...machine, ...account, more: ['-r', 'clipboard:CLIPBOARD'] });
    await client.connected(soon());
    const screen = await machine.session('svc', soon());
    await sameAs(screen, client);
    await writeClipboard(screen, 'down: ä');
    await expect.poll(() => readClipboard(display).catch(() => ''), patient).toBe('down: ä');
    await writeClipboard(display, 'up: ö');
    await expect.poll(() => readClipboard(screen).catch(() => ''), patient).toBe('up: ö');
  });

  test('hands a copied text to xfreerdp', async () => {
    await using client = await startXfreerdp(display, { ...machine, ...account, clipboard: true });
    await client.connected(soon());
    const screen = await machine.session('svc', soon());
    await sameAs(screen, client);
    await writeClipboard(screen, 'from the target: ä');
    await expect.poll(() => readClipboard(display).catch(() => ''), patient).toBe('from the target: ä');
  });

  test('sees the folder that rdesktop gives it as a drive, and writes to it', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'lab-drive-'));
    await writeFile(join(folder.path, 'note'), 'from the client');
    const drive = { name: 'mine', folder: folder.path };
    // A desktop whose last client had no drives shows none to the next.
    await machine.endSessions('svc');
    await using client = await startRdesktop(display, { ...machine, ...account, drive });
    await client.connected(soon());
    const screen = await machine.session('svc', soon());
    const mine = '/home/svc/thinclient_drives/mine';
    const read = (): Promise<string> => screen.run(['cat', `${mine}/note`]).then((ran) => ran.stdout, String);
    await expect.poll(read, patient).toBe('from the client');
    await screen.run(['sh', '-c', `echo back >${mine}/answer`]);
    expect(await readFile(join(folder.path, 'answer'), 'utf8')).toBe('back\n');
  });

  test('takes the password that PAM knows now, and no other', async () => {
    const changed = await machine.machine.exec(['chpasswd'], { input: 'ana:changed pass\n' });
    expect(changed.code).toBe(0);
    await using _refused = await startXfreerdp(display, { ...machine, ...other });
    await machine.logged('login failed for user ana', soon());
    await using right = await startXfreerdp(display, { ...machine, ...other, password: 'changed pass' });
    await right.connected(soon());
    await machine.session('ana', soon());
    await machine.endSessions('ana');
  });

  test('shows another certificate when told, and a client that knows the old one says no', async () => {
    const before = machine.fingerprint;
    const pinned = { ...machine, ...account, trust: { fingerprint: before } };
    expect((await tryXfreerdp(display, pinned)).code).toBe(0);
    await machine.renewCertificate();
    expect(machine.fingerprint).not.toBe(before);
    const refused = await tryXfreerdp(display, pinned);
    expect(refused.code).not.toBe(0);
    expect(refused.log).toContain('certificate not trusted');
    expect((await tryXfreerdp(display, { ...pinned, trust: machine })).code).toBe(0);
  });

  test('tells whoever stands between, if the client does not look whom it talks to', async () => {
    await using between = await startBetween(machine);
    await using client = await startXfreerdp(display, { ...between, ...account });
    await client.connected(soon());
    const screen = await machine.session('svc', soon());
    await sameAs(screen, client);
    expect(between.terminated).toBe(1);
    expect(between.seen.up.includes(Buffer.from(account.password, 'utf16le'))).toBe(true);
    await machine.endSessions('svc');
  });

  test('runs beside another one, and leaves the folders of the host alone', async () => {
    const before = existsSync('/run/xrdp/sockdir');
    await using beside = await startXrdp({ name: 'desk-02', users: [{ name: 'svc', password: 'not the same' }] });
    await using client = await startXfreerdp(display, { ...beside, user: 'svc', password: 'not the same' });
    await client.connected(soon());
    const screen = await beside.session('svc', soon());
    expect((await screen.run(['hostname'])).stdout).toBe('desk-02\n');
    await sameAs(screen, client);
    expect(existsSync('/run/xrdp/sockdir')).toBe(before);
  });
});

describe('a shadow server with NLA', () => {
  let shadow: ShadowServer;
  const account = { user: 'ana', password: 'right' };
  beforeAll(async () => {
    shadow = resources.use(await startShadow({ accounts: [{ name: 'ana', password: 'right' }] }));
  });

  test('lets in the right password and no other, before and after it is changed', async () => {
    const nla = { ...shadow, user: 'ana', security: 'nla' } as const;
    expect((await tryXfreerdp(display, { ...nla, password: 'right' })).code).toBe(0);
    expect((await tryXfreerdp(display, { ...nla, password: 'wrong' })).code).not.toBe(0);
    await shadow.setAccounts([{ name: 'ana', password: 'other' }]);
    expect((await tryXfreerdp(display, { ...nla, password: 'right' })).code).not.toBe(0);
    expect((await tryXfreerdp(display, { ...nla, password: 'other' })).code).toBe(0);
    await shadow.setAccounts([{ name: 'ana', password: 'right' }]);
  });

  test('refuses a client that does not speak NLA', async () => {
    expect((await tryXfreerdp(display, { ...shadow, ...account, security: 'tls' })).code).not.toBe(0);
  });

  test('shows xfreerdp every pixel of its display, and takes what is typed', async () => {
    await using client = await startXfreerdp(display, { ...shadow, ...account, security: 'nla', trust: shadow });
    await client.connected(soon());
    await untilSame(
      (signal) => picture(shadow.screen, {}, signal),
      (signal) => client.picture(signal),
      soon(),
    );
    await click(display, 100, 60);
    await typeText(display, 'echo "Typed: 1" >~/typed\n');
    const typed = join(shadow.screen.folder, 'typed');
    await expect.poll(() => readFile(typed, 'utf8').catch(() => ''), patient).toBe('Typed: 1\n');
  });

  test('is not deceived by somebody between, and neither is its client', async () => {
    await using between = await startBetween(shadow);
    const attempt = await tryXfreerdp(display, { ...between, ...account, security: 'nla' });
    expect(attempt.code).not.toBe(0);
    expect(between.terminated).toBeGreaterThan(0);
    expect(between.seen.up.includes('NTLMSSP')).toBe(true);
    const inClear = [Buffer.from(account.password, 'utf16le'), Buffer.from(account.password)];
    expect(inClear.some((form) => between.seen.up.includes(form))).toBe(false);
  });

  test('takes a browser through a gateway, with what it types', async () => {
    await using gateway = await startCleanPathGateway(shadow);
    await using browser = await startChromium();
    const how = { gateway: gateway.url, destination: 'ana@shadow', token: 'a token', credssp: true, ...account };
    expect(await browser.connect({ ...how, password: 'wrong' })).toMatchObject({ kind: 'failed' });
    expect(await browser.connect(how)).toEqual({ kind: 'connected', width: 1024, height: 768 });
    expect(gateway.asked.at(-1)).toEqual({ destination: 'ana@shadow', token: 'a token', origin: browser.origin });
    // It asks for RemoteFX, which loses a little.
    await expect
      .poll(async () => psnr(await picture(shadow.screen), await browser.picture()), patient)
      .toBeGreaterThan(35);
    await browser.click(100, 60);
    await browser.type('echo "Browser: 2" >~/browsed\n');
    const typed = join(shadow.screen.folder, 'browsed');
    await expect.poll(() => readFile(typed, 'utf8').catch(() => ''), patient).toBe('Browser: 2\n');
  });
});

describe('a false target', () => {
  test('hears the password of a client that trusts anybody, and nothing from one that does not', async () => {
    await using target = await startFalseTarget();
    const account = { ...target, user: 'ana', password: 'for somebody else', security: 'tls' } as const;
    const careful = await tryXfreerdp(display, { ...account, trust: { fingerprint: 'ab'.repeat(32) } });
    expect(careful.code).not.toBe(0);
    await target.over(1, soon());
    expect([target.heard('ana'), target.heard('for somebody else')]).toEqual([true, false]);
    expect(target.visits[0]?.inside.length).toBe(0);
    await using careless = await startXfreerdp(display, account);
    await expect.poll(() => target.visits.at(-1)?.inside.length ?? 0, patient).toBeGreaterThan(0);
    await careless[Symbol.asyncDispose]();
  });
});
