/**
 * Colours of every depth as pixels of a screen: 32-bit numbers that lie in memory as red, green, blue, alpha, which is
 * what canvas, PNG and ffmpeg want. Pure. Bits that a depth lacks repeat its highest ones, so that white is white.
 */

/** One 16-bit pixel of 5, 6 and 5 bits. */
function of565(pixel: number): number {
  const red = (pixel >> 11) & 31;
  const green = (pixel >> 5) & 63;
  const blue = pixel & 31;
  return rgba((red << 3) | (red >> 2), (green << 2) | (green >> 4), (blue << 3) | (blue >> 2));
}

/** One 15-bit pixel; its highest bit means nothing. */
function of555(pixel: number): number {
  const red = (pixel >> 10) & 31;
  const green = (pixel >> 5) & 31;
  const blue = pixel & 31;
  return rgba((red << 3) | (red >> 2), (green << 3) | (green >> 2), (blue << 3) | (blue >> 2));
}

export function rgba(red: number, green: number, blue: number, alpha = 255): number {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** All pixels of 15 and of 16 bits. */
export const colors15: Uint32Array = Uint32Array.from({ length: 65536 }, (_, pixel) => of555(pixel));
export const colors16: Uint32Array = Uint32Array.from({ length: 65536 }, (_, pixel) => of565(pixel));

/** A palette before the server has sent one: greys. */
export const greys: Uint32Array = Uint32Array.from({ length: 256 }, (_, grey) => rgba(grey, grey, grey));
