/**
 * The rectangles of a bitmap update (TS_UPDATE_BITMAP_DATA, MS-RDPBCGR §2.2.9.1.1.3.1.2), and the colours of a palette
 * update (§2.2.9.1.1.3.1.1). Pure.
 *
 * It refuses depths that nobody has, rectangles that end before they begin and bitmaps that are too large. What their
 * data say is for the decoders.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import type { Violation } from '../../wire/violation.ts';
import { maxSide, maxUpdatePixels } from './limits.ts';

/** A bitmap and where it goes. The bitmap may be larger than its place: what does not fit is padding. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  /** Of the place, in pixels. */
  readonly across: number;
  readonly down: number;
  /** Of the bitmap. */
  readonly width: number;
  readonly height: number;
  readonly depth: 8 | 15 | 16 | 24 | 32;
  readonly compressed: boolean;
  readonly data: Uint8Array;
}

const depths: readonly number[] = [8, 15, 16, 24, 32];
const isCompressed = 0x0001;
const withoutHeader = 0x0400;

/** All rectangles of an update, in the order in which they are drawn; data are views. */
export function readRectangles(payload: Uint8Array): readonly Rectangle[] | Violation {
  const reader = new LittleReader(payload);
  if (reader.u16() !== 1) reader.fail('not a bitmap update');
  const count = reader.u16();
  const rectangles: Rectangle[] = [];
  let pixels = 0;
  for (let index = 0; index < count && reader.violation === undefined; index++) {
    const left = reader.u16();
    const top = reader.u16();
    const across = reader.u16() - left + 1;
    const down = reader.u16() - top + 1;
    const width = reader.u16();
    const height = reader.u16();
    const depth = reader.u16();
    const flags = reader.u16();
    const length = reader.u16();
    const compressed = (flags & isCompressed) !== 0;
    const header = compressed && (flags & withoutHeader) === 0 ? 8 : 0;
    if (length < header) reader.fail('bitmap is shorter than its header');
    reader.skip(header);
    const data = reader.raw(length - header);
    pixels += width * height;
    if (across < 1 || down < 1) reader.fail('rectangle ends before it begins');
    if (width === 0 || height === 0 || width > maxSide || height > maxSide) reader.fail('bitmap of an impossible size');
    if (pixels > maxUpdatePixels) reader.fail('update has too many pixels');
    if (!depths.includes(depth)) reader.fail('bitmap of an unknown depth');
    rectangles.push({
      left,
      top,
      across,
      down,
      width,
      height,
      depth: depth as Rectangle['depth'],
      compressed,
      data,
    });
  }
  return reader.violation === undefined ? rectangles : { violation: reader.violation };
}

/** The 256 colours of a palette update, as pixels of a screen. */
export function readPalette(payload: Uint8Array): Uint32Array | Violation {
  const reader = new LittleReader(payload);
  if (reader.u16() !== 2) reader.fail('not a palette update');
  reader.skip(2);
  if (reader.u32() !== 256) reader.fail('palette has not 256 colours');
  const colors = new Uint32Array(256);
  for (let index = 0; index < 256; index++) {
    const red = reader.u8();
    const green = reader.u8();
    colors[index] = (0xff000000 | (reader.u8() << 16) | (green << 8) | red) >>> 0;
  }
  return reader.violation === undefined ? colors : { violation: reader.violation };
}
