/**
 * Updates of the picture and the pointer out of what a server sends: fast-path output (MS-RDPBCGR §2.2.9.1.2) with its
 * fragments and its compression, and the slow path's data (§2.2.9.1.1). Pure. Both become the same thing, a fast-path
 * update code with its payload, which the screen draws and the recording keeps.
 *
 * It refuses encrypted output (there is TLS around it), fragments out of order and updates that are too long.
 */
import { concat } from '../../../base/bytes.ts';
import { LittleReader } from '../../wire/little-reader.ts';
import { isViolation, type Violation } from '../../wire/violation.ts';
import type { Bulk } from './bulk.ts';
import { maxUpdateBytes } from './limits.ts';

/** Fast-path update codes (§2.2.9.1.2.1). */
export const updateCode = {
  orders: 0,
  bitmap: 1,
  palette: 2,
  synchronize: 3,
  surfaceCommands: 4,
  pointerNone: 5,
  pointerDefault: 6,
  pointerPosition: 8,
  pointerColor: 9,
  pointerCached: 10,
  pointerNew: 11,
  pointerLarge: 12,
} as const;

export interface Update {
  readonly code: number;
  readonly payload: Uint8Array;
}

/** Fast-path output of one side: remembers the fragments of an update that is not whole yet. */
export interface FastPath {
  /** The updates that one whole PDU completes; payloads are views into it if they are in one piece and not compressed. */
  read(pdu: Uint8Array): readonly Update[] | Violation;
}

const fragment = { single: 0, last: 1, first: 2, next: 3 } as const;

export function openFastPath(bulk: Bulk): FastPath {
  let begun: { readonly code: number; readonly pieces: Uint8Array[]; length: number } | undefined;

  /** Takes one fragment in; the update that it completes, if it does. */
  function fit(code: number, place: number, piece: Uint8Array): Update | Violation | undefined {
    if (place === fragment.single || place === fragment.first) {
      if (begun !== undefined) return { violation: 'update begins within another' };
      if (place === fragment.single) return { code, payload: piece };
      begun = { code, pieces: [], length: 0 };
    }
    if (begun === undefined || begun.code !== code) return { violation: 'fragment of an update that has not begun' };
    begun.length += piece.length;
    if (begun.length > maxUpdateBytes) return { violation: 'update is too long' };
    // a copy: the caller's buffer is used again before the last fragment comes
    begun.pieces.push(piece.slice());
    if (place !== fragment.last) return undefined;
    const payload = concat(begun.pieces);
    begun = undefined;
    return { code, payload };
  }

  return {
    read(pdu) {
      const reader = new LittleReader(pdu);
      const header = reader.u8();
      if ((header & 3) !== 0) reader.fail('not a fast-path PDU');
      if ((header & 0xc0) !== 0) reader.fail('fast-path output is encrypted or signed');
      const short = reader.u8();
      const length = short < 0x80 ? short : ((short & 0x7f) << 8) | reader.u8();
      if (length !== pdu.length) reader.fail('length of a fast-path PDU is not its own');
      const updates: Update[] = [];
      while (reader.remaining > 0) {
        const head = reader.u8();
        const packed = head >> 6 === 2;
        const flags = packed ? reader.u8() : 0;
        const bytes = reader.raw(reader.u16());
        if (reader.violation !== undefined) break;
        const piece = bulk.open(flags, bytes);
        if (isViolation(piece)) return piece;
        const update = fit(head & 15, (head >> 4) & 3, piece);
        if (update === undefined) continue;
        if (isViolation(update)) return update;
        updates.push(update);
      }
      return reader.violation === undefined ? updates : { violation: reader.violation };
    },
  };
}

/** pduType2 of what the slow path has of updates (§2.2.8.1.1.1.2). */
const dataUpdate = 0x02;
const dataPointer = 0x1b;

/** TS_POINTER_PDU's messageType as an update code (§2.2.9.1.1.4). */
const pointerCodes = new Map<number, number>([
  [3, updateCode.pointerPosition],
  [6, updateCode.pointerColor],
  [7, updateCode.pointerCached],
  [8, updateCode.pointerNew],
  [9, updateCode.pointerLarge],
]);

/**
 * The update that a share data PDU is, from its pduType2 and its body after decompression; undefined if it is
 * something else. The payload is a view into the body.
 */
export function slowPathUpdate(pduType2: number, body: Uint8Array): Update | Violation | undefined {
  const reader = new LittleReader(body);
  if (pduType2 === dataUpdate) {
    const code = reader.u16();
    if (code > updateCode.synchronize) reader.fail('unknown type of an update');
    // its type is part of a fast-path bitmap or palette as well
    const plain = code === updateCode.bitmap || code === updateCode.palette;
    // padding stands before the number of orders, which comes first on the fast path (MS-RDPEGDI §2.2.2.1)
    if (code === updateCode.orders) reader.skip(2);
    return reader.violation === undefined
      ? { code, payload: plain ? body : reader.rest() }
      : { violation: reader.violation };
  }
  if (pduType2 !== dataPointer) return undefined;
  const type = reader.u16();
  reader.skip(2);
  let code = pointerCodes.get(type);
  if (type === 1) code = reader.u32() === 0 ? updateCode.pointerNone : updateCode.pointerDefault;
  const payload = reader.rest();
  if (reader.violation !== undefined) return { violation: reader.violation };
  return code === undefined ? { violation: 'unknown message of a pointer' } : { code, payload };
}
