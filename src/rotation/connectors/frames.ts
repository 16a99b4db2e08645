/** Frames on a pipe: 32-bit length, then so many bytes. Longer ones than `longest` end the reading with an error. */
import type { Readable, Writable } from 'node:stream';
import { RotationError } from '../errors.ts';

export const longestFrame = 256 * 1024;

/** One frame, ready to be written. */
export function frame(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(4 + bytes.length);
  new DataView(out.buffer).setUint32(0, bytes.length);
  out.set(bytes, 4);
  return out;
}

/** What a frame to a connector process is. */
export type Parcel = 'head' | 'secret' | 'signature';
const parcels: readonly Parcel[] = ['head', 'secret', 'signature'];

/** One frame with its kind in front. The copy is zeroed once the pipe has taken it. */
export function writeParcel(pipe: Writable, kind: Parcel, bytes: Uint8Array): void {
  const parcel = new Uint8Array(1 + bytes.length);
  parcel[0] = parcels.indexOf(kind);
  parcel.set(bytes, 1);
  writeFrame(pipe, parcel);
  parcel.fill(0);
}

/** The kind and the contents of a frame. Throws `rotation.worker-protocol` for a kind that there is not. */
export function opened(parcel: Uint8Array): [Parcel, Uint8Array] {
  const kind = parcels[parcel[0] ?? 255];
  if (kind === undefined) throw new RotationError('rotation.worker-protocol', 'a frame of an unknown kind');
  return [kind, parcel.subarray(1)];
}

/** Writes one frame and zeroes the copy of it once the pipe has taken it. */
export function writeFrame(pipe: Writable, bytes: Uint8Array): void {
  const out = frame(bytes);
  pipe.write(out, () => out.fill(0));
}

/** The frames of a stream; ends with it. Throws `rotation.worker-protocol` on a frame that is too long or cut short. */
export async function* frames(stream: Readable): AsyncGenerator<Uint8Array, void, void> {
  let waiting = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const joined = Buffer.concat([waiting, chunk]);
    waiting.fill(0);
    chunk.fill(0);
    waiting = joined;
    while (waiting.length >= 4) {
      const length = waiting.readUInt32BE(0);
      if (length > longestFrame) throw new RotationError('rotation.worker-protocol', `a frame of ${length} bytes`);
      if (waiting.length < 4 + length) break;
      const bytes = new Uint8Array(waiting.subarray(4, 4 + length));
      const rest = Buffer.from(waiting.subarray(4 + length));
      waiting.fill(0);
      waiting = rest;
      yield bytes;
    }
  }
  if (waiting.length > 0) throw new RotationError('rotation.worker-protocol', 'a frame was cut short');
}
