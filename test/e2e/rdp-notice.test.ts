/** A client that cannot be let in, or whose desktop cannot be reached, is told so in words on its own screen. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openScreen, slowPathUpdate } from '../../src/protocol/rdp/bitmap/bitmap.ts';
import { noticePicture, shareDataType, sound } from '../../src/protocol/rdp/rdp.ts';
import { fullMachines } from '../lab/machine.ts';
import { untilSame } from '../lab/rdp/compare.ts';
import type { Picture } from '../lab/rdp/picture.ts';
import { startRdesktop } from '../lab/rdp/rdesktop.ts';
import { click } from '../lab/rdp/screen.ts';
import { type Desk, openDesk } from './rdp-stage.ts';

/** What a client of 1024x768 shows of these words. */
function painted(...paragraphs: readonly string[]): Picture {
  const screen = sound(openScreen(1024, 768));
  for (const body of noticePicture([...paragraphs, '', 'Press a key to close.'], 1024, 768)) {
    const update = slowPathUpdate(shareDataType.update, body);
    if (update !== undefined) sound(screen.apply(sound(update)));
  }
  return { width: 1024, height: 768, rgba: screen.pixels };
}

const soon = (seconds: number): AbortSignal => AbortSignal.timeout(seconds * 1000);

describe.runIf(fullMachines)('words on a screen', { timeout: 60_000 }, () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await openDesk();
  }, 120_000);
  afterAll(async () => await desk?.[Symbol.asyncDispose]());

  test('who wants to go where he may not reads so, in the words for what is not there, until he clicks', async () => {
    const { token } = await desk.token('svc@desk-01');
    await using client = await desk.connect('', { user: 'alice%svc%nowhere', password: token });
    await client.connected(soon(20));
    const words = painted('Sallyport: there is no such place, or you may not go there.');
    await untilSame(
      async () => words,
      (signal) => client.picture(signal),
      soon(9),
    );
    await click(desk.display, 512, 384);
    await client.ended;
    expect(client.log()).toContain('ERRINFO_SERVER_INSUFFICIENT_PRIVILEGES');
  });

  test('a client without NLA that brings no password is told how to get in, and then the number', async () => {
    const { rdp } = desk.house.product;
    await using client = await startRdesktop(desk.display, { ...rdp, user: 'alice', password: '' });
    await client.connected(soon(20));
    await client.ended;
    expect(client.log()).toContain('insufficient access privileges');
  });
});
