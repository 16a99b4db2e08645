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
import { arrow, putShape } from './put-pointer.ts';
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
  /** All that later updates build upon, as its own memory: for a key frame, see snapshot.ts. */
  readonly state: ScreenState;
}

/** A screen between two updates. */
export interface ScreenState {
  readonly canvas: Canvas;
  readonly palette: Uint32Array;
  /** The cache of pointers. */
  readonly shapes: ReadonlyMap<number, Shape>;
  /** The place in the cache of the pointer that is shown, or another one that has none. */
  readonly shown: number | 'arrow' | 'none';
  readonly x: number;
  readonly y: number;
}

/** Opens a black screen, or says what is wrong with its size. */
export function openScreen(width: number, height: number): Screen | Violation {
  const screen = new PixelScreen();
  return screen.resize(width, height) ?? screen;
}

/** A screen that goes on from a state, which it takes over. */
export function continueScreen(state: ScreenState): Screen {
  return new PixelScreen(state);
}

/** Lives as long as its session's picture: memory, palette and pointers. */
class PixelScreen implements Screen {
  #canvas: Canvas = { width: 0, height: 0, pixels: new Uint32Array() };
  #palette = greys;
  readonly #scratch: Scratch = { pixels: new Uint32Array(), planes: new Uint8Array() };
  readonly #shapes = new Map<number, Shape>();
  #shapePixels = 0;
  #shown: ScreenState['shown'] = 'arrow';
  #x = 0;
  #y = 0;

  constructor(state?: ScreenState) {
    if (state === undefined) return;
    this.#canvas = state.canvas;
    this.#palette = state.palette;
    for (const [index, shape] of state.shapes) this.#keep(index, shape);
    this.#shown = state.shown;
    this.#x = state.x;
    this.#y = state.y;
  }

  get state(): ScreenState {
    return {
      canvas: this.#canvas,
      palette: this.#palette,
      shapes: this.#shapes,
      shown: this.#shown,
      x: this.#x,
      y: this.#y,
    };
  }

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
        this.#shown = 'none';
        return [];
      case updateCode.pointerDefault:
        this.#shown = 'arrow';
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
    const shape = typeof this.#shown === 'number' ? this.#shapes.get(this.#shown) : arrow;
    if (this.#shown !== 'none' && shape !== undefined) putShape({ ...this.#canvas, pixels }, shape, this.#x, this.#y);
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
    this.#keep(cached.index, cached.shape);
    this.#shown = cached.index;
    return [];
  }

  #keep(index: number, shape: Shape): void {
    this.#shapePixels += shape.pixels.length - (this.#shapes.get(index)?.pixels.length ?? 0);
    this.#shapes.set(index, shape);
  }

  #cached(payload: Uint8Array): readonly Dirty[] | Violation {
    const reader = new LittleReader(payload);
    const index = reader.u16();
    if (reader.violation !== undefined) return { violation: reader.violation };
    if (!this.#shapes.has(index)) return { violation: 'pointer is not in the cache' };
    this.#shown = index;
    return [];
  }
}
