/**
 * UTF-8 to UTF-16LE and back without a string between: a string that once held a password cannot be zeroed. Pure.
 * Text that is not well-formed is refused, not repaired: a password that was changed on its way is another password.
 */

/** UTF-16LE of UTF-8, or undefined if the bytes are not well-formed UTF-8. */
export function utf16FromUtf8(bytes: Uint8Array): Uint8Array | undefined {
  const out = new Uint8Array(2 * bytes.length);
  let length = 0;
  const put = (unit: number): void => {
    out[length++] = unit;
    out[length++] = unit >>> 8;
  };
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] ?? 0;
    const more = first < 0x80 ? 0 : first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : -1;
    if (more < 0 || at + more >= bytes.length) return wiped(out);
    let point = more === 0 ? first : first & (0x3f >> more);
    for (let i = 1; i <= more; i++) {
      const next = bytes[at + i] ?? 0;
      if ((next & 0xc0) !== 0x80) return wiped(out);
      point = (point << 6) | (next & 0x3f);
    }
    // longer than needed, half of a pair, or past the end of Unicode
    if (more === 2 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) return wiped(out);
    if (more === 3 && (point < 0x10000 || point > 0x10ffff)) return wiped(out);
    if (point >= 0x10000) {
      put(0xd800 + ((point - 0x10000) >> 10));
      put(0xdc00 + ((point - 0x10000) & 0x3ff));
    } else put(point);
    at += 1 + more;
  }
  return cut(out, length);
}

/** UTF-8 of UTF-16LE, or undefined if the bytes are an odd number or hold half of a surrogate pair. */
export function utf8FromUtf16(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length % 2 !== 0) return undefined;
  const out = new Uint8Array((bytes.length / 2) * 3);
  let length = 0;
  const unit = (at: number): number => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  for (let at = 0; at < bytes.length; at += 2) {
    let point = unit(at);
    if (point >= 0xd800 && point < 0xe000) {
      const low = at + 2 < bytes.length ? unit(at + 2) : 0;
      if (point >= 0xdc00 || low < 0xdc00 || low >= 0xe000) return wiped(out);
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
      at += 2;
    }
    if (point < 0x80) out[length++] = point;
    else {
      const more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
      out[length++] = (0xff00 >> (more + 1)) | (point >> (6 * more));
      for (let i = more - 1; i >= 0; i--) out[length++] = 0x80 | ((point >> (6 * i)) & 0x3f);
    }
  }
  return cut(out, length);
}

function wiped(bytes: Uint8Array): undefined {
  bytes.fill(0);
}

function cut(bytes: Uint8Array, length: number): Uint8Array {
  const exact = bytes.slice(0, length);
  bytes.fill(0);
  return exact;
}
