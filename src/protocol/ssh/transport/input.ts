/**
 * Bytes in, payloads out: cuts the stream into packets and opens them. Packets that lie whole in a read are opened
 * where they are; only one that runs over the end of a read is copied. A length is judged before its packet is waited
 * for, so that nothing but `max` bytes can ever be held.
 */
import { concat, empty } from '../../../base/bytes.ts';
import { SshError } from '../errors.ts';
import { payloadOf, refuseLength } from '../wire/packet.ts';
import { isViolation } from '../wire/reader.ts';
import { type Opener, plainOpener } from './ciphers.ts';

/** More than this unread, while somebody is asked, means that reading was not stopped. */
const maxUnread = 1 << 20;

export class PacketInput {
  /** Sequence number of the packet that `next` returned last (RFC 4253 §6.4). */
  lastSequence = 0;
  /** Bytes and packets opened with the present key. */
  bytesOfKey = 0;
  packetsOfKey = 0;
  #sequence = 0;
  #opener: Opener = plainOpener;
  #chunk: Uint8Array = empty;
  #at = 0;
  /** The start of a packet that is not complete, `#held` bytes of it. */
  #partial: Uint8Array = empty;
  #held = 0;
  /** packet_length of the packet at the front, once known. */
  #length: number | undefined;

  /** From the next packet on. */
  rekey(opener: Opener, resetSequence: boolean): void {
    this.#opener = opener;
    this.bytesOfKey = 0;
    this.packetsOfKey = 0;
    if (resetSequence) this.#sequence = 0;
  }

  /** Takes the next bytes of the stream; they are used until `settle`. */
  push(chunk: Uint8Array): void {
    const unread = this.#chunk.length - this.#at;
    if (unread + chunk.length > maxUnread + 65536) throw new SshError('ssh.backlog', 'unread input');
    this.#chunk = unread === 0 ? chunk : concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Keeps what was pushed and not used, so that the caller may use its buffer again. */
  settle(): void {
    this.#chunk = this.#at < this.#chunk.length ? new Uint8Array(this.#chunk.subarray(this.#at)) : empty;
    this.#at = 0;
  }

  /** The next payload, a view until the next call; undefined when bytes are missing. Throws SshError. */
  next(max: number): Uint8Array | undefined {
    const { tag } = this.#opener;
    if (this.#held > 0) {
      if (!this.#fill(4)) return undefined;
      const length = this.#judge(this.#partial, 0, max);
      if (!this.#fill(4 + length + tag)) return undefined;
      this.#held = 0;
      return this.#open(this.#partial, 0, length);
    }
    const available = this.#chunk.length - this.#at;
    if (available < 4) return this.#hold(4);
    const length = this.#judge(this.#chunk, this.#at, max);
    if (available < 4 + length + tag) return this.#hold(4 + length + tag);
    const at = this.#at;
    this.#at += 4 + length + tag;
    return this.#open(this.#chunk, at, length);
  }

  #judge(bytes: Uint8Array, at: number, max: number): number {
    if (this.#length !== undefined) return this.#length;
    const length = this.#opener.length(bytes, at, this.#sequence);
    const refused = refuseLength(length, this.#opener.block, this.#opener.lengthInBlocks, max);
    if (refused !== undefined) throw new SshError('ssh.malformed', refused);
    this.#length = length;
    return length;
  }

  #open(bytes: Uint8Array, at: number, length: number): Uint8Array {
    const body = this.#opener.open(bytes, at, length, this.#sequence);
    if (body === undefined) throw new SshError('ssh.bad-mac');
    const payload = payloadOf(body);
    if (isViolation(payload)) throw new SshError('ssh.malformed', payload.violation);
    this.lastSequence = this.#sequence;
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.#length = undefined;
    this.bytesOfKey += length;
    this.packetsOfKey++;
    return payload;
  }

  /** Moves what is left of the chunk into the partial packet, which will have `total` bytes as far as is known. */
  #hold(total: number): undefined {
    if (this.#at < this.#chunk.length) this.#fill(total);
  }

  /** Fills the partial packet up to `total` bytes; false if the chunk ends before. */
  #fill(total: number): boolean {
    if (this.#partial.length < total) {
      const grown = new Uint8Array(Math.max(total, 1024));
      grown.set(this.#partial.subarray(0, this.#held));
      this.#partial = grown;
    }
    const count = Math.min(total - this.#held, this.#chunk.length - this.#at);
    if (count > 0) {
      this.#partial.set(this.#chunk.subarray(this.#at, this.#at + count), this.#held);
      this.#held += count;
      this.#at += count;
    }
    return this.#held >= total;
  }
}
