/**
 * A notice as a picture: a box with lines of text in the middle of the desktop, in uncompressed bitmaps of 16 bits a
 * pixel (MS-RDPBCGR §2.2.9.1.1.3.1.2), which every client draws.
 */
import { LittleWriter } from '../../wire/little-writer.ts';
import { letterHeight, letterRow, letterWidth } from './font.ts';

const white = 0xffff;
const blue = 0x1089;
const margin = 2 * letterWidth;
const lineHeight = letterHeight + 4;
const mostColumns = 76;
const mostLines = 12;
/** Rows of one bitmap, so that a message stays below 32 KiB. */
const strip = 8;
const bitmapUpdate = 1;

/** Lines that fit a desktop of this width, broken at spaces. */
export function wrapped(paragraphs: readonly string[], width: number): string[] {
  const columns = Math.max(10, Math.min(mostColumns, Math.floor((width - 2 * margin) / letterWidth) - 2));
  const lines: string[] = [];
  for (const paragraph of paragraphs) {
    let line = '';
    for (const word of paragraph
      .split(/\s+/)
      .flatMap((long) => long.match(new RegExp(`.{1,${columns}}`, 'gu')) ?? [''])) {
      if (line !== '' && line.length + 1 + word.length > columns) {
        lines.push(line);
        line = '';
      }
      line = line === '' ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines.slice(0, mostLines);
}

/** Bodies of share data of type `update`, top to bottom. */
export function noticePicture(paragraphs: readonly string[], width: number, height: number): Uint8Array[] {
  const lines = wrapped(paragraphs, width);
  const longest = Math.max(...lines.map((line) => line.length));
  // a row takes a multiple of four bytes
  const boxWidth = Math.min((longest * letterWidth + 2 * margin + 3) & ~3, width & ~3);
  const boxHeight = Math.min(lines.length * lineHeight + 2 * margin, height);
  const left = Math.max(0, (width - boxWidth) >> 1);
  const top = Math.max(0, (height - boxHeight) >> 1);
  const bodies: Uint8Array[] = [];
  for (let y = 0; y < boxHeight; y += strip) {
    const count = Math.min(strip, boxHeight - y);
    const writer = new LittleWriter(boxWidth * count * 2 + 32)
      .u16(bitmapUpdate)
      .u16(1)
      .u16(left)
      .u16(top + y)
      .u16(left + boxWidth - 1)
      .u16(top + y + count - 1)
      .u16(boxWidth)
      .u16(count)
      .u16(16)
      .u16(0)
      .u16(boxWidth * count * 2);
    // rows go from the bottom to the top
    for (let row = y + count - 1; row >= y; row--) writeRow(writer, lines, row, boxWidth);
    bodies.push(writer.finish());
  }
  return bodies;
}

function writeRow(writer: LittleWriter, lines: readonly string[], row: number, boxWidth: number): void {
  const at = row - margin;
  const line = at < 0 ? '' : (lines[Math.floor(at / lineHeight)] ?? '');
  const inLine = at < 0 ? 0 : at % lineHeight;
  for (let x = 0; x < boxWidth; x++) {
    const column = Math.floor((x - margin) / letterWidth);
    const letter = x < margin || inLine >= letterHeight ? Number.NaN : line.charCodeAt(column);
    const lit = !Number.isNaN(letter) && (letterRow(letter, inLine) & (0x8000 >>> ((x - margin) % letterWidth))) !== 0;
    writer.u16(lit ? white : blue);
  }
}
