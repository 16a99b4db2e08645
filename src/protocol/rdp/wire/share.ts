/**
 * Share control and share data headers (MS-RDPBCGR §2.2.8.1.1.1): what the data on the I/O channel is, once licensing
 * is over. Pure. One piece of data may hold several; they are walked by their own lengths.
 */
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Violation } from '../../wire/violation.ts';
import { serverUser } from './mcs.ts';

export const sharePdu = { demandActive: 1, confirmActive: 3, deactivateAll: 6, data: 7, redirection: 10 } as const;

/** Types of share data that the gate tells apart. */
export const shareDataType = {
  update: 0x02,
  control: 0x14,
  pointer: 0x1b,
  input: 0x1c,
  synchronize: 0x1f,
  refreshRect: 0x21,
  suppressOutput: 0x23,
  shutdownRequest: 0x24,
  shutdownDenied: 0x25,
  saveSessionInfo: 0x26,
  fontList: 0x27,
  fontMap: 0x28,
  persistentKeys: 0x2b,
  cacheError: 0x2c,
  offscreenError: 0x2e,
  setErrorInfo: 0x2f,
  autoReconnectStatus: 0x32,
} as const;

export interface Share {
  /** One of `sharePdu`. */
  readonly type: number;
  /** Where it begins in the bytes that were walked, and how long it is. */
  readonly at: number;
  readonly length: number;
  /** With its header; a view. */
  readonly bytes: Uint8Array;
}

export const shareHeader = 6;
/** With the header of share data. */
export const shareDataHeader = 18;

/** The share PDUs in the payload of the I/O channel, one after another. */
export function walkShare(payload: Uint8Array): readonly Share[] | Violation {
  const found: Share[] = [];
  for (let at = 0; at < payload.length; ) {
    const reader = new LittleReader(payload, at);
    const length = reader.u16();
    // keep-alive of flow control (T.128 §8.2): nothing in it, and its length is its mark
    if (length === 0x8000) {
      at += 8;
      continue;
    }
    const type = reader.u16() & 0x0f;
    if (reader.violation !== undefined || length < shareHeader || at + length > payload.length)
      return { violation: `a share PDU of ${length} bytes where ${payload.length - at} are left` };
    found.push({ type, at, length, bytes: payload.subarray(at, at + length) });
    at += length;
  }
  return found;
}

export interface ShareData {
  readonly shareId: number;
  /** One of `shareDataType`, or another. */
  readonly type: number;
  /** Flags of compression; 0 if the body is as it is. */
  readonly compression: number;
  readonly body: Uint8Array;
}

export function decodeShareData(share: Uint8Array): ShareData | Violation {
  const reader = new LittleReader(share, shareHeader);
  const shareId = reader.u32();
  reader.skip(4);
  const type = reader.u8();
  const compression = reader.u8();
  reader.skip(2);
  const body = reader.rest();
  return reader.violation === undefined ? { shareId, type, compression, body } : { violation: reader.violation };
}

/** A share data PDU of the server's, uncompressed. */
export function shareData(shareId: number, type: number, body: Uint8Array): Uint8Array {
  return new LittleWriter(shareDataHeader + body.length)
    .u16(shareDataHeader + body.length)
    .u16(0x17)
    .u16(serverUser)
    .u32(shareId)
    .u8(0)
    .u8(1)
    .u16(4 + body.length)
    .u8(type)
    .u8(0)
    .u16(0)
    .raw(body)
    .finish();
}

/** Writes another sender into a share PDU (pduSource). */
export function setShareSource(share: Uint8Array, user: number): void {
  share[4] = user & 0xff;
  share[5] = user >>> 8;
}
