/**
 * Reads pictures as PNG (ISO 15948), by nothing of the product's: what it exports is judged with this. Eight bits each of
 * red, green, blue and perhaps alpha, not interlaced; anything else throws.
 */
import { inflateSync } from 'node:zlib';
import type { Picture } from './picture.ts';

const signature = '89504e470d0a1a0a';

export function parsePng(file: Buffer): Picture {
  if (file.subarray(0, 8).toString('hex') !== signature) throw new Error('no PNG');
  let head: Buffer | undefined;
  const packed: Buffer[] = [];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    const data = file.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') head = data;
    if (type === 'IDAT') packed.push(data);
    at += 12 + length;
  }
  if (head === undefined) throw new Error('a PNG without a head');
  const [width, height] = [head.readUInt32BE(0), head.readUInt32BE(4)];
  const colour = head.subarray(8).toString('hex');
  if (colour !== '0802000000' && colour !== '0806000000') throw new Error(`a PNG with colours of kind ${colour}`);
  return { width, height, rgba: pixels(inflateSync(Buffer.concat(packed)), width, height, head[9] === 6 ? 4 : 3) };
}

/** Takes the filter off each row (§9.2), which builds upon the pixel to the left and the row above. */
function pixels(rows: Buffer, width: number, height: number, size: 3 | 4): Uint8Array {
  const rgba = new Uint8Array(width * height * 4).fill(255);
  const length = width * size;
  let above = new Uint8Array(length);
  for (let y = 0; y < height; y++) {
    const from = y * (length + 1);
    const filter = rows[from] ?? 0;
    const row = new Uint8Array(rows.subarray(from + 1, from + 1 + length));
    for (let i = 0; i < length; i++) {
      const left = i < size ? 0 : (row[i - size] ?? 0);
      const up = above[i] ?? 0;
      const corner = i < size ? 0 : (above[i - size] ?? 0);
      row[i] = (row[i] ?? 0) + predicted(filter, left, up, corner);
    }
    for (let x = 0; x < width; x++) rgba.set(row.subarray(x * size, (x + 1) * size), (y * width + x) * 4);
    above = row;
  }
  return rgba;
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  switch (filter) {
    case 0:
      return 0;
    case 1:
      return left;
    case 2:
      return up;
    case 3:
      return (left + up) >> 1;
    case 4: {
      const guess = left + up - corner;
      const [l, u, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
      return l <= u && l <= c ? left : u <= c ? up : corner;
    }
    default:
      throw new Error(`a row of a PNG with filter ${filter}`);
  }
}
