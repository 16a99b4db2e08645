/** Putting a pointer onto pixels. Pure. */
import type { Canvas } from './draw.ts';
import type { Shape } from './pointer.ts';

/** What clients show as their own pointer: an arrow, black with a white rim. */
export const arrow: Shape = drawn([
  'O           ',
  'OO          ',
  'O#O         ',
  'O##O        ',
  'O###O       ',
  'O####O      ',
  'O#####O     ',
  'O######O    ',
  'O#######O   ',
  'O########O  ',
  'O#####OOOOO ',
  'O##O##O     ',
  'O#O O##O    ',
  'OO  O##O    ',
  'O    O##O   ',
  '     O##O   ',
  '      OO    ',
]);

function drawn(rows: readonly string[]): Shape {
  const width = rows[0]?.length ?? 0;
  const pixels = Uint32Array.from(rows.join(''), (mark) => (mark === 'O' ? 0xffffffff : mark === '#' ? 0xff000000 : 0));
  return { width, height: rows.length, hotX: 0, hotY: 0, pixels };
}

/** Puts a shape where it points to (x, y); what is past the edges is left out. */
export function putShape(canvas: Canvas, { width, height, hotX, hotY, pixels }: Shape, x: number, y: number): void {
  for (let row = 0; row < height; row++) {
    const to = y - hotY + row;
    if (to < 0 || to >= canvas.height) continue;
    for (let column = 0; column < width; column++) {
      const at = x - hotX + column;
      if (at < 0 || at >= canvas.width) continue;
      const over = pixels[row * width + column] ?? 0;
      const place = to * canvas.width + at;
      canvas.pixels[place] = blend(over, canvas.pixels[place] ?? 0);
    }
  }
}

function blend(over: number, under: number): number {
  const alpha = over >>> 24;
  if (alpha === 255) return over;
  if (alpha === 0) return under;
  let mixed = 0xff000000;
  for (let shift = 0; shift < 24; shift += 8) {
    const channel = ((over >> shift) & 255) * alpha + ((under >> shift) & 255) * (255 - alpha);
    mixed |= Math.round(channel / 255) << shift;
  }
  return mixed >>> 0;
}
