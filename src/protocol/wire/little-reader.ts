/**
 * Reads the little-endian fields of Microsoft's protocols (MS-RDPBCGR §1.3, MS-NLMP) from one message. Pure.
 *
 * It never throws and never reads past the end: the first short or ill-formed field sets `violation`, which stays; from
 * then on every field reads as zero or empty. Decoders read all fields, then look at `violation` once. What it returns
 * of the bytes are views, not copies.
 */
import { empty } from '../../base/bytes.ts';

const utf16 = new TextDecoder('utf-16le');

export class LittleReader {
  /** Why the bytes are refused, or undefined while they are good. */
  violation: string | undefined;
  #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    // a subclass (Node's Buffer) would hand out views whose slice() does not copy
    this.#bytes =
      bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = at;
    if (at > bytes.length) this.violation = 'field starts past the end';
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.violation === undefined ? this.#bytes.length - this.#at : 0;
  }

  /** Where the next field starts, counted from the start of the bytes. */
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
    if (count < 0 || count > this.#bytes.length - this.#at) {
      this.violation = 'field runs past the end';
      return empty;
    }
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  skip(count: number): void {
    this.raw(count);
  }

  /** Everything that is left. */
  rest(): Uint8Array {
    return this.raw(this.remaining);
  }

  u8(): number {
    return this.raw(1)[0] ?? 0;
  }

  u16(): number {
    const b = this.raw(2);
    return (b[0] ?? 0) | ((b[1] ?? 0) << 8);
  }

  /** Two bytes, the high one first: TPKT, MCS and GCC. */
  u16be(): number {
    const b = this.raw(2);
    return ((b[0] ?? 0) << 8) | (b[1] ?? 0);
  }

  /** Two bytes with a sign. */
  i16(): number {
    return (this.u16() << 16) >> 16;
  }

  u32(): number {
    const b = this.raw(4);
    return ((b[0] ?? 0) | ((b[1] ?? 0) << 8) | ((b[2] ?? 0) << 16) | ((b[3] ?? 0) << 24)) >>> 0;
  }

  u64(): bigint {
    const low = this.u32();
    return BigInt(low) | (BigInt(this.u32()) << 32n);
  }

  /** `count` bytes of UTF-16LE, unpaired surrogates replaced; an odd count is a violation. */
  utf16(count: number): string {
    if (count % 2 !== 0) this.fail('text in UTF-16 has an odd length');
    return utf16.decode(this.raw(count));
  }
}
