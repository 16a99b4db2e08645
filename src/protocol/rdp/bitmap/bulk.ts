/**
 * Bulk decompression: MPPC with a history of 8 or 64 KiB (MS-RDPBCGR §3.1.8). Pure. One history runs through all that
 * one side sends, fast path and slow path alike: every compressed message must be given to it, in order, also those that
 * nobody wants to read.
 *
 * It refuses the younger ways of compression (nobody is let ask for them), a match that begins before the history or a
 * message that ends past it. Never more than the history's size comes out of one message.
 */
import type { Violation } from '../../wire/violation.ts';

const compressed = 0x20;
const atFront = 0x40;
const flushed = 0x80;

export interface Bulk {
  /**
   * What a message says, by its compression flags (§3.1.8.2.1): itself if it is not compressed, else new bytes. After
   * a violation the history is of no use, and nor is anything that follows.
   */
  open(flags: number, bytes: Uint8Array): Uint8Array | Violation;
}

export function openBulk(): Bulk {
  const history = new Uint8Array(65536);
  let at = 0;
  let lost = false;
  return {
    open(flags, bytes) {
      if ((flags & flushed) !== 0) {
        history.fill(0);
        at = 0;
        lost = false;
      } else if ((flags & atFront) !== 0) at = 0;
      if ((flags & compressed) === 0) return bytes;
      if (lost) return { violation: 'compressed message after a broken one' };
      const kind = flags & 15;
      if (kind > 1) return { violation: 'message is compressed in an unknown way' };
      const end = expand(bytes, history, at, kind === 1);
      if (typeof end !== 'number') {
        lost = true;
        return end;
      }
      const from = at;
      at = end;
      return history.slice(from, end);
    },
  };
}

/** Continues the history with what the bits say; where it ends now. */
function expand(bytes: Uint8Array, history: Uint8Array, start: number, large: boolean): number | Violation {
  const size = large ? 65536 : 8192;
  // of a match: ones before the zero at most, so that its length stays below the history's
  const longest = large ? 14 : 11;
  const total = 8 * bytes.length;
  let at = start;
  // `held` bits of `bits` are not used yet; what is above them is
  let bits = 0;
  let held = 0;
  let next = 0;
  let used = 0;

  function need(count: number): void {
    while (held < count) {
      // past the end come zeros: whether they were used is checked by `used`
      bits = ((bits << 8) | (next < bytes.length ? (bytes[next] as number) : 0)) & 0xffffff;
      next++;
      held += 8;
    }
  }
  function take(count: number): number {
    need(count);
    held -= count;
    used += count;
    return (bits >>> held) & ((1 << count) - 1);
  }
  function ones(most: number): number {
    let count = 0;
    while (count < most && take(1) === 1) count++;
    return count;
  }

  // fewer than eight bits at the end are padding
  while (total - used >= 8) {
    const prefix = ones(large ? 5 : 4);
    if (prefix < 2) {
      if (at >= size) return { violation: 'compressed message goes past its history' };
      history[at++] = prefix === 0 ? take(7) : 0x80 | take(7);
      if (used > total) return endsEarly;
      continue;
    }
    const offset = large
      ? prefix === 5
        ? take(6)
        : prefix === 4
          ? 64 + take(8)
          : prefix === 3
            ? 320 + take(11)
            : 2368 + take(16)
      : prefix === 4
        ? take(6)
        : prefix === 3
          ? 64 + take(8)
          : 320 + take(13);
    const tail = ones(longest + 1);
    if (tail > longest) return { violation: 'compressed message has a match of impossible length' };
    const length = tail === 0 ? 3 : 2 ** (tail + 1) + take(tail + 1);
    if (used > total) return endsEarly;
    if (length > size - at) return { violation: 'compressed message goes past its history' };
    if (offset === 0 || offset >= size) return { violation: 'compressed message has a match out of its history' };
    // a history that was begun anew at its front still ends with what it had
    let from = (at - offset) & (size - 1);
    for (const end = at + length; at < end; from = (from + 1) & (size - 1)) history[at++] = history[from] as number;
  }
  return at;
}

const endsEarly: Violation = { violation: 'compressed message ends early' };
