/**
 * Reading and writing the fields of a recording: fixed integers big-endian, counts as LEB128 (7 bits a byte, low first,
 * shortest form only, at most 2^53-1). The reader carries its own violation: after the first bad field every further
 * read gives zero or nothing, and the caller looks once, at the end.
 */
import { empty, text, utf8 } from '../../base/bytes.ts';

export interface FieldReader {
  /** What was wrong first, or undefined. */
  readonly violation: string | undefined;
  readonly remaining: number;
  u8(): number;
  u16(): number;
  u32(): number;
  u64(): number;
  count(): number;
  /** A view of `length` bytes. */
  take(length: number): Uint8Array;
  /** A view of the bytes whose length stands before them, at most `max`. */
  bytes(max: number): Uint8Array;
  text(max: number): string;
  fail(words: string): void;
}

export function readFields(bytes: Uint8Array): FieldReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let violation: string | undefined;

  function fail(words: string): void {
    violation ??= words;
  }
  function step(length: number): number {
    if (violation === undefined && length <= bytes.length - at) {
      at += length;
      return at - length;
    }
    fail('cut off');
    return -1;
  }
  function fixed(length: number, get: (offset: number) => number): number {
    const from = step(length);
    return from < 0 ? 0 : get(from);
  }
  function count(): number {
    let value = 0;
    for (let shift = 1, n = 0; n < 8; n++, shift *= 128) {
      const byte = fixed(1, (from) => view.getUint8(from));
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) {
        if (byte === 0 && n > 0) fail('count not in its shortest form');
        if (value > Number.MAX_SAFE_INTEGER) fail('count too large');
        return violation === undefined ? value : 0;
      }
    }
    fail('count too long');
    return 0;
  }
  function take(length: number): Uint8Array {
    const from = step(length);
    return from < 0 ? empty : bytes.subarray(from, from + length);
  }
  function lengthAndBytes(max: number): Uint8Array {
    const length = count();
    if (length > max) fail(`field of ${length} bytes, at most ${max} are allowed`);
    return take(length);
  }
  return {
    get violation() {
      return violation;
    },
    get remaining() {
      return violation === undefined ? bytes.length - at : 0;
    },
    u8: () => fixed(1, (from) => view.getUint8(from)),
    u16: () => fixed(2, (from) => view.getUint16(from)),
    u32: () => fixed(4, (from) => view.getUint32(from)),
    u64: () => {
      const value = fixed(8, (from) => Number(view.getBigUint64(from)));
      if (value > Number.MAX_SAFE_INTEGER) fail('integer too large');
      return violation === undefined ? value : 0;
    },
    count,
    take,
    bytes: lengthAndBytes,
    text: (max) => text(lengthAndBytes(max)),
    fail,
  };
}

/** Bytes that grow. `view()` is a view, valid until the next write. */
export interface FieldWriter {
  readonly length: number;
  u8(value: number): FieldWriter;
  u16(value: number): FieldWriter;
  u32(value: number): FieldWriter;
  u64(value: number): FieldWriter;
  count(value: number): FieldWriter;
  raw(bytes: Uint8Array): FieldWriter;
  /** Length as a count, then the bytes; cut to `max`. */
  bytes(bytes: Uint8Array, max: number): FieldWriter;
  /** UTF-8, cut to `max` bytes at the end of a character. */
  text(value: string, max: number): FieldWriter;
  view(): Uint8Array;
  /** What was written, given away: the writer begins anew with `next`, or with other memory, as much of it as was used well. */
  give(next?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
}

export function writeFields(initial = 64): FieldWriter {
  let buffer = new Uint8Array(initial);
  let view = new DataView(buffer.buffer);
  let at = 0;

  /** Makes room and gives its place. Call it before `view` is named: the view may become another. */
  function room(length: number): number {
    if (at + length > buffer.length) {
      const larger = new Uint8Array(Math.max(2 * buffer.length, at + length));
      larger.set(buffer.subarray(0, at));
      buffer = larger;
      view = new DataView(buffer.buffer);
    }
    at += length;
    return at - length;
  }
  const writer: FieldWriter = {
    get length() {
      return at;
    },
    u8(value) {
      const from = room(1);
      view.setUint8(from, value);
      return writer;
    },
    u16(value) {
      const from = room(2);
      view.setUint16(from, value);
      return writer;
    },
    u32(value) {
      const from = room(4);
      view.setUint32(from, value);
      return writer;
    },
    u64(value) {
      const from = room(8);
      view.setBigUint64(from, BigInt(value));
      return writer;
    },
    count(value) {
      let rest = value;
      while (rest >= 128) {
        writer.u8((rest % 128) + 128);
        rest = Math.floor(rest / 128);
      }
      return writer.u8(rest);
    },
    raw(bytes) {
      const from = room(bytes.length);
      buffer.set(bytes, from);
      return writer;
    },
    bytes(bytes, max) {
      const kept = bytes.length > max ? bytes.subarray(0, max) : bytes;
      return writer.count(kept.length).raw(kept);
    },
    text(value, max) {
      let kept = utf8(value);
      if (kept.length > max) {
        let end = max;
        while (end > 0 && ((kept[end] ?? 0) & 0xc0) === 0x80) end--;
        kept = kept.subarray(0, end);
      }
      return writer.bytes(kept, max);
    },
    view: () => buffer.subarray(0, at),
    give(next) {
      const given = buffer.subarray(0, at);
      buffer = next ?? new Uint8Array(2 * at > buffer.length ? buffer.length : initial);
      view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
      at = 0;
      return given;
    },
  };
  return writer;
}
