/** Bytes of hexadecimal text with spaces, as specifications print them. */
export function bytes(...hex: string[]): Uint8Array {
  return Uint8Array.from(hex.join('').replace(/\s/g, '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** A message or a failed test. */
export function good<T extends object>(value: T | { readonly violation: string } | undefined): T {
  if (value === undefined || 'violation' in value) throw new Error(`no message: ${JSON.stringify(value)}`);
  return value;
}

/** Text in UTF-16LE. */
export function wide(text: string): Uint8Array {
  const out = new Uint8Array(2 * text.length);
  for (let i = 0; i < text.length; i++) {
    out[2 * i] = text.charCodeAt(i) & 0xff;
    out[2 * i + 1] = text.charCodeAt(i) >>> 8;
  }
  return out;
}
