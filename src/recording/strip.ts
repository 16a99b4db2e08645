/**
 * Pictures for a terminal: each character is two pixels, one above the other, in 24-bit colours (`▀` with a colour before
 * and behind it). Only sequences for colours are written, and no byte of what was recorded as it is.
 */
import type { Picture } from './replay.ts';

const escape = '\u001b[';

/** A picture scaled to so many columns, as lines without line ends. Each pixel is the mean of those it stands for. */
export function linesOf(picture: Picture, columns: number): string[] {
  const width = Math.max(1, Math.min(columns, picture.width));
  // pixels are about square, so a line is two of them high
  const height = 2 * Math.max(1, Math.round((picture.height * width) / picture.width / 2));
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = '';
    let last = '';
    for (let x = 0; x < width; x++) {
      const colors = `38;2;${mean(picture, x, y, width, height)};48;2;${mean(picture, x, y + 1, width, height)}`;
      line += colors === last ? '▀' : `${escape}${colors}m▀`;
      last = colors;
    }
    lines.push(`${line}${escape}0m`);
  }
  return lines;
}

/** The mean colour of the area that one pixel of the small picture stands for: `red;green;blue`. */
function mean({ width, height, pixels }: Picture, x: number, y: number, columns: number, rows: number): string {
  const [left, right] = [Math.floor((x * width) / columns), Math.ceil(((x + 1) * width) / columns)];
  const [top, bottom] = [Math.floor((y * height) / rows), Math.ceil(((y + 1) * height) / rows)];
  const sums = [0, 0, 0];
  for (let row = top; row < bottom; row++) {
    for (let at = 4 * (row * width + left); at < 4 * (row * width + right); at += 4) {
      for (let color = 0; color < 3; color++) sums[color] = (sums[color] ?? 0) + (pixels[at + color] ?? 0);
    }
  }
  const count = (right - left) * (bottom - top);
  return sums.map((sum) => Math.round(sum / count)).join(';');
}

/** A time in microseconds as hh:mm:ss. */
export function clockOf(at: number): string {
  const seconds = Math.floor(at / 1e6);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

/** Pictures side by side with their times above, as many as fit into the columns; lines without line ends. */
export function stripOf(shots: readonly { at: number; picture: Picture }[], columns: number): string[] {
  const across = Math.max(1, Math.min(shots.length, Math.floor(columns / 40)));
  const each = Math.floor((columns - 2 * (across - 1)) / across);
  const lines: string[] = [];
  for (let from = 0; from < shots.length; from += across) {
    const row = shots.slice(from, from + across).map(({ at, picture }) => [clockOf(at), ...linesOf(picture, each)]);
    for (let line = 0; line < Math.max(...row.map(({ length }) => length)); line++) {
      lines.push(
        row
          .map((shot) => padded(shot[line] ?? '', each))
          .join('  ')
          .trimEnd(),
      );
    }
  }
  return lines;
}

/** Filled with spaces to so many columns; sequences take none. */
function padded(line: string, columns: number): string {
  const shown = line
    .split(escape)
    .reduce((sum, piece, at) => sum + (at === 0 ? piece.length : piece.length - piece.indexOf('m') - 1), 0);
  return line + ' '.repeat(Math.max(0, columns - shown));
}
