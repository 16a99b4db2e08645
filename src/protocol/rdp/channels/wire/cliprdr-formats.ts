/**
 * Lists inside clipboard messages: formats with short or long names (MS-RDPECLIP §2.2.3.1), and the list of files that
 * stands behind the format FileGroupDescriptorW (§2.2.5.2.3). Pure.
 */
import { LittleReader } from '../../../wire/little-reader.ts';
import type { LittleWriter } from '../../../wire/little-writer.ts';
import type { Violation } from '../../../wire/violation.ts';

/** Formats below 0xC000 are the system's own and have no name; the others are registered by name on each side apart. */
export interface Format {
  readonly id: number;
  readonly name: string;
}

/** Windows has room for 16384 registered formats; real lists have less than fifty. */
const mostFormats = 1024;
/** Bytes of a short name: 16 letters of UTF-16, or 32 of ASCII. */
const shortName = 32;

/**
 * Reads the entries to the end of the body. Long: id u32, name in UTF-16 to a NUL. Short: id u32, 32 bytes of name. A list
 * that no short entries fill is read as long: xrdp writes long names to clients that never announced them.
 */
export function decodeFormats(reader: LittleReader, announced: boolean, ascii: boolean): Format[] {
  const formats: Format[] = [];
  const longNames = announced || reader.remaining % (4 + shortName) !== 0;
  while (reader.remaining > 0) {
    if (formats.length === mostFormats) reader.fail('a list of too many clipboard formats');
    const id = reader.u32();
    const name = longNames ? longName(reader) : cut(ascii ? latin(reader.raw(shortName)) : reader.utf16(shortName));
    if (reader.violation === undefined) formats.push({ id, name });
  }
  return formats;
}

function longName(reader: LittleReader): string {
  let name = '';
  for (let unit = reader.u16(); unit !== 0; unit = reader.u16()) name += String.fromCharCode(unit);
  return name;
}

export function encodeFormats(
  body: LittleWriter,
  formats: readonly Format[],
  longNames: boolean,
  ascii: boolean,
): LittleWriter {
  for (const { id, name } of formats) {
    body.u32(id);
    if (longNames) body.utf16(name).u16(0);
    else if (ascii) {
      const short = name.slice(0, shortName - 1);
      for (let i = 0; i < short.length; i++) body.u8(short.charCodeAt(i) & 0xff);
      body.zeros(shortName - short.length);
    } else {
      const short = name.slice(0, shortName / 2 - 1);
      body.utf16(short).zeros(shortName - 2 * short.length);
    }
  }
  return body;
}

/** A file that could be copied. `size` is undefined where the descriptor does not say. */
export interface FileDescriptor {
  readonly name: string;
  readonly size: bigint | undefined;
  readonly directory: boolean;
}

const FD_ATTRIBUTES = 0x04;
const FD_FILESIZE = 0x40;
const ATTRIBUTE_DIRECTORY = 0x10;
const descriptorBytes = 592;

/** Reads cItems u32 and as many descriptors of 592 bytes; at most `most` of them. */
export function decodeFileList(bytes: Uint8Array, most: number): FileDescriptor[] | Violation {
  const reader = new LittleReader(bytes);
  const count = reader.u32();
  if (count > most) reader.fail('a list of too many files');
  const files: FileDescriptor[] = [];
  for (let i = 0; i < count && reader.violation === undefined; i++) {
    const entry = new LittleReader(reader.raw(descriptorBytes));
    const flags = entry.u32();
    entry.skip(32);
    const attributes = entry.u32();
    entry.skip(16 + 8);
    const high = BigInt(entry.u32());
    const size = (high << 32n) | BigInt(entry.u32());
    const name = cut(entry.utf16(520));
    files.push({
      name,
      size: (flags & FD_FILESIZE) === 0 ? undefined : size,
      directory: (flags & FD_ATTRIBUTES) !== 0 && (attributes & ATTRIBUTE_DIRECTORY) !== 0,
    });
  }
  return reader.violation === undefined ? files : { violation: reader.violation };
}

/** The size that answers a request for one: eight bytes. */
export function fileSizeOf(bytes: Uint8Array): bigint {
  return new LittleReader(bytes).u64();
}

function latin(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += String.fromCharCode(byte);
  return out;
}

function cut(text: string): string {
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}
