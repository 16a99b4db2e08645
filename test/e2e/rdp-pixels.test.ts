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

  /** Scrolls words of a seed, and takes the picture on which both sides agree. */
  async function scrolled({ client, screen }: Visit, account: string, seed: number): Promise<Shot> {
    await desk.xrdp.scroll(account, { seed, lines: 40 + ((seed * 37) % 120) }, soon(20));
    const seen = await untilSame(
      (signal) => picture(screen, {}, signal),
      (signal) => client.picture(signal),
      soon(20),
    );
    return { at: Date.now(), seen };
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
    await hidePointer(desk, session.screen);
    const shots: Shot[] = [];
    for (const seed of [1, 2, 3]) shots.push(await scrolled(session, account, seed * 7 + depth));
    expect(differingPixels(shots[0]!.seen, shots[2]!.seen)).toBeGreaterThan(10_000);
    const recorded = await session.end();
    for (const { at, seen } of shots) expect(differingPixels(await recorded.at(at), seen)).toBe(0);
    expect(await recorded.text()).toContain(`desktop: 1024x768, ${depth} bits`);
  });
});
