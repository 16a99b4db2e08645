/**
 * What a person does in front of a screen: look, point, click, type, copy and paste. It works on a display of the lab's
 * own and, inside a machine, on the display of a session there. Whoever types a secret types it through standard input.
 */
import type { Ran, RunOptions } from '../run.ts';
import { type Area, crop, parseXwd, type Picture } from './picture.ts';

export interface Screen {
  /** As DISPLAY says it. */
  readonly name: string;
  /** Runs a program on this screen to its end; throws if it does not end with 0. */
  run(argv: readonly string[], options?: RunOptions, signal?: AbortSignal): Promise<Ran>;
}

/** A picture of the whole screen, or of one window, without the pointer. */
export async function picture(
  screen: Screen,
  what: { readonly crop?: Area; readonly window?: string } = {},
  signal?: AbortSignal,
): Promise<Picture> {
  const target = what.window === undefined ? ['-root'] : ['-id', what.window];
  const whole = parseXwd((await screen.run(['xwd', '-silent', ...target], {}, signal)).output);
  return what.crop === undefined ? whole : crop(whole, what.crop);
}

/** Windows that are shown and whose name matches, as numbers that `picture` takes. */
export async function windows(screen: Screen, name: RegExp, signal?: AbortSignal): Promise<readonly string[]> {
  const tree = (await screen.run(['xwininfo', '-root', '-tree'], {}, signal)).stdout;
  return [...tree.matchAll(/^\s+(0x[0-9a-f]+) "(.*?)": /gm)]
    .filter(([, , title = '']) => name.test(title))
    .map(([, id = '']) => id);
}

export async function moveTo(screen: Screen, x: number, y: number): Promise<void> {
  await screen.run(['xdotool', 'mousemove', String(x), String(y)]);
}

/** Moves the pointer there and clicks; button 1 is the left one, 4 and 5 turn the wheel. */
export async function click(screen: Screen, x: number, y: number, button = 1): Promise<void> {
  await screen.run(['xdotool', 'mousemove', String(x), String(y), 'click', String(button)]);
}

/** Types into whatever has the keyboard. A line feed is the return key. */
export async function type(screen: Screen, text: string): Promise<void> {
  for (const part of text.split(/(\n)/).filter((one) => one !== '')) {
    if (part === '\n') await press(screen, 'Return');
    else await screen.run(['xdotool', 'type', '--delay', '15', '--file', '-'], { input: part });
  }
}

/** Presses one key or chord, as `Return` or `ctrl+v`. */
export async function press(screen: Screen, key: string): Promise<void> {
  await screen.run(['xdotool', 'key', key]);
}

/** The text that an application would paste; throws if nobody offers one. */
export async function readClipboard(screen: Screen, signal?: AbortSignal): Promise<string> {
  const target = ['-target', 'UTF8_STRING'];
  return (await screen.run(['xclip', '-selection', 'clipboard', '-out', ...target], {}, signal)).stdout;
}

/** Offers a text until somebody else copies, or the screen is gone. */
export async function writeClipboard(screen: Screen, text: string): Promise<void> {
  // xclip stays to hand the text out; it must not hold our pipes meanwhile.
  const script = 'exec xclip -selection clipboard -in >/dev/null 2>&1';
  await screen.run(['sh', '-c', script], { input: text });
}
