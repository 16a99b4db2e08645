/** What a text looks like in the terminals of the lab's desktops, for finding it in pictures of them. */
import { startTethered } from '../tethered.ts';
import { setTimeout as pause } from 'node:timers/promises';
import { colours } from './compare.ts';
import { startDisplay } from './display.ts';
import type { Picture } from './picture.ts';
import { picture } from './screen.ts';

const cell = { width: 6, height: 13 };

/** Paints one line of text, black on white, on a display of its own, and takes its picture. */
export async function painted(text: string, signal?: AbortSignal): Promise<Picture> {
  const area = { x: 0, y: 0, width: cell.width * text.length, height: cell.height };
  await using display = await startDisplay({ width: 1280, height: 100 }, signal);
  const frame = ['-bw', '0', '-b', '0', '+sb', '-bg', 'white', '-fg', 'black', '-geometry', '200x3+0+0'];
  const script = `printf '\\033[?25l%s' "$1"; exec sleep infinity`;
  await using _terminal = await startTethered(
    ['xterm', ...frame, '-e', 'sh', '-c', script, 'sh', text],
    '',
    [],
    display.env,
  );
  for (;;) {
    const seen = await picture(display, { crop: area }, signal);
    // One colour is the terminal before it has written.
    if (colours(seen) > 1) return seen;
    await pause(20, undefined, { signal });
  }
}
