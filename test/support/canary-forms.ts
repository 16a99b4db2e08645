/** The forms into which programs turn bytes on their way to a disk or a log. */

export interface Form {
  readonly form: string;
  readonly bytes: Buffer;
  /** Whether encoders of this form break it into lines or groups. */
  readonly wraps: boolean;
}

/** Percent-encodes every byte that a URL may not hold as it is. */
function percent(bytes: Uint8Array, upper: boolean, all = false): string {
  let out = '';
  for (const byte of bytes) {
    const digits = byte.toString(16).padStart(2, '0');
    const plain = !all && /[A-Za-z0-9_.~-]/.test(String.fromCharCode(byte)) && byte < 0x80;
    out += plain ? String.fromCharCode(byte) : `%${upper ? digits.toUpperCase() : digits}`;
  }
  return out;
}

/** Backslash and three octal digits for what is not printable ASCII: PostgreSQL, C programs, `strace`. */
function octal(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) {
    if (byte === 0x5c) out += '\\\\';
    else if (byte >= 0x20 && byte < 0x7f) out += String.fromCharCode(byte);
    else out += `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return out;
}

/**
 * The characters of base64 that are determined by the secret alone when `shift` bytes of something else stand before
 * it in the encoded text: those that share bits with a neighbour are left off at both ends.
 */
function base64At(bytes: Uint8Array, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), bytes, Buffer.alloc(3)]).toString('base64');
  return encoded.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
}

function utf16(text: string, big: boolean): Buffer {
  const bytes = Buffer.from(text, 'utf16le');
  return big ? bytes.swap16() : bytes;
}

/** JSON with everything outside ASCII as \uXXXX. */
function asciiJson(text: string, upper: boolean): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(/[^\x20-\x7e]/g, (char) => {
      const digits = char.charCodeAt(0).toString(16).padStart(4, '0');
      return `\\u${upper ? digits.toUpperCase() : digits}`;
    });
}

function html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** Every form of these bytes, each once. */
export function formsOf(bytes: Uint8Array): readonly Form[] {
  const raw = Buffer.from(bytes);
  const forms: Form[] = [];
  const seen = new Set<string>();
  const add = (form: string, value: string | Buffer, wraps = false): void => {
    const encoded = Buffer.from(value as string);
    const key = encoded.toString('latin1');
    if (seen.has(key)) return;
    seen.add(key);
    forms.push({ form, bytes: encoded, wraps });
  };
  const hex = raw.toString('hex');
  add('raw', raw);
  add('hex', hex, true);
  add('HEX', hex.toUpperCase(), true);
  for (const mark of [':', '-', ', ', '\\x', ',0x', ', 0x']) {
    add(`hex with "${mark}"`, hex.replaceAll(/..(?!$)/g, `$&${mark}`));
    add(`HEX with "${mark}"`, hex.toUpperCase().replaceAll(/..(?!$)/g, `$&${mark}`));
  }
  for (const shift of [0, 1, 2]) {
    const base64 = base64At(raw, shift);
    add(`base64, alignment ${shift}`, base64, true);
    add(`base64url, alignment ${shift}`, base64.replaceAll('+', '-').replaceAll('/', '_'), true);
  }
  // Buffers and typed arrays that went through JSON.stringify or a console.
  add('numbers', [...raw].join(','), true);
  add('percent', percent(raw, true));
  add('percent, lower case', percent(raw, false));
  add('form field', percent(raw, true).replaceAll('%20', '+'));
  add('percent, every byte', percent(raw, true, true));
  add('octal', octal(raw));
  const text = raw.toString();
  // The text forms are of text; bytes that are none have only those above.
  if (!Buffer.from(text).equals(raw)) return forms;
  add('utf-16le', utf16(text, false));
  add('utf-16be', utf16(text, true));
  add('latin1', Buffer.from(text, 'latin1'));
  add('json', JSON.stringify(text).slice(1, -1));
  add('json in json', JSON.stringify(JSON.stringify(text).slice(1, -1)).slice(1, -1));
  add('json, ascii', asciiJson(text, false));
  add('json, ascii, upper case', asciiJson(text, true));
  add('encodeURIComponent', encodeURIComponent(text));
  add('html', html(text));
  add('sql', text.replaceAll("'", "''"));
  add('shell', text.replaceAll("'", `'\\''`));
  return forms;
}

export function longestForm(forms: readonly Form[]): number {
  return Math.max(1, ...forms.map(({ bytes }) => bytes.length));
}

const white = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** The bytes without spaces and line ends. */
export function unwrapped(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (const byte of bytes) if (!white.has(byte)) out[length++] = byte;
  return out.subarray(0, length);
}
