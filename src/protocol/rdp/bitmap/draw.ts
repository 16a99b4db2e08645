/** Drawing one rectangle of a bitmap update into the pixels of a screen. Pure. Rows are turned over, padding is left out. */
import type { Violation } from '../../wire/violation.ts';
import { colors15, colors16 } from './colors.ts';
import { decodeInterleaved } from './interleaved.ts';
import { decodePlanar } from './planar.ts';
import type { Rectangle } from './rectangles.ts';

/** Pixels with their size; rows from the top. */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;
}

/** What a rectangle is decoded into before it is drawn. Grows to the largest, and is used again for the next. */
export interface Scratch {
  pixels: Uint32Array;
  planes: Uint8Array;
}

/** Draws as much of a rectangle as lies on the canvas. After a violation nothing of it was drawn. */
export function drawRectangle(
  canvas: Canvas,
  rectangle: Rectangle,
  palette: Uint32Array,
  scratch: Scratch,
): Violation | undefined {
  const { depth, width, height, data } = rectangle;
  const size = width * height;
  if (depth === 32 && rectangle.compressed) {
    if (scratch.planes.length < 3 * size) scratch.planes = new Uint8Array(3 * size);
    const wrong = decodePlanar(data, width, height, scratch.planes);
    if (wrong === undefined) drawPlanes(canvas, rectangle, scratch.planes);
    return wrong;
  }
  if (scratch.pixels.length < size) scratch.pixels = new Uint32Array(size);
  const wrong =
    rectangle.compressed && depth !== 32
      ? decodeInterleaved(data, width, height, depth, scratch.pixels)
      : readRaw(rectangle, scratch.pixels);
  if (wrong !== undefined) return wrong;
  if (depth === 8) drawColors(canvas, rectangle, scratch.pixels, palette);
  else if (depth === 15) drawColors(canvas, rectangle, scratch.pixels, colors15);
  else if (depth === 16) drawColors(canvas, rectangle, scratch.pixels, colors16);
  else drawTrue(canvas, rectangle, scratch.pixels);
  return undefined;
}

/** A bitmap that is not compressed: rows are padded to four bytes (MS-RDPBCGR §2.2.9.1.1.3.1.2.2). */
function readRaw({ width, height, depth, data }: Rectangle, out: Uint32Array): Violation | undefined {
  const bytes = depth === 8 ? 1 : depth === 24 ? 3 : depth === 32 ? 4 : 2;
  const row = (width * bytes + 3) & ~3;
  if (data.length < row * height) return { violation: 'bitmap is shorter than its rows' };
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0, from = y * row; x < width; x++, from += bytes, at++) {
      let pixel = data[from] as number;
      if (bytes > 1) pixel |= (data[from + 1] as number) << 8;
      if (bytes > 2) pixel |= (data[from + 2] as number) << 16;
      out[at] = pixel;
    }
  }
  return undefined;
}

/** Which part of a bitmap is drawn: its columns and rows, counted from the top left. */
function visible(canvas: Canvas, { left, top, across, down, width, height }: Rectangle): readonly [number, number] {
  return [Math.min(across, width, canvas.width - left), Math.min(down, height, canvas.height - top)];
}

function drawColors(canvas: Canvas, rectangle: Rectangle, from: Uint32Array, colors: Uint32Array): void {
  const [columns, rows] = visible(canvas, rectangle);
  const { pixels } = canvas;
  for (let y = 0; y < rows; y++) {
    let source = (rectangle.height - 1 - y) * rectangle.width;
    let at = (rectangle.top + y) * canvas.width + rectangle.left;
    for (const end = at + columns; at < end; at++, source++) pixels[at] = colors[from[source] as number] as number;
  }
}

/** Pixels of 24 or 32 bits: blue is their lowest byte, red is the screen's. */
function drawTrue(canvas: Canvas, rectangle: Rectangle, from: Uint32Array): void {
  const [columns, rows] = visible(canvas, rectangle);
  const { pixels } = canvas;
  for (let y = 0; y < rows; y++) {
    let source = (rectangle.height - 1 - y) * rectangle.width;
    let at = (rectangle.top + y) * canvas.width + rectangle.left;
    for (const end = at + columns; at < end; at++, source++) {
      const color = from[source] as number;
      pixels[at] = 0xff000000 | ((color & 0xff) << 16) | (color & 0xff00) | ((color >> 16) & 0xff);
    }
  }
}

function drawPlanes(canvas: Canvas, rectangle: Rectangle, planes: Uint8Array): void {
  const [columns, rows] = visible(canvas, rectangle);
  const { pixels } = canvas;
  const size = rectangle.width * rectangle.height;
  for (let y = 0; y < rows; y++) {
    let source = (rectangle.height - 1 - y) * rectangle.width;
    let at = (rectangle.top + y) * canvas.width + rectangle.left;
    for (const end = at + columns; at < end; at++, source++) {
      pixels[at] =
        0xff000000 |
        ((planes[source + 2 * size] as number) << 16) |
        ((planes[source + size] as number) << 8) |
        (planes[source] as number);
    }
  }
}
