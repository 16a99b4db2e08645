/**
 * The shapes of pointers (MS-RDPBCGR §2.2.9.1.1.4.4, .5 and §2.2.9.1.2.1.11) out of their two masks. Pure.
 *
 * It refuses shapes that are too large, depths that nobody has and masks of another length than their shape needs.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import type { Violation } from '../../wire/violation.ts';
import { colors16, greys, rgba } from './colors.ts';
import { maxPointers, maxPointerSide } from './limits.ts';
import { updateCode } from './update.ts';

export interface Shape {
  readonly width: number;
  readonly height: number;
  /** The place of the shape that points. */
  readonly hotX: number;
  readonly hotY: number;
  /** Rows from the top; what is behind shows through where alpha is below 255. */
  readonly pixels: Uint32Array;
}

/** A shape and its place in the cache of pointers. */
export interface CachedShape {
  readonly index: number;
  readonly shape: Shape;
}

/** The shape in a pointer update with one of the codes `pointerColor`, `pointerNew` or `pointerLarge`. */
export function readShape(code: number, payload: Uint8Array): CachedShape | Violation {
  const reader = new LittleReader(payload);
  const depth = code === updateCode.pointerColor ? 24 : reader.u16();
  const index = reader.u16();
  const hotX = reader.u16();
  const hotY = reader.u16();
  const width = reader.u16();
  const height = reader.u16();
  const large = code === updateCode.pointerLarge;
  const andLength = large ? reader.u32() : reader.u16();
  const xorLength = large ? reader.u32() : reader.u16();
  if (index >= maxPointers) reader.fail('pointer lies past the cache');
  if (width > maxPointerSide || height > maxPointerSide) reader.fail('pointer is too large');
  if (![1, 4, 8, 16, 24, 32].includes(depth)) reader.fail('pointer of an unknown depth');
  // rows are padded to two bytes
  const xorRow = 2 * Math.ceil((width * depth) / 16);
  const andRow = 2 * Math.ceil(width / 16);
  if (xorLength < xorRow * height) reader.fail('mask of a pointer is too short');
  // some servers leave the other mask out where alpha says all
  if (andLength !== 0 && andLength < andRow * height) reader.fail('mask of a pointer is too short');
  const xor = reader.raw(xorLength);
  const and = reader.raw(andLength);
  if (reader.violation !== undefined) return { violation: reader.violation };
  const pixels = new Uint32Array(width * height);
  for (let y = 0; y < height; y++) {
    // rows come from the bottom, but for black and white
    const row = depth === 1 ? y : height - 1 - y;
    for (let x = 0; x < width; x++) {
      const color = colorAt(xor, row * xorRow, x, depth);
      const clear = ((and[row * andRow + (x >> 3)] ?? 0) & (0x80 >> (x & 7))) !== 0;
      pixels[y * width + x] = clear ? behind(color, x, y) : color;
    }
  }
  return { index, shape: { width, height, hotX, hotY, pixels } };
}

const black = rgba(0, 0, 0);
const white = rgba(255, 255, 255);

/** A pixel that shows what is behind: as it is where the mask is black, else inverted, which a chequer stands for. */
function behind(color: number, x: number, y: number): number {
  if (color === black) return 0;
  if (color !== white) return color;
  return ((x + y) & 1) === 0 ? white : black;
}

function colorAt(bytes: Uint8Array, row: number, x: number, depth: number): number {
  const at = (index: number): number => bytes[row + index] ?? 0;
  switch (depth) {
    case 1:
      return (at(x >> 3) & (0x80 >> (x & 7))) === 0 ? black : white;
    case 4: {
      const nibble = (x & 1) === 0 ? at(x >> 1) >> 4 : at(x >> 1) & 15;
      return greys[17 * nibble] ?? 0;
    }
    case 8:
      return greys[at(x)] ?? 0;
    case 16:
      return colors16[at(2 * x) | (at(2 * x + 1) << 8)] ?? 0;
    case 24:
      return rgba(at(3 * x + 2), at(3 * x + 1), at(3 * x));
    default:
      return rgba(at(4 * x + 2), at(4 * x + 1), at(4 * x), at(4 * x + 3));
  }
}
