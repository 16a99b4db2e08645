/**
 * Reads the data types of RFC 4251 §5 from one payload or blob. Pure.
 *
 * It never throws and never reads past the end: the first short, oversized or ill-formed field sets `violation`, which
 * stays; from then on every field reads as zero or empty. Decoders read all fields, then look at `violation` once.
 * What it returns of the bytes are views, not copies.
 */
import { empty } from '../../../base/bytes.ts';

export { isViolation, type Violation } from '../../wire/violation.ts';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class Reader {
  /** Why the bytes are refused, or undefined while they are good. */
  violation: string | undefined;
  #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    // a subclass (Node's Buffer) would hand out views whose slice() does not copy
    this.#bytes =
      bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = at;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.violation === undefined ? this.#bytes.length - this.#at : 0;
  }

  /** Where the next field starts, counted from the start of the bytes; for cutting out what a signature covers. */
  get offset(): number {
    return this.#at;
  }

  /** Sets the violation, if none is set: for rules that only the decoder knows. */
  fail(why: string): void {
    this.violation ??= why;
  }

  /** `count` bytes as they stand. */
  raw(count: number): Uint8Array {
    if (this.violation !== undefined) return empty;
    if (count > this.#bytes.length - this.#at) {
      this.violation = 'field runs past the end';
      return empty;
    }
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** Everything that is left. */
  rest(): Uint8Array {
    return this.raw(this.remaining);
  }

  u8(): number {
    return this.raw(1)[0] ?? 0;
  }

  u32(): number {
    const b = this.raw(4);
    return (((b[0] ?? 0) << 24) | ((b[1] ?? 0) << 16) | ((b[2] ?? 0) << 8) | (b[3] ?? 0)) >>> 0;
  }

  u64(): bigint {
    const high = this.u32();
    return (BigInt(high) << 32n) | BigInt(this.u32());
  }

  /** RFC 4251 §5: any value but 0 is true. */
  bool(): boolean {
    return this.u8() !== 0;
  }

  /** string: uint32 length, then so many bytes; longer than `max` is a violation. */
  string(max: number): Uint8Array {
    const length = this.u32();
    if (this.violation === undefined && length > max)
      this.violation = `string of ${length} bytes where ${max} are allowed`;
    return this.raw(length);
  }

  /** string that must be valid UTF-8. */
  text(max: number): string {
    const bytes = this.string(max);
    try {
      return strict.decode(bytes);
    } catch {
      this.fail('string is not UTF-8');
      return '';
    }
  }

  /** mpint that must be positive or zero and in its shortest form: its magnitude, big-endian, without leading zeros. */
  mpint(max: number): Uint8Array {
    const bytes = this.string(max + 1);
    const first = bytes[0];
    if (first === undefined) return empty;
    if (first >= 0x80) this.fail('negative mpint');
    else if (first === 0 && (bytes[1] ?? 0) < 0x80) this.fail('mpint not in shortest form');
    const magnitude = first === 0 ? bytes.subarray(1) : bytes;
    if (magnitude.length > max) this.fail(`mpint longer than ${max} bytes`);
    return this.violation === undefined ? magnitude : empty;
  }

  /** name-list: printable ASCII without empty names; at most `max` bytes. */
  namelist(max: number): string[] {
    const bytes = this.string(max);
    if (bytes.length === 0) return [];
    let list = '';
    for (const byte of bytes) {
      if (byte <= 0x20 || byte >= 0x7f) this.fail('name-list with a byte that is not printable ASCII');
      list += String.fromCharCode(byte);
    }
    const names = list.split(',');
    if (names.includes('')) this.fail('name-list with an empty name');
    return this.violation === undefined ? names : [];
  }

  /** Makes bytes that are left over a violation. */
  end(): void {
    if (this.remaining > 0) this.fail(`${this.remaining} bytes after the last field`);
  }
}
