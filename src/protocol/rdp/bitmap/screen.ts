/**
 * The screen of a session: what a client would show after the updates that it was sent. Pure. Bitmaps, palettes and
 * pointers are drawn; what else a server may send (orders, surface commands) the gate has kept it from sending, and here
 * it is a violation.
 *
 * After a violation the screen is whole, without what was wrong: whoever replays may note it and go on.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import { isViolation, type Violation } from '../../wire/violation.ts';
import { greys } from './colors.ts';
import { type Canvas, drawRectangle, type Scratch } from './draw.ts';
import { maxPixels, maxPointerPixels, maxSide } from './limits.ts';
import { readShape, type Shape } from './pointer.ts';
import { readPalette, readRectangles } from './rectangles.ts';
import { type Update, updateCode } from './update.ts';

/** A part of the screen that was drawn anew, clipped to it. */
export interface Dirty {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Screen {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue, alpha of each pixel, rows from the top; the screen's own memory, without the pointer. */
  readonly pixels: Uint8Array;
  /** What was drawn anew: nothing for an update of the pointer. */
  apply(update: Update): readonly Dirty[] | Violation;
  /** Another desktop: black, and of this size. The pointer stays. */
  resize(width: number, height: number): Violation | undefined;
  /** Where the client says that the mouse is. */
  pointTo(x: number, y: number): void;
  /** A copy of the pixels with the pointer on them. */
  withPointer(): Uint8Array;
}

/** Opens a black screen, or says what is wrong with its size. */
export function openScreen(width: number, height: number): Screen | Violation {
  const screen = new PixelScreen();
  return screen.resize(width, height) ?? screen;
}

/** Lives as long as its session's picture: memory, palette and pointers. */
class PixelScreen implements Screen {
  #canvas: Canvas = { width: 0, height: 0, pixels: new Uint32Array() };
  #palette = greys;
  readonly #scratch: Scratch = { pixels: new Uint32Array(), planes: new Uint8Array() };
  readonly #shapes = new Map<number, Shape>();
  #shapePixels = 0;
  #shape: Shape | undefined = arrow;
  #x = 0;
  #y = 0;

  get width(): number {
    return this.#canvas.width;
  }

  get height(): number {
    return this.#canvas.height;
  }

  get pixels(): Uint8Array {
    return new Uint8Array(this.#canvas.pixels.buffer);
  }

  resize(width: number, height: number): Violation | undefined {
    const sides = Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0;
    if (!sides || width > maxSide || height > maxSide || width * height > maxPixels)
      return { violation: `desktop of an impossible size: ${width}x${height}` };
    this.#canvas = { width, height, pixels: new Uint32Array(width * height).fill(0xff000000) };
    return undefined;
  }

  apply({ code, payload }: Update): readonly Dirty[] | Violation {
    switch (code) {
      case updateCode.bitmap:
        return this.#bitmap(payload);
      case updateCode.palette: {
        const palette = readPalette(payload);
        if (isViolation(palette)) return palette;
        this.#palette = palette;
        return [];
      }
      case updateCode.synchronize:
        return [];
      case updateCode.pointerNone:
        this.#shape = undefined;
        return [];
      case updateCode.pointerDefault:
        this.#shape = arrow;
        return [];
      case updateCode.pointerPosition: {
        const reader = new LittleReader(payload);
        const [x, y] = [reader.u16(), reader.u16()];
        if (reader.violation !== undefined) return { violation: reader.violation };
        this.pointTo(x, y);
        return [];
      }
      case updateCode.pointerCached:
        return this.#cached(payload);
      case updateCode.pointerColor:
      case updateCode.pointerNew:
      case updateCode.pointerLarge:
        return this.#newShape(code, payload);
      default:
        return { violation: `update of a kind that is not drawn: ${code}` };
    }
  }

  pointTo(x: number, y: number): void {
    this.#x = x;
    this.#y = y;
  }

  withPointer(): Uint8Array {
    const pixels = this.#canvas.pixels.slice();
    if (this.#shape !== undefined) putShape({ ...this.#canvas, pixels }, this.#shape, this.#x, this.#y);
    return new Uint8Array(pixels.buffer);
  }

  #bitmap(payload: Uint8Array): readonly Dirty[] | Violation {
    const rectangles = readRectangles(payload);
    if (isViolation(rectangles)) return rectangles;
    const { width, height } = this.#canvas;
    const dirty: Dirty[] = [];
    let wrong: Violation | undefined;
    for (const rectangle of rectangles) {
      const { left, top } = rectangle;
      if (left >= width || top >= height) continue;
      const violation = drawRectangle(this.#canvas, rectangle, this.#palette, this.#scratch);
      wrong ??= violation;
      if (violation !== undefined) continue;
      const across = Math.min(rectangle.across, rectangle.width, width - left);
      dirty.push({ left, top, width: across, height: Math.min(rectangle.down, rectangle.height, height - top) });
    }
    return wrong ?? dirty;
  }

  #newShape(code: number, payload: Uint8Array): readonly Dirty[] | Violation {
    const cached = readShape(code, payload);
    if (isViolation(cached)) return cached;
    const former = this.#shapes.get(cached.index)?.pixels.length ?? 0;
    if (this.#shapePixels + cached.shape.pixels.length - former > maxPointerPixels)
      return { violation: 'too many large pointers' };
    this.#shapePixels += cached.shape.pixels.length - former;
    this.#shapes.set(cached.index, cached.shape);
    this.#shape = cached.shape;
    return [];
  }

  #cached(payload: Uint8Array): readonly Dirty[] | Violation {
    const reader = new LittleReader(payload);
    const shape = this.#shapes.get(reader.u16());
    if (reader.violation !== undefined) return { violation: reader.violation };
    if (shape === undefined) return { violation: 'pointer is not in the cache' };
    this.#shape = shape;
    return [];
  }
}

/** What clients show as their own pointer: an arrow, black with a white rim. */
const arrow: Shape = drawn([
  'O           ',
  'OO          ',
  'O#O         ',
  'O##O        ',
  'O###O       ',
  'O####O      ',
  'O#####O     ',
  'O######O    ',
  'O#######O   ',
  'O########O  ',
  'O#####OOOOO ',
  'O##O##O     ',
  'O#O O##O    ',
  'OO  O##O    ',
  'O    O##O   ',
  '     O##O   ',
  '      OO    ',
]);

function drawn(rows: readonly string[]): Shape {
  const width = rows[0]?.length ?? 0;
  const pixels = Uint32Array.from(rows.join(''), (mark) => (mark === 'O' ? 0xffffffff : mark === '#' ? 0xff000000 : 0));
  return { width, height: rows.length, hotX: 0, hotY: 0, pixels };
}

/** Puts a shape where it points to (x, y); what is past the edges is left out. */
function putShape(canvas: Canvas, { width, height, hotX, hotY, pixels }: Shape, x: number, y: number): void {
  for (let row = 0; row < height; row++) {
    const to = y - hotY + row;
    if (to < 0 || to >= canvas.height) continue;
    for (let column = 0; column < width; column++) {
      const at = x - hotX + column;
      if (at < 0 || at >= canvas.width) continue;
      const over = pixels[row * width + column] ?? 0;
      const place = to * canvas.width + at;
      canvas.pixels[place] = blend(over, canvas.pixels[place] ?? 0);
    }
  }
}

function blend(over: number, under: number): number {
  const alpha = over >>> 24;
  if (alpha === 255) return over;
  if (alpha === 0) return under;
  let mixed = 0xff000000;
  for (let shift = 0; shift < 24; shift += 8) {
    const channel = ((over >> shift) & 255) * alpha + ((under >> shift) & 255) * (255 - alpha);
    mixed |= Math.round(channel / 255) << shift;
  }
  return mixed >>> 0;
}
