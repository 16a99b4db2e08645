/** What the picture decoder takes from a server at most. A picture that asks for more is a violation, before memory is. */

/** Pixels of a side of the desktop (MS-RDPBCGR §2.2.1.3.2: 8192), and of the whole. */
export const maxSide = 8192;
export const maxPixels: number = 7680 * 4320;
/** Whether a desktop of this size can be drawn. */
export function isDrawable(width: number, height: number): boolean {
  return width > 0 && height > 0 && width <= maxSide && height <= maxSide && width * height <= maxPixels;
}
/** Pixels that one update may decode to, over all its rectangles: a run of 65,535 pixels takes three bytes. */
export const maxUpdatePixels: number = 2 * maxPixels;
/** Bytes of one update after decompression and reassembly. */
export const maxUpdateBytes: number = 16 * 1024 * 1024;
/** Pixels of a side of a pointer (§2.2.9.1.2.1.11), entries of its cache, and pixels in all of them. */
export const maxPointerSide = 384;
export const maxPointers = 1024;
export const maxPointerPixels: number = 8 * 1024 * 1024;
