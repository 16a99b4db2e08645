/**
 * Interleaved run-length coding of bitmaps with 8, 15, 16 or 24 bits a pixel (MS-RDPBCGR §2.2.9.1.1.3.1.2.4 and
 * §3.1.9). Pure. Pixels come out as numbers in the bitmap's own depth, in the order sent (the bottom row first); colours
 * are made by whoever draws.
 *
 * It refuses orders that mean nothing, and a bitmap that is not filled exactly: neither a run past its end nor bytes
 * that end before it. Nothing past `source` is read and nothing past `width * height` pixels is written.
 */
import type { Violation } from '../../wire/violation.ts';

export type InterleavedDepth = 8 | 15 | 16 | 24;

const order = {
  background: 0,
  foreground: 1,
  mask: 2,
  color: 3,
  image: 4,
  setForeground: 6,
  setMask: 7,
  dithered: 8,
  mask3: 9,
  mask5: 10,
  white: 13,
  black: 14,
} as const;

/** Which order the first byte of an order begins: high bits decide (§2.2.9.1.1.3.1.2.4). 15 is none. */
const orders: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0xf0) return byte === 0xf5 || byte === 0xfb || byte === 0xfc ? 15 : byte & 15;
  if (byte >= 0xc0) return [order.setForeground, order.setMask, order.dithered][(byte >> 4) - 12] ?? 15;
  return byte >> 5 > 4 ? 15 : byte >> 5;
});

/** Fills the first `width * height` places of `out`. What they hold after a violation is of no use. */
export function decodeInterleaved(
  source: Uint8Array,
  width: number,
  height: number,
  depth: InterleavedDepth,
  out: Uint32Array,
): Violation | undefined {
  const pixelBytes = depth === 8 ? 1 : depth === 24 ? 3 : 2;
  const white = 2 ** depth - 1;
  const total = width * height;
  const end = source.length;
  let foreground = white;
  let insert = false;
  let at = 0;
  let from = 0;

  while (from < end) {
    const first = source[from++] as number;
    const kind = orders[first] as number;

    // -- how many pixels --------------------------------------------------------------------------------------------
    let run: number;
    if (first >= 0xf9) run = kind >= order.white ? 1 : 8;
    else if (first >= 0xf0) {
      if (end - from < 2) return cutOff;
      run = (source[from] as number) | ((source[from + 1] as number) << 8);
      from += 2;
    } else {
      const masked = kind === order.mask || kind === order.setMask;
      const short = first >= 0xc0 ? first & 15 : first & 31;
      if (short !== 0) run = masked ? 8 * short : short;
      else {
        if (from === end) return cutOff;
        run = (source[from++] as number) + (masked ? 1 : first >= 0xc0 ? 16 : 32);
      }
    }
    const pixels = kind === order.dithered ? 2 * run : run;
    if (pixels > total - at) return overrun;

    // -- pixels that stand before the run ---------------------------------------------------------------------------
    let color = 0;
    let second = 0;
    if (kind === order.setForeground || kind === order.setMask || kind === order.color || kind === order.dithered) {
      const count = kind === order.dithered ? 2 : 1;
      if (end - from < count * pixelBytes) return cutOff;
      color = pixelAt(source, from, pixelBytes);
      from += pixelBytes;
      if (count === 2) {
        second = pixelAt(source, from, pixelBytes);
        from += pixelBytes;
      }
      if (kind < order.dithered && kind !== order.color) foreground = color;
    }

    // -- the run ----------------------------------------------------------------------------------------------------
    const until = at + pixels;
    const above = at >= width;
    switch (kind) {
      case order.background:
        // two of them in succession within a row, or below the first: the other colour stood between
        if (insert && run > 0) {
          out[at] = above ? (out[at - width] as number) ^ foreground : foreground;
          at++;
        }
        if (above) for (; at < until; at++) out[at] = out[at - width] as number;
        else for (; at < until; at++) out[at] = 0;
        break;
      case order.foreground:
      case order.setForeground:
        if (above) for (; at < until; at++) out[at] = (out[at - width] as number) ^ foreground;
        else for (; at < until; at++) out[at] = foreground;
        break;
      case order.color:
        for (; at < until; at++) out[at] = color;
        break;
      case order.dithered:
        for (; at < until; at += 2) {
          out[at] = color;
          out[at + 1] = second;
        }
        break;
      case order.image:
        if (end - from < run * pixelBytes) return cutOff;
        for (; at < until; at++, from += pixelBytes) out[at] = pixelAt(source, from, pixelBytes);
        break;
      case order.mask:
      case order.setMask:
        if (end - from < (run + 7) >> 3) return cutOff;
        while (at < until) {
          const bits = source[from++] as number;
          at = masked(out, at, Math.min(8, until - at), bits, foreground, above ? width : 0);
        }
        break;
      case order.mask3:
      case order.mask5:
        at = masked(out, at, 8, kind === order.mask3 ? 3 : 5, foreground, above ? width : 0);
        break;
      case order.white:
      case order.black:
        out[at++] = kind === order.white ? white : 0;
        break;
      default:
        return { violation: 'unknown order in a bitmap' };
    }
    // the first row knows of no row above, and its last background does not reach into the second
    insert = kind === order.background && (above || at < width);
  }
  return at === total ? undefined : { violation: 'bitmap ends early' };
}

const cutOff: Violation = { violation: 'order in a bitmap is cut off' };
const overrun: Violation = { violation: 'run goes past the end of its bitmap' };

function pixelAt(source: Uint8Array, at: number, bytes: number): number {
  let pixel = source[at] as number;
  if (bytes > 1) pixel |= (source[at + 1] as number) << 8;
  if (bytes > 2) pixel |= (source[at + 2] as number) << 16;
  return pixel;
}

/** Pixels of a mask, low bit first: the foreground where a bit is set. `above` is the distance to the row above, or 0. */
function masked(
  out: Uint32Array,
  from: number,
  count: number,
  bits: number,
  foreground: number,
  above: number,
): number {
  for (let bit = 0; bit < count; bit++) {
    const under = above === 0 ? 0 : (out[from + bit - above] as number);
    out[from + bit] = ((bits >> bit) & 1) === 1 ? under ^ foreground : under;
  }
  return from + count;
}
