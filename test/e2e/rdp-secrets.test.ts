/**
 * What a desktop leaves behind: after sessions of a stock client and of one that keeps every byte, the password that the
 * target was given is nowhere but in the vault, and the account's name is not in what the client was sent.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { type Canary, canary, drawCanary, searchBytes } from '../support/canary.ts';
import { type ProcessView, processTree } from '../support/exec-trace.ts';
import { type Haul, planted, searchHaul, searchMemory } from '../support/haul.ts';
import { vaultContents } from '../support/vault-canaries.ts';
import { type Desk, openDesk } from './rdp-stage.ts';
import { enter } from './rdp-wire-client.ts';

const soon = (seconds: number): AbortSignal => AbortSignal.timeout(seconds * 1000);

describe.runIf(fullMachines)('secrets of a desktop', { timeout: 60_000 }, () => {
  const texts = new Map<string, string | Uint8Array>();
  const views: ProcessView[] = [];
  const given: Canary[] = [];
  let desk: Desk;
  let haul: Haul;
  let all: readonly Canary[];
  let received: Buffer;

  beforeAll(async () => {
    desk = await openDesk({ product: { logLevel: 'debug' } });
    const { house, xrdp } = desk;
    const { product } = house;
    const look = async (): Promise<void> => void views.push(...(await processTree(product.pid)));
    given.push(canary('password of svc', desk.secrets.svc));
    const changed = async (from: number): Promise<void> => {
      await house.event(({ type }) => type === 'session.ended', from);
      await house.event(({ type }) => type === 'rotation.confirmed', from, 60);
    };

    let from = await house.mark();
    {
      const minted = await desk.token('svc@desk-01');
      given.push(canary('token of xfreerdp', minted.token));
      await using client = await desk.connect('', { user: minted.user, password: minted.token, security: 'nla' });
      await client.connected(soon(20));
      await xrdp.session('svc', soon(20));
      await xrdp.scroll('svc', { seed: 5, lines: 400 }, soon(20));
      await look();
      texts.set('the log of xfreerdp', client.log());
    }
    await changed(from);

    from = await house.mark();
    {
      const minted = await desk.token('svc@desk-01');
      given.push(canary('token of our client', minted.token));
      const login = { user: minted.user, password: minted.token, channels: [{ name: 'cliprdr', options: 0 }] };
      await using client = await enter(product.rdp, login, soon(20));
      await client.active.catch(async (error: unknown) => {
        throw new Error(`${String(error)}: ${(await xrdp.log()).slice(-2000)}`);
      });
      await client.shown(4000);
      await look();
      received = client.received();
      texts.set('what our client was sent', received);
    }
    await changed(from);

    for (const argv of [['sessions'], ['recordings'], ['history', 'svc@desk-01'], ['audit', 'tail', '-n', '10000']]) {
      const { stdout, stderr } = await product.cli(['-o', 'json', ...argv]);
      texts.set(argv.join(' '), stdout + stderr);
    }
    texts.set('the log of xrdp', await xrdp.log());
    await house.stop();
    texts.set('the log of the product', product.log());
    const { canaries, recordings } = await vaultContents(product.data, product.rootKey);
    all = [...given, ...canaries];
    haul = { texts, executions: [], processes: views, data: product.data, recordings };
  }, 180_000);
  afterAll(async () => await desk?.[Symbol.asyncDispose]());

  test('each password that the target was given is looked for, and the tokens', () => {
    expect(all.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'svc@desk-01, value 0',
        'svc@desk-01, value 1',
        'token of xfreerdp',
        'token of our client',
      ]),
    );
  });

  test('none is in what a client was sent, in a recording, a log, the trail, a command line or an environment', async () => {
    const { hits, disk } = await searchHaul(haul, all);
    expect(hits).toEqual([]);
    expect(disk.unread).toEqual([]);
    expect(disk.decoded.files).toBe(2);
    expect(disk.decoded.bytes).toBeGreaterThan(10_000);
    expect(received.length).toBeGreaterThan(4000);
    expect(views.length).toBeGreaterThan(6);
  });

  test("the account's name is in nothing that the client was told", () => {
    expect(received.includes(Buffer.from('svc', 'utf16le'))).toBe(false);
    expect(received.includes('svc@')).toBe(false);
    // The machine's own log knows it: it was logged in to.
    expect(String(texts.get('the log of xrdp'))).toContain('svc');
  });

  test('a password planted in any of these places, in any form, is found there', () => {
    const plant = drawCanary('planted');
    expect(searchMemory(haul, [plant])).toEqual([]);
    for (const [place, copy] of planted(haul, plant.bytes))
      expect(searchMemory(copy, [plant]).length, place).toBeGreaterThan(0);
    const { text } = plant;
    const forms = [
      text,
      Buffer.from(text, 'utf16le'),
      Buffer.from(text).toString('hex'),
      Buffer.from(text).toString('base64'),
    ];
    for (const form of forms)
      expect(searchBytes([plant], 'bytes', Buffer.concat([received, Buffer.from(form as string)]))).not.toEqual([]);
  });
});
