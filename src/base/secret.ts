/**
 * Secrets are a type. A `Secret` holds bytes that cannot be printed, serialised or compared by accident;
 * `reveal()` is the one word to search for. It is zeroed by `using` or `dispose`.
 *
 * Zeroing in a garbage-collected process is best effort: drivers that demand strings make copies that we cannot
 * reach. Such code belongs into a worker process that ends.
 */
import { timingSafeEqual } from 'node:crypto';

const hidden = '[secret]';

export class Secret implements Disposable {
  #bytes: Uint8Array;
  #open = true;

  /** Takes ownership of `bytes`: they are zeroed on disposal, so do not keep another reference. */
  constructor(bytes: Uint8Array) {
    // A plain view: a Buffer's own `slice` would share the bytes that are zeroed here.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Copies text into a new Secret. Only for text that a library has already handed us as a string. */
  static fromText(text: string): Secret {
    return new Secret(new TextEncoder().encode(text));
  }

  /** The bytes themselves, not a copy. Use them and let go; throws once the secret is disposed. */
  reveal(): Uint8Array {
    if (!this.#open) throw new Error('secret used after it was disposed');
    return this.#bytes;
  }

  /** The bytes as text, for drivers that take nothing else. The string cannot be zeroed. */
  revealText(): string {
    return new TextDecoder('utf-8', { fatal: true }).decode(this.reveal());
  }

  /** A second Secret over a copy of the bytes, with its own life. */
  copy(): Secret {
    // not slice(): of a Buffer that would be the same bytes, zeroed with the first of the two
    return new Secret(new Uint8Array(this.reveal()));
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** Constant-time comparison; the lengths are not hidden. */
  equals(other: Secret): boolean {
    const a = this.reveal();
    const b = other.reveal();
    return a.length === b.length && timingSafeEqual(a, b);
  }

  [Symbol.dispose](): void {
    this.#bytes.fill(0);
    this.#open = false;
  }

  toString(): string {
    return hidden;
  }

  toJSON(): string {
    return hidden;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return hidden;
  }
}
