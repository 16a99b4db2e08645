/**
 * Planar coding of bitmaps with 32 bits a pixel (MS-RDPEGDI §2.2.2.5.1 and §3.1.9): one plane of bytes for each colour,
 * as they are or run-length coded row by row, rows below the first as differences to the row above. Pure. Alpha is read
 * over: a desktop is opaque.
 *
 * It refuses colour loss and subsampling (the gate never lets a client ask for them), rows that are not filled exactly,
 * and bytes left over. Nothing past `source` is read, nothing past `width * height` pixels written.
 */
import type { Violation } from '../../wire/violation.ts';

const noAlpha = 0x20;
const runs = 0x10;
const lossy = 0x0f;

/** Three planes of a bitmap, red, green and blue, one after another in one array. */
export type Planes = Uint8Array;

/** Fills the first `3 * width * height` bytes of `planes`: the planes in the order sent (the bottom row first). */
export function decodePlanar(source: Uint8Array, width: number, height: number, planes: Planes): Violation | undefined {
  const header = source[0];
  if (header === undefined) return { violation: 'planar bitmap is empty' };
  if ((header & 0xc0) !== 0) return { violation: 'unknown bits in a planar bitmap' };
  if ((header & lossy) !== 0) return { violation: 'planar bitmap with colour loss' };
  const size = width * height;
  const alpha = (header & noAlpha) === 0;
  if ((header & runs) === 0) {
    const skipped = 1 + (alpha ? size : 0);
    // one byte of padding may follow
    const left = source.length - skipped - 3 * size;
    if (left !== 0 && left !== 1) return { violation: 'planar bitmap has another length than its planes' };
    planes.set(source.subarray(skipped, skipped + 3 * size));
    return undefined;
  }
  let from = 1;
  if (alpha) from = skipPlane(source, from, width, height);
  for (let plane = 0; plane < 3 && from >= 0; plane++) {
    from = decodePlane(source, from, width, height, planes, plane * size);
  }
  if (from < 0) return { violation: 'plane of a bitmap is not filled exactly' };
  return from === source.length ? undefined : { violation: 'bytes follow the planes of a bitmap' };
}

/** Decodes one plane; where the next one begins, or -1. */
function decodePlane(
  source: Uint8Array,
  from: number,
  width: number,
  height: number,
  out: Uint8Array,
  start: number,
): number {
  const end = source.length;
  let at = start;
  for (let row = 0; row < height; row++) {
    const until = at + width;
    let value = 0;
    while (at < until) {
      if (from >= end) return -1;
      const control = source[from++] as number;
      let run = control & 15;
      let raw = control >> 4;
      if (run === 1 || run === 2) {
        run = raw + 16 * run;
        raw = 0;
      }
      if (raw + run > until - at || raw > end - from) return -1;
      if (row === 0) {
        for (const stop = at + raw; at < stop; at++) {
          value = source[from++] as number;
          out[at] = value;
        }
        for (const stop = at + run; at < stop; at++) out[at] = value;
        continue;
      }
      for (const stop = at + raw; at < stop; at++) {
        const delta = source[from++] as number;
        value = (delta >> 1) ^ -(delta & 1);
        out[at] = (out[at - width] as number) + value;
      }
      const stop = at + run;
      if (value !== 0) for (; at < stop; at++) out[at] = (out[at - width] as number) + value;
      else for (; at < stop; at++) out[at] = out[at - width] as number;
    }
  }
  return from;
}

/** Reads over one plane; where the next one begins, or -1. */
function skipPlane(source: Uint8Array, start: number, width: number, height: number): number {
  let from = start;
  for (let row = 0; row < height; row++) {
    for (let at = 0; at < width; ) {
      const control = source[from++];
      if (control === undefined) return -1;
      const run = control & 15;
      const raw = control >> 4;
      if (run === 1 || run === 2) at += raw + 16 * run;
      else {
        at += raw + run;
        from += raw;
      }
      if (at > width) return -1;
    }
  }
  return from > source.length ? -1 : from;
}
