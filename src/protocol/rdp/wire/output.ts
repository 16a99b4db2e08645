/**
 * A picture's update as fast-path messages of a server (MS-RDPBCGR §2.2.9.1.2), for those that cannot pass as they came.
 * Pure. How such messages are read is in `bitmap/update.ts`.
 */
import { concat } from '../../../base/bytes.ts';
import { LittleWriter } from '../../wire/little-writer.ts';

/** Bytes of one fragment: a message's length has 15 bits. */
const longestFragment = 0x3fff;
const fragment = { single: 0, last: 1, first: 2, next: 3 } as const;

/** One update, not compressed, in as many messages as it takes. */
export function encodeOutput(code: number, payload: Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += longestFragment)
    pieces.push(payload.subarray(at, at + longestFragment));
  return concat(
    pieces.map((piece, i) => {
      const first = i === 0;
      const last = i === pieces.length - 1;
      const place = first && last ? fragment.single : first ? fragment.first : last ? fragment.last : fragment.next;
      return new LittleWriter(piece.length + 6)
        .u8(0)
        .u16be(0x8000 | (piece.length + 6))
        .u8(code | (place << 4))
        .u16(piece.length)
        .raw(piece)
        .finish();
    }),
  );
}
