/**
 * Pictures of screens, as the X server itself dumps them (xwd): every pixel as it is, without the pointer.
 * It refuses what no display of the lab makes: dumps with another depth than 24 bits in 32.
 */

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Four bytes for each pixel, row by row from the top; alpha is always 255. */
  readonly rgba: Uint8Array;
}

export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Reads a dump in XWD format, version 7. */
export function parseXwd(dump: Buffer): Picture {
  const field = (index: number): number => dump.readUInt32BE(index * 4);
  const [headerSize, version, format, width, height] = [field(0), field(1), field(2), field(4), field(5)];
  const [byteOrder, bitsPerPixel, rowBytes, colours] = [field(7), field(11), field(12), field(19)];
  const masks = [field(14), field(15), field(16)].map((mask) => mask.toString(16)).join(' ');
  if (version !== 7 || format !== 2 || bitsPerPixel !== 32 || byteOrder !== 0 || masks !== 'ff0000 ff00 ff')
    throw new Error(`not a dump of 24 bits in 32: version ${version}, ${bitsPerPixel} bits, masks ${masks}`);
  const start = headerSize + colours * 12;
  const rgba = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    let from = start + y * rowBytes;
    let to = y * width * 4;
    for (let x = 0; x < width; x++, from += 4, to += 4) {
      rgba[to] = dump[from + 2] ?? 0;
      rgba[to + 1] = dump[from + 1] ?? 0;
      rgba[to + 2] = dump[from] ?? 0;
      rgba[to + 3] = 255;
    }
  }
  return { width, height, rgba };
}

/** A part of a picture; throws where it reaches beyond the edge. */
export function crop(picture: Picture, area: Area): Picture {
  const { x, y, width, height } = area;
  if (x < 0 || y < 0 || x + width > picture.width || y + height > picture.height)
    throw new Error(`${JSON.stringify(area)} is not inside ${picture.width}x${picture.height}`);
  const rgba = new Uint8Array(width * height * 4);
  for (let row = 0; row < height; row++) {
    const from = ((y + row) * picture.width + x) * 4;
    rgba.set(picture.rgba.subarray(from, from + width * 4), row * width * 4);
  }
  return { width, height, rgba };
}
