/**
 * Where one message ends and the next begins on an RDP connection (MS-RDPBCGR §5.4): TPKT (RFC 1006) with a length of
 * two bytes, or fast-path with one or two. Pure.
 */
import type { Violation } from '../../wire/violation.ts';

export interface Frame {
  readonly kind: 'tpkt' | 'fast-path';
  /** Of the whole message with its header, in bytes. */
  readonly length: number;
}

/** The message that starts at `at`, `undefined` while its header is not complete. */
export function frameAt(bytes: Uint8Array, at: number): Frame | undefined | Violation {
  const left = bytes.length - at;
  if (left < 1) return undefined;
  const first = bytes[at] ?? 0;
  if (first === 3) {
    if (left < 4) return undefined;
    const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    return length < 7 ? { violation: `a TPKT of ${length} bytes` } : { kind: 'tpkt', length };
  }
  if ((first & 3) !== 0) return { violation: `a message that starts with ${first}` };
  if (left < 2) return undefined;
  const short = bytes[at + 1] ?? 0;
  if (short < 0x80) return short < 2 ? { violation: 'an empty message' } : { kind: 'fast-path', length: short };
  if (left < 3) return undefined;
  const length = ((short & 0x7f) << 8) | (bytes[at + 2] ?? 0);
  return length < 3 ? { violation: 'an empty message' } : { kind: 'fast-path', length };
}

/** Where the content of a fast-path message begins. */
export function fastPathContent(message: Uint8Array): number {
  return (message[1] ?? 0) < 0x80 ? 2 : 3;
}
