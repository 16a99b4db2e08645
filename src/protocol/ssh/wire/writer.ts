/**
 * Writes the data types of RFC 4251 §5 into a buffer that grows. Pure. The caller's values are its own: a number that
 * does not fit its field is a bug of ours and throws a RangeError.
 */
const encoder = new TextEncoder();

export class Writer {
  #bytes: Uint8Array;
  #at = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#at;
  }

  #room(count: number): number {
    const at = this.#at;
    this.#at += count;
    if (this.#at > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#at, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes.fill(0);
      this.#bytes = grown;
    }
    return at;
  }

  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  u8(value: number): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xff) throw new RangeError(`not a byte: ${value}`);
    const at = this.#room(1);
    this.#bytes[at] = value;
    return this;
  }

  u32(value: number): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new RangeError(`not a uint32: ${value}`);
    const at = this.#room(4);
    this.#bytes[at] = value >>> 24;
    this.#bytes[at + 1] = value >>> 16;
    this.#bytes[at + 2] = value >>> 8;
    this.#bytes[at + 3] = value;
    return this;
  }

  u64(value: bigint): this {
    if (value < 0n || value > 0xffffffffffffffffn) throw new RangeError('not a uint64');
    return this.u32(Number(value >> 32n)).u32(Number(value & 0xffffffffn));
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  /** uint32 length, then the bytes. */
  string(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  /** A string of text in UTF-8. */
  text(value: string): this {
    return this.string(encoder.encode(value));
  }

  /** mpint of a non-negative magnitude, big-endian; leading zeros are dropped, the sign byte is added. */
  mpint(magnitude: Uint8Array): this {
    let from = 0;
    while (from < magnitude.length && magnitude[from] === 0) from++;
    const body = magnitude.subarray(from);
    const sign = (body[0] ?? 0) >= 0x80;
    this.u32(body.length + (sign ? 1 : 0));
    if (sign) this.u8(0);
    return this.raw(body);
  }

  namelist(names: readonly string[]): this {
    return this.text(names.join(','));
  }

  /** The bytes written, as a view that is the caller's from now on; the writer is empty afterwards. */
  finish(): Uint8Array {
    const done = this.#bytes.subarray(0, this.#at);
    this.#bytes = new Uint8Array(0);
    this.#at = 0;
    return done;
  }
}
