/**
 * A screen between two updates as bytes, and back: what a key frame keeps, so that a replay need not begin at the start.
 * Pure. Little-endian: version, width, height, x, y, which pointer is shown, number of pointers (2 bytes each), 256
 * colours, the pixels, then each pointer: place, width, height, place that points (2 bytes each), pixels.
 *
 * The reader refuses another version and every size that a screen would refuse.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Violation } from '../../wire/violation.ts';
import { maxPixels, maxPointerPixels, maxPointers, maxPointerSide, maxSide } from './limits.ts';
import type { Shape } from './pointer.ts';
import { continueScreen, type Screen, type ScreenState } from './screen.ts';

const version = 1;
const shownArrow = 0xffff;
const shownNone = 0xfffe;

export function writeSnapshot(screen: Screen): Uint8Array {
  const { canvas, palette, shapes, shown, x, y } = screen.state;
  const out = new LittleWriter(4 * canvas.pixels.length + 2048);
  out.u16(version).u16(canvas.width).u16(canvas.height).u16(near(x)).u16(near(y));
  out.u16(shown === 'arrow' ? shownArrow : shown === 'none' ? shownNone : shown).u16(shapes.size);
  out.raw(bytesOf(palette)).raw(bytesOf(canvas.pixels));
  for (const [index, { width, height, hotX, hotY, pixels }] of shapes)
    out.u16(index).u16(width).u16(height).u16(hotX).u16(hotY).raw(bytesOf(pixels));
  return out.finish();
}

/** The screen that a snapshot was written of, with memory of its own. */
export function readSnapshot(bytes: Uint8Array): Screen | Violation {
  const reader = new LittleReader(bytes);
  if (reader.u16() !== version) reader.fail('snapshot of another version');
  const [width, height, x, y] = [reader.u16(), reader.u16(), reader.u16(), reader.u16()];
  const shown = reader.u16();
  const count = reader.u16();
  if (width < 1 || height < 1 || width > maxSide || height > maxSide || width * height > maxPixels)
    reader.fail('snapshot of an impossible size');
  if (count > maxPointers) reader.fail('snapshot has too many pointers');
  const palette = numbersOf(reader.raw(1024));
  const pixels = numbersOf(reader.raw(4 * width * height));
  const shapes = new Map<number, Shape>();
  let total = 0;
  for (let n = 0; n < count && reader.violation === undefined; n++) {
    const index = reader.u16();
    const [across, down, hotX, hotY] = [reader.u16(), reader.u16(), reader.u16(), reader.u16()];
    total += across * down;
    if (index >= maxPointers || across > maxPointerSide || down > maxPointerSide || total > maxPointerPixels)
      reader.fail('pointer of an impossible size');
    shapes.set(index, { width: across, height: down, hotX, hotY, pixels: numbersOf(reader.raw(4 * across * down)) });
  }
  if (reader.remaining > 0) reader.fail('bytes follow the snapshot');
  if (shown < shownNone && !shapes.has(shown)) reader.fail('pointer is not in the cache');
  if (reader.violation !== undefined) return { violation: reader.violation };
  const which: ScreenState['shown'] = shown === shownArrow ? 'arrow' : shown === shownNone ? 'none' : shown;
  return continueScreen({ canvas: { width, height, pixels }, palette, shapes, shown: which, x, y });
}

/** A place of the mouse is on no screen beyond this. */
function near(place: number): number {
  return Math.max(0, Math.min(0xffff, Math.trunc(place)));
}

function bytesOf(numbers: Uint32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

function numbersOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.slice().buffer);
}
