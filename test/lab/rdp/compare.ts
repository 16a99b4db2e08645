/** How alike two pictures are, pixel by pixel. It refuses to compare pictures of different sizes, except to say that they are. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Picture } from './picture.ts';

/** How many pixels differ in red, green or blue; all of them if the sizes differ. */
export function differingPixels(a: Picture, b: Picture): number {
  if (a.width !== b.width || a.height !== b.height) return Math.max(a.width * a.height, b.width * b.height);
  const [left, right] = [words(a), words(b)];
  let count = 0;
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) count++;
  return count;
}

/** Peak signal-to-noise ratio over red, green and blue, in dB: infinite for equal pictures, above 35 hard to see. */
export function psnr(a: Picture, b: Picture): number {
  if (a.width !== b.width || a.height !== b.height) throw new Error(`${size(a)} is not ${size(b)}`);
  let sum = 0;
  for (let i = 0; i < a.rgba.length; i += 4)
    for (let c = i; c < i + 3; c++) sum += ((a.rgba[c] ?? 0) - (b.rgba[c] ?? 0)) ** 2;
  return sum === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(255 ** 2 / (sum / (a.width * a.height * 3)));
}

/** How many colours a picture has; a blank screen has one. */
export function colours(picture: Picture): number {
  return new Set(words(picture)).size;
}

/**
 * Takes both pictures again and again until they are the same, and gives the one of the first; a screen that is still
 * being painted is so waited for. When the signal fires it throws and says how far they were apart.
 */
export async function untilSame(
  first: (signal: AbortSignal) => Promise<Picture>,
  second: (signal: AbortSignal) => Promise<Picture>,
  signal: AbortSignal,
): Promise<Picture> {
  let last = 'no picture was taken';
  for (;;) {
    signal.throwIfAborted();
    try {
      const [a, b] = await Promise.all([first(signal), second(signal)]);
      const apart = differingPixels(a, b);
      if (apart === 0) return a;
      last = `${apart} pixels differ, ${size(a)} and ${size(b)}`;
      await pause(50, undefined, { signal });
    } catch (error) {
      if (signal.aborted) throw new Error(`the pictures never were the same: ${last}`, { cause: error });
      throw error;
    }
  }
}

function words(picture: Picture): Uint32Array {
  return new Uint32Array(picture.rgba.buffer, picture.rgba.byteOffset, picture.width * picture.height);
}

function size(picture: Picture): string {
  return `${picture.width}x${picture.height}`;
}

/** Where `part` is in a picture, pixel by pixel: the topmost place, or undefined if it is nowhere. */
export function find(whole: Picture, part: Picture): { readonly x: number; readonly y: number } | undefined {
  const [all, wanted] = [words(whole), words(part)];
  const rowAt = (x: number, y: number, row: number): boolean => {
    for (let i = 0; i < part.width; i++)
      if (all[(y + row) * whole.width + x + i] !== wanted[row * part.width + i]) return false;
    return true;
  };
  for (let y = 0; y + part.height <= whole.height; y++)
    for (let x = 0; x + part.width <= whole.width; x++) {
      let row = 0;
      while (row < part.height && rowAt(x, y, row)) row++;
      if (row === part.height) return { x, y };
    }
  return undefined;
}
