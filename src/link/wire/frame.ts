/**
 * Frames of a line between two of our own processes. Pure: bytes in, frames out.
 *
 *   uint32  length of everything that follows, at most `maxFrame`
 *   uint8   kind: 1 ask, 2 answer, 3 refused, 4 failed, 5 tell, 6 part, 7 cancel
 *   uint32  number of the question that this belongs to (0 for tell)
 *   uint32  length of the JSON text
 *   bytes   JSON text, UTF-8
 *   …       the byte strings that the JSON refers to: uint32 length, bytes, repeated to the frame's end
 *
 * Bytes never travel inside the JSON: a byte string stands there as `{"$bytes": n}`, its place in the list behind.
 * So a secret is copied once, and no JSON text that could end in a log ever holds it.
 */
import { concat, text, utf8 } from '../../base/bytes.ts';

export const maxFrame = 4 * 1024 * 1024;
const maxBlobs = 64;
const head = 4 + 1 + 4 + 4;

export const kinds = ['ask', 'answer', 'refused', 'failed', 'tell', 'part', 'cancel'] as const;
export type FrameKind = (typeof kinds)[number];

export interface Frame {
  readonly kind: FrameKind;
  readonly number: number;
  readonly body: unknown;
}

export type Decoded =
  | { readonly kind: 'frame'; readonly frame: Frame; readonly rest: Uint8Array }
  | { readonly kind: 'more' }
  | { readonly kind: 'violation'; readonly reason: string };

/** The bytes of one frame. Byte strings anywhere in `body` travel behind the JSON. */
export function encodeFrame(frame: Frame): Uint8Array {
  const blobs: Uint8Array[] = [];
  const json = utf8(
    JSON.stringify(frame.body ?? null, function replace(this: unknown, key: string, value: unknown): unknown {
      const original = (this as Record<string, unknown>)[key];
      if (!(original instanceof Uint8Array)) return value;
      blobs.push(original);
      return { $bytes: blobs.length - 1 };
    }),
  );
  let length = head - 4 + json.length;
  for (const blob of blobs) length += 4 + blob.length;
  if (length > maxFrame || blobs.length > maxBlobs) throw new RangeError('frame too large');
  const start = new Uint8Array(head);
  const view = new DataView(start.buffer);
  view.setUint32(0, length);
  view.setUint8(4, kinds.indexOf(frame.kind) + 1);
  view.setUint32(5, frame.number);
  view.setUint32(9, json.length);
  const parts = [start, json];
  for (const blob of blobs) {
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, blob.length);
    parts.push(size, blob);
  }
  return concat(parts);
}

/** Takes one frame off the front of `bytes`. Byte strings of the body are copies. */
export function decodeFrame(bytes: Uint8Array): Decoded {
  if (bytes.length < 4) return { kind: 'more' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.getUint32(0);
  if (length > maxFrame || length < head - 4) return { kind: 'violation', reason: `frame of ${length} bytes` };
  if (bytes.length < 4 + length) return { kind: 'more' };
  const kind = kinds[view.getUint8(4) - 1];
  if (kind === undefined) return { kind: 'violation', reason: `frame kind ${view.getUint8(4)}` };
  const jsonLength = view.getUint32(9);
  const end = 4 + length;
  if (head + jsonLength > end) return { kind: 'violation', reason: 'JSON longer than its frame' };
  const blobs: Uint8Array[] = [];
  for (let at = head + jsonLength; at < end; ) {
    const size = at + 4 <= end ? view.getUint32(at) : Number.POSITIVE_INFINITY;
    if (at + 4 + size > end || blobs.length === maxBlobs)
      return { kind: 'violation', reason: 'byte string longer than its frame' };
    // not slice(): of a Buffer, which is what a socket gives, that would be no copy
    blobs.push(new Uint8Array(bytes.subarray(at + 4, at + 4 + size)));
    at += 4 + size;
  }
  let body: unknown;
  try {
    body = JSON.parse(text(bytes.subarray(head, head + jsonLength)), (_, value: unknown) => {
      if (typeof value !== 'object' || value === null || !('$bytes' in value)) return value;
      const blob = typeof value.$bytes === 'number' ? blobs[value.$bytes] : undefined;
      if (blob === undefined) throw new SyntaxError('byte string that is not there');
      return blob;
    });
  } catch {
    return { kind: 'violation', reason: 'body is no JSON' };
  }
  return { kind: 'frame', frame: { kind, number: view.getUint32(5), body }, rest: bytes.subarray(end) };
}
