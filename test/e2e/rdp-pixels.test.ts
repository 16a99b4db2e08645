/**
 * The recording of a desktop is what the target showed: a screen that changes at random, looked at whenever client and
 * target agree, is pixel by pixel what the product's own export draws for that time.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { differingPixels, psnr, untilSame } from '../lab/rdp/compare.ts';
import type { Picture } from '../lab/rdp/picture.ts';
import { picture } from '../lab/rdp/screen.ts';
import { type Desk, openDesk } from './rdp-stage.ts';
import { hidePointer, soon, type Visit, visit } from './rdp-visit.ts';

const deep = { terms: '{ depth: 32 }' };

interface Shot {
  readonly at: number;
  readonly seen: Picture;
}

describe.runIf(fullMachines)('a recorded desktop', { timeout: 60_000 }, () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await openDesk({ accounts: { deep, deeper: deep, flat: {}, old: {}, low: {}, sized: {} } });
  }, 180_000);
  afterAll(async () => await desk?.[Symbol.asyncDispose]());

  /** The next moment at which client and target show the same, and had before what they had after. */
  async function still({ client, screen }: Visit): Promise<Shot> {
    const both = (): Promise<Picture> =>
      untilSame(
        (signal) => picture(screen, {}, signal),
        (signal) => client.picture(signal),
        soon(20),
      );
    for (let seen = await both(); ; ) {
      const at = Date.now();
      const again = await both();
      if (differingPixels(seen, again) === 0) return { at, seen };
      seen = again;
    }
  }

  /** Scrolls words of a seed, as many as the seed says. */
  async function scrolled(session: Visit, account: string, seed: number): Promise<Shot> {
    await desk.xrdp.scroll(account, { seed, lines: 40 + ((seed * 37) % 120) }, soon(20));
    return await still(session);
  }

  test.each([
    ['32 bits', 'deep', { program: 'xfreerdp', bpp: 32 }, 32],
    ['32 bits, compressed', 'deeper', { program: 'xfreerdp', bpp: 32, compression: true }, 32],
    ['24 bits', 'flat', { program: 'xfreerdp', bpp: 24 }, 24],
    ['24 bits, compressed', 'flat', { program: 'xfreerdp', bpp: 24, compression: true }, 24],
    ['RemoteFX asked for', 'deep', { program: 'xfreerdp', graphics: 'rfx' }, 32],
    ['the graphics pipeline asked for', 'deeper', { program: 'xfreerdp', graphics: 'gfx' }, 32],
    ['rdesktop with 24 bits', 'old', { program: 'rdesktop', bpp: 24 }, 24],
  ] as const)('is to the pixel what the target showed: %s', async (_, account, how, depth) => {
    await using session = await visit(desk, account, how);
    await still(session);
    await hidePointer(desk, session.screen);
    const shots: Shot[] = [];
    for (const seed of [1, 2, 3]) shots.push(await scrolled(session, account, seed * 7 + depth));
    expect(differingPixels(shots[0]!.seen, shots[2]!.seen)).toBeGreaterThan(10_000);
    const recorded = await session.end();
    for (const { at, seen } of shots) expect(differingPixels(await recorded.at(at), seen)).toBe(0);
    expect(await recorded.text()).toContain(`desktop: 1024x768, ${depth} bits`);
  });

  test('is nearly what the target showed with 16 bits, and exactly as deep', async () => {
    await using session = await visit(desk, 'low', { program: 'xfreerdp', bpp: 16 });
    const { client, screen } = session;
    await hidePointer(desk, screen);
    await desk.xrdp.scroll('low', { seed: 5, lines: 80 }, soon(20));
    const near = async (): Promise<Shot> => {
      for (;;) {
        const seen = await picture(screen);
        const at = Date.now();
        const [shown, again] = [await client.picture(soon(20)), await picture(screen)];
        if (differingPixels(seen, again) === 0 && psnr(seen, shown) > 35) return { at, seen };
      }
    };
    const { at, seen } = await near();
    const recorded = await session.end();
    const drawn = await recorded.at(at);
    expect(psnr(drawn, seen)).toBeGreaterThan(35);
    expect(differingPixels(drawn, seen)).toBeGreaterThan(0);
    expect(await recorded.text()).toContain('desktop: 1024x768, 16 bits');
  });

  test('follows a client whose window changes its size, from the first picture on', async () => {
    await using session = await visit(desk, 'sized', { program: 'xfreerdp', bpp: 24, dynamicResolution: true });
    await hidePointer(desk, session.screen);
    const shots = [await scrolled(session, 'sized', 3)];
    for (const [width, height] of [
      ['900', '700'],
      ['1200', '800'],
    ] as const) {
      await desk.display.run(['xdotool', 'windowsize', await session.client.window(soon(5)), width, height]);
      await expect.poll(async () => (await picture(session.screen)).width, { timeout: 15_000 }).toBe(Number(width));
      shots.push(await still(session), await scrolled(session, 'sized', shots.length + 7));
    }
    const recorded = await session.end();
    for (const { at, seen } of shots) {
      const drawn = await recorded.at(at);
      expect([drawn.width, drawn.height]).toEqual([seen.width, seen.height]);
      expect(differingPixels(drawn, seen)).toBe(0);
    }
    const sizes = (await recorded.text()).match(/desktop: \S+/g);
    expect(sizes).toEqual(['desktop: 1024x768,', 'desktop: 900x700,', 'desktop: 1200x800,']);
  });
});
