/** A picture as PNG (RFC 2083 / ISO 15948): 8 bits for each of red, green and blue, no interlace, no text in it. */
import { crc32, deflateSync } from 'node:zlib';
import { concat, utf8 } from '../base/bytes.ts';
import type { Picture } from './replay.ts';

const signature = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export function pngOf({ width, height, pixels }: Picture): Uint8Array {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  // 8 bits, red green blue
  header.set([8, 2, 0, 0, 0], 8);
  return concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows(width, height, pixels))),
    chunk('IEND'),
  ]);
}

/** Each row as differences to the one above (filter 2): most of a desktop does not change from row to row. */
function rows(width: number, height: number, pixels: Uint8Array): Uint8Array {
  const out = new Uint8Array(height * (1 + 3 * width));
  let at = 0;
  for (let y = 0; y < height; y++) {
    out[at++] = 2;
    for (let x = 0, from = 4 * y * width; x < width; x++, from += 4) {
      for (let color = 0; color < 3; color++) {
        const above = y === 0 ? 0 : (pixels[from + color - 4 * width] ?? 0);
        out[at++] = (pixels[from + color] ?? 0) - above;
      }
    }
  }
  return out;
}

function chunk(type: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(utf8(type), 4);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}
