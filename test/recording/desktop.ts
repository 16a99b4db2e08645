/** Recordings of a desktop for tests: a screen that is drawn by real updates, and what it must look like. */
import { openScreen, type Screen } from '../../src/protocol/rdp/bitmap/bitmap.ts';
import { isViolation } from '../../src/protocol/wire/violation.ts';
import type { Recorder } from '../../src/recording/recorder.ts';
import { bitmapUpdate } from '../protocol/rdp/bitmap/judged.ts';

export interface Desktop {
  /** Records the desktop's size, and goes on with a black screen. */
  resize(width: number, height: number, at: number): void;
  /** Draws a rectangle of one colour (24 bits) and records the update. */
  box(left: number, top: number, width: number, height: number, color: number, at: number): void;
  /** Records another event that changes the pointer. */
  point(x: number, y: number, at: number): void;
  /** The screen now, with its pointer. */
  seen(): Uint8Array;
}

/** A desktop that is recorded; times are seconds since the start. */
export function recordDesktop(recorder: Recorder, at: (seconds: number) => number): Desktop {
  let screen: Screen | undefined;
  return {
    resize(width, height, seconds) {
      recorder.record({ kind: 'desktop', width, height, depth: 24 }, 0, at(seconds));
      const opened = openScreen(width, height);
      if (isViolation(opened)) throw new Error(opened.violation);
      screen = opened;
    },
    box(left, top, width, height, color, seconds) {
      const row = 4 * Math.ceil((3 * width) / 4);
      const data = new Uint8Array(row * height);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) data.set([color & 255, (color >> 8) & 255, color >> 16], y * row + 3 * x);
      const payload = bitmapUpdate({ left, top, width, height, depth: 24, data, compressed: false });
      recorder.record({ kind: 'picture', code: 1, payload }, 0, at(seconds));
      screen?.apply({ code: 1, payload });
    },
    point(x, y, seconds) {
      recorder.record({ kind: 'mouse', extended: false, flags: 0x800, x, y }, 0, at(seconds));
      screen?.pointTo(x, y);
    },
    seen: () => screen?.withPointer() ?? new Uint8Array(),
  };
}
