/** Cases of test/peers/freerdp/judge.py against our decoders: what differs from what FreeRDP's library made of them. */
import { isViolation } from '../../../../src/protocol/wire/violation.ts';
import { openBulk } from '../../../../src/protocol/rdp/bitmap/bulk.ts';
import { colors15, colors16 } from '../../../../src/protocol/rdp/bitmap/colors.ts';
import { readShape } from '../../../../src/protocol/rdp/bitmap/pointer.ts';
import { openScreen, type Screen } from '../../../../src/protocol/rdp/bitmap/screen.ts';
import { updateCode } from '../../../../src/protocol/rdp/bitmap/update.ts';
import { LittleWriter } from '../../../../src/protocol/wire/little-writer.ts';

export type JudgedCase =
  | {
      readonly kind: 'bitmap';
      readonly depth: number;
      readonly width: number;
      readonly height: number;
      readonly data: string;
      readonly pixels: string;
      readonly palette?: string;
    }
  | {
      readonly kind: 'pointer';
      readonly depth: number;
      readonly width: number;
      readonly height: number;
      readonly xor: string;
      readonly and_: string;
      readonly pixels: string;
    }
  | {
      readonly kind: 'bulk';
      readonly messages: readonly { readonly flags: number; readonly data: string; readonly plain: string }[];
    };

/** Bytes of base64, as an array that is no Buffer. */
export function unpacked(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'));
}

export interface BitmapFields {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly data: Uint8Array;
  readonly compressed?: boolean;
  readonly left?: number;
  readonly top?: number;
  readonly right?: number;
  readonly bottom?: number;
}

/** A bitmap update of these rectangles, as in MS-RDPBCGR §2.2.9.1.1.3.1.2. */
export function bitmapUpdate(...rectangles: readonly BitmapFields[]): Uint8Array {
  const out = new LittleWriter().u16(1).u16(rectangles.length);
  for (const { width, height, depth, data, compressed = true, left = 0, top = 0, right, bottom } of rectangles) {
    out.u16(left).u16(top);
    out.u16(right ?? left + width - 1).u16(bottom ?? top + height - 1);
    out.u16(width).u16(height).u16(depth);
    out
      .u16(compressed ? 0x401 : 0)
      .u16(data.length)
      .raw(data);
  }
  return out.finish();
}

export function paletteUpdate(colors: Uint8Array): Uint8Array {
  return new LittleWriter().u16(2).u16(0).u32(256).raw(colors).finish();
}

export function screenOf(width: number, height: number): Screen {
  const screen = openScreen(width, height);
  if (isViolation(screen)) throw new Error(screen.violation);
  return screen;
}

/** What is different, in words, or undefined. */
export function difference(judged: JudgedCase): string | undefined {
  switch (judged.kind) {
    case 'bitmap':
      return ofBitmap(judged);
    case 'pointer':
      return ofPointer(judged);
    case 'bulk':
      return ofBulk(judged);
    default:
      return judged satisfies never;
  }
}

function ofBitmap(judged: JudgedCase & { kind: 'bitmap' }): string | undefined {
  const { width, height, depth } = judged;
  const screen = screenOf(width, height);
  if (judged.palette !== undefined)
    screen.apply({ code: updateCode.palette, payload: paletteUpdate(unpacked(judged.palette)) });
  const payload = bitmapUpdate({ width, height, depth, data: unpacked(judged.data) });
  const drawn = screen.apply({ code: updateCode.bitmap, payload });
  if (isViolation(drawn)) return drawn.violation;
  const theirs = unpacked(judged.pixels);
  if (depth !== 15 && depth !== 16) return pixelsDiffer(screen.pixels, theirs, false);
  const own = new Uint16Array(theirs.buffer);
  const expanded = Uint32Array.from(own, (pixel) => (depth === 15 ? colors15 : colors16)[pixel] ?? 0);
  return pixelsDiffer(screen.pixels, new Uint8Array(expanded.buffer), false);
}

function ofPointer({ depth, width, height, xor, and_, pixels }: JudgedCase & { kind: 'pointer' }): string | undefined {
  const masks = [unpacked(xor), unpacked(and_)] as const;
  const out = new LittleWriter().u16(depth).u16(3).u16(1).u16(2).u16(width).u16(height);
  const payload = out.u16(masks[1].length).u16(masks[0].length).raw(masks[0]).raw(masks[1]).finish();
  const read = readShape(updateCode.pointerNew, payload);
  if (isViolation(read)) return read.violation;
  return pixelsDiffer(new Uint8Array(read.shape.pixels.buffer), unpacked(pixels), true);
}

function ofBulk({ messages }: JudgedCase & { kind: 'bulk' }): string | undefined {
  const bulk = openBulk();
  for (const [index, { flags, data, plain }] of messages.entries()) {
    const opened = bulk.open(flags, unpacked(data));
    if (isViolation(opened)) return `message ${index}: ${opened.violation}`;
    if (Buffer.compare(opened, unpacked(plain)) !== 0) return `message ${index} is another`;
  }
  return undefined;
}

/** How many pixels differ; alpha counts only if it means something. */
function pixelsDiffer(ours: Uint8Array, theirs: Uint8Array, alpha: boolean): string | undefined {
  let differing = 0;
  for (let at = 0; at < theirs.length; at += 4) {
    const same = [0, 1, 2, 3].every((byte) => (byte === 3 && !alpha) || ours[at + byte] === theirs[at + byte]);
    if (!same) differing++;
  }
  return differing === 0 ? undefined : `${differing} of ${theirs.length / 4} pixels differ`;
}
