/**
 * Follows the parts of one file as they cross, and says at the end what crossed. The hash of a file is told only if every
 * byte from the first to the last came once and in order; all else is `partial`, because the hash of a mixture is no
 * evidence. Parts that overtake each other on the way are put in order as far as the bound allows.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Transfer } from './filter.ts';

/** What may be held back in a channel, for all its files together: it shrinks and grows as they take and give back. */
export interface Ahead {
  bytes: number;
}

/** Parts of one file that may wait. */
const mostWaiting = 64;

export class FileHash {
  #hash: Hash = createHash('sha256');
  #next = 0n;
  #bytes = 0n;
  #ahead = new Map<bigint, Uint8Array>();
  #broken = false;
  #budget: Ahead;

  constructor(budget: Ahead) {
    this.#budget = budget;
  }

  /** Whether the first byte has come, or its hash is given up: a part from the start on is then the start of a new reading. */
  get isBegun(): boolean {
    return this.#broken || this.#next > 0n;
  }

  /** The first byte that has not come in order yet. */
  get next(): bigint {
    return this.#next;
  }

  /** Takes a part; it is copied if it must wait. */
  add(position: bigint, data: Uint8Array): void {
    this.#bytes += BigInt(data.length);
    if (this.#broken || data.length === 0) return;
    if (position < this.#next || this.#ahead.has(position)) return this.break();
    if (position > this.#next) {
      if (data.length > this.#budget.bytes || this.#ahead.size === mostWaiting) return this.break();
      this.#budget.bytes -= data.length;
      this.#ahead.set(position, data.slice());
      return;
    }
    this.#take(data);
    for (let waiting = this.#ahead.get(this.#next); waiting !== undefined; waiting = this.#ahead.get(this.#next)) {
      this.#ahead.delete(this.#next);
      this.#budget.bytes += waiting.length;
      this.#take(waiting);
    }
  }

  #take(data: Uint8Array): void {
    this.#hash.update(data);
    this.#next += BigInt(data.length);
  }

  /** From now on the file is partial, whatever comes. */
  break(): void {
    this.#broken = true;
    for (const waiting of this.#ahead.values()) this.#budget.bytes += waiting.length;
    this.#ahead.clear();
  }

  /** Whether everything from the first byte to `size` has come, and nothing after it. */
  isWhole(size: bigint | undefined): boolean {
    return !this.#broken && size !== undefined && this.#next === size && this.#ahead.size === 0;
  }

  /** What crossed, under this name. Ends the hash: call it once. */
  end(name: string, size: bigint | undefined): Transfer {
    const whole = this.isWhole(size);
    const sha256 = whole ? this.#hash.digest('hex') : undefined;
    this.break();
    return { name, size, bytes: this.#bytes, sha256, partial: !whole };
  }
}
