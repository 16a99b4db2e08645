/**
 * Payloads in, bytes out: frames and seals packets into a slab; everything sealed since the last `take` leaves as one
 * piece, so that one tick costs one write. Slabs grow with the traffic and are given up when it stops, because most
 * sessions are idle most of the time.
 */
import { paddingFor } from '../wire/packet.ts';
import { plainSealer, type Sealer } from './ciphers.ts';

/** Fills `count` bytes at `at` with random bytes. */
export type Chance = (into: Uint8Array, at: number, count: number) => void;

const smallest = 2048;
const largest = 262144;

export class PacketOutput {
  /** Bytes and packets sealed with the present key. */
  bytesOfKey = 0;
  packetsOfKey = 0;
  /** Bytes that `take` would return. */
  ready = 0;
  #sequence = 0;
  #sealer: Sealer = plainSealer;
  #chance: Chance;
  #full: Uint8Array[] = [];
  #slab: Uint8Array = new Uint8Array(0);
  #from = 0;
  #to = 0;
  #lastBatch = 0;
  #body: Uint8Array = new Uint8Array(smallest);

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** From the next packet on. */
  rekey(sealer: Sealer, resetSequence: boolean): void {
    this.#sealer = sealer;
    this.bytesOfKey = 0;
    this.packetsOfKey = 0;
    if (resetSequence) this.#sequence = 0;
  }

  /** Bytes that are no packet: the version line. */
  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#slab.set(bytes, at);
  }

  /** Frames and seals one payload, which is copied. */
  packet(payload: Uint8Array): void {
    const { block, lengthInBlocks, tag } = this.#sealer;
    const padding = paddingFor(payload.length, block, lengthInBlocks);
    const length = 1 + payload.length + padding;
    if (this.#body.length < length) this.#body = new Uint8Array(Math.max(length, 2 * this.#body.length));
    const body = this.#body.subarray(0, length);
    body[0] = padding;
    body.set(payload, 1);
    this.#chance(body, 1 + payload.length, padding);
    const at = this.#room(4 + length + tag);
    this.#sealer.seal(body, this.#sequence, this.#slab, at);
    // payloads may be passwords
    body.fill(0);
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.bytesOfKey += length;
    this.packetsOfKey++;
  }

  /** Everything since the last call, in order; the pieces are the caller's. */
  take(): Uint8Array[] {
    const pieces = this.#full;
    if (this.#to > this.#from) pieces.push(this.#slab.subarray(this.#from, this.#to));
    this.#full = [];
    this.#from = this.#to;
    this.#lastBatch = this.ready;
    this.ready = 0;
    if (this.#slab.length > 16384 && this.#lastBatch < 4096) {
      this.#slab = new Uint8Array(0);
      this.#from = 0;
      this.#to = 0;
      this.#body = new Uint8Array(smallest);
    }
    return pieces;
  }

  /** Where to write the next `count` bytes in the slab. */
  #room(count: number): number {
    if (this.#to + count > this.#slab.length) {
      if (this.#to > this.#from) this.#full.push(this.#slab.subarray(this.#from, this.#to));
      const size = Math.min(largest, Math.max(smallest, 2 * this.#lastBatch, 2 * this.ready));
      this.#slab = Buffer.allocUnsafeSlow(Math.max(count, size));
      this.#from = 0;
      this.#to = 0;
    }
    const at = this.#to;
    this.#to += count;
    this.ready += count;
    return at;
  }
}
