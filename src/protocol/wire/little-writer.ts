/**
 * Writes the little-endian fields of Microsoft's protocols into a buffer that grows. Pure. The caller's values are its
 * own: a number that does not fit its field is a bug of ours and throws a RangeError.
 */
export class LittleWriter {
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
      // what grew out of its place may have been a secret
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

  zeros(count: number): this {
    this.#room(count);
    return this;
  }

  u8(value: number): this {
    check(value, 0xff);
    const at = this.#room(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    check(value, 0xffff);
    const at = this.#room(2);
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >>> 8;
    return this;
  }

  /** Two bytes, the high one first: TPKT, MCS and GCC. */
  u16be(value: number): this {
    check(value, 0xffff);
    return this.u8(value >>> 8).u8(value & 0xff);
  }

  u32(value: number): this {
    check(value, 0xffffffff);
    const at = this.#room(4);
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >>> 8;
    this.#bytes[at + 2] = value >>> 16;
    this.#bytes[at + 3] = value >>> 24;
    return this;
  }

  u64(value: bigint): this {
    if (value < 0n || value > 0xffffffffffffffffn) throw new RangeError('not a uint64');
    return this.u32(Number(value & 0xffffffffn)).u32(Number(value >> 32n));
  }

  /** Text in UTF-16LE, without an end mark. */
  utf16(text: string): this {
    for (let i = 0; i < text.length; i++) this.u16(text.charCodeAt(i));
    return this;
  }

  /** The bytes written, as a view that is the caller's from now on; the writer is empty afterwards. */
  finish(): Uint8Array {
    const done = this.#bytes.subarray(0, this.#at);
    this.#bytes = new Uint8Array(0);
    this.#at = 0;
    return done;
  }
}

function check(value: number, most: number): void {
  if (!Number.isInteger(value) || value < 0 || value > most) throw new RangeError(`not in 0 to ${most}: ${value}`);
}
