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
