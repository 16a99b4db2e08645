/**
 * RC4, as NTLM seals with it (MS-NLMP §3.4.3): one stream of one key, which goes on from message to message. Pure. It is
 * broken as a cipher: under CredSSP it only ever runs inside TLS, and nothing else may use it.
 */
export class Rc4 {
  readonly #state = Uint8Array.from({ length: 256 }, (_, i) => i);
  #i = 0;
  #j = 0;

  /** Of a key of 1 to 256 bytes, which is not kept. */
  constructor(key: Uint8Array) {
    if (key.length === 0 || key.length > 256) throw new RangeError(`an RC4 key has 1 to 256 bytes: ${key.length}`);
    let j = 0;
    for (let i = 0; i < 256; i++) {
      j = (j + (this.#state[i] ?? 0) + (key[i % key.length] ?? 0)) & 0xff;
      this.#swap(i, j);
    }
  }

  /** Encrypts or decrypts the next bytes of the stream, into a new array. */
  apply(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(bytes.length);
    for (let at = 0; at < bytes.length; at++) {
      this.#i = (this.#i + 1) & 0xff;
      this.#j = (this.#j + (this.#state[this.#i] ?? 0)) & 0xff;
      this.#swap(this.#i, this.#j);
      const key = this.#state[((this.#state[this.#i] ?? 0) + (this.#state[this.#j] ?? 0)) & 0xff] ?? 0;
      out[at] = (bytes[at] ?? 0) ^ key;
    }
    return out;
  }

  /** Forgets the stream; what comes afterwards means nothing. */
  wipe(): void {
    this.#state.fill(0);
  }

  #swap(i: number, j: number): void {
    const kept = this.#state[i] ?? 0;
    this.#state[i] = this.#state[j] ?? 0;
    this.#state[j] = kept;
  }
}
