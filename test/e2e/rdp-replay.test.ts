/** What is exported of a session's recording is what the target's screen was, to the pixel; only the pointer is ours to add. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilSame } from '../lab/rdp/compare.ts';
import { picture } from '../lab/rdp/screen.ts';
import { fullMachines } from '../lab/machine.ts';
import { run } from '../lab/run.ts';
import { type Desk, openDesk } from './rdp-stage.ts';

const soon = (seconds: number): AbortSignal => AbortSignal.timeout(seconds * 1000);

describe.runIf(fullMachines)('the recording of a desktop', { timeout: 90_000 }, () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await openDesk();
  }, 120_000);
  afterAll(async () => await desk?.[Symbol.asyncDispose]());

  test('shows at its end what the screen of the target showed', async () => {
    const { house, xrdp } = desk;
    const from = await house.mark();
    let real;
    {
      await using client = await desk.connect('svc@desk-01');
      await client.connected(soon(20));
      const screen = await xrdp.session('svc', soon(20));
      await xrdp.scroll('svc', { seed: 12, lines: 300 }, soon(20));
      real = await untilSame(
        (signal) => picture(screen, {}, signal),
        (signal) => client.picture(signal),
        soon(20),
      );
    }
    await house.event((row) => row.type === 'recording.sealed', from);
    const { recordings } = await house.call('recording.list', {});
    const recording = recordings.find(({ protocol }) => protocol === 'rdp')?.recording ?? '';
    const parts: Uint8Array[] = [];
    await house.call('recording.draw', { recording, format: 'png' }, (part) => void parts.push(part.bytes));
    const raw = ['-f', 'rawvideo', '-pix_fmt', 'rgba', '-'];
    const shown = await run(['ffmpeg', '-v', 'error', '-i', '-', ...raw], { input: Buffer.concat(parts) });
    expect(shown.output).toHaveLength(4 * real.width * real.height);
    // what differs lies within one pointer
    const differing: number[] = [];
    for (let at = 0; at < real.width * real.height; at++) {
      const same = [0, 1, 2].every((color) => real.rgba[4 * at + color] === shown.output[4 * at + color]);
      if (!same) differing.push(at);
    }
    const [columns, rows] = [
      differing.map((at) => at % real.width),
      differing.map((at) => Math.floor(at / real.width)),
    ];
    for (const places of [columns, rows])
      expect(places.length === 0 ? 0 : Math.max(...places) - Math.min(...places)).toBeLessThan(32);
    await house.event((row) => row.type === 'recording.played', from);
  });
});
