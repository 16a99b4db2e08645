/**
 * Key frames: the whole screen every so often, in a file of its own beside the recording, so that looking at the end of
 * a long session does not mean drawing all of it. They are derived, never evidence: who loses them makes them again.
 *
 * They show what the recording shows and are as secret. Their key is made from the recording's and a salt that is new
 * with every file: frames that are made again, perhaps by another version, never meet an IV twice (FORMAT.md §8).
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { concat, same, utf8 } from '../base/bytes.ts';
import { codeOf } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import { RecordingError } from './errors.ts';
import { isViolation, tagLength } from './format/container.ts';
import {
  decodeFrameHead,
  decodeFramesHead,
  encodeFrameHead,
  encodeFramesHead,
  type FrameHead,
  type FramesHead,
  frameHeadLength,
  framesHeadLength,
  saltLength,
} from './format/frames.ts';
import { readBlocks, type ReadBlock } from './playback.ts';
import { fileSource, type Place, readParts } from './reading.ts';
import { openScene } from './scene.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** A frame is made after so much recorded time, or so many bytes of updates. */
const everyMicros = 30e6;
const everyBytes = 8 * 1024 * 1024;

/** The file that belongs to a recording's. */
export function framesPath(recording: string): string {
  return `${recording}.frames`;
}

export interface KeyFrames extends AsyncDisposable {
  /** The heads of all frames, in order of time. */
  readonly heads: readonly (FrameHead & { readonly offset: number })[];
  /** The snapshot of one of them. Throws `recording.broken` or `recording.key`. */
  snapshot(head: FrameHead & { readonly offset: number }): Promise<Uint8Array>;
}

function frameKey(key: Secret, { salt }: FramesHead): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key.reveal(), salt, utf8('sallyport key frames 1'), 32));
}

function iv(number: number): Uint8Array {
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setUint32(8, number);
  return bytes;
}

/** The hash of a recording's header, to which everything of it is bound. */
async function bindingOf(recording: string): Promise<Uint8Array> {
  for await (const part of readParts(recording)) {
    if (part.kind === 'header') return part.hash;
    break;
  }
  throw new RecordingError('recording.broken', 'header');
}

/**
 * Makes the key frames of a whole recording anew, under the name of `framesPath`; nothing is there under it until all
 * are made. Throws as reading the recording does.
 */
export async function makeKeyFrames(recording: string, key: Secret, signal: AbortSignal): Promise<void> {
  const part = `${framesPath(recording)}.${process.pid}.part`;
  try {
    await using file = await open(part, 'w', 0o600);
    const head = { salt: new Uint8Array(randomBytes(saltLength)), binding: await bindingOf(recording) };
    await file.write(encodeFramesHead(head));
    await writeFrames(file, head, readBlocks(recording, key, signal), key);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  await rename(part, framesPath(recording));
}

async function writeFrames(
  file: FileHandle,
  head: FramesHead,
  blocks: AsyncIterable<ReadBlock>,
  key: Secret,
): Promise<void> {
  const own = frameKey(key, head);
  const scene = openScene();
  let fresh: Place | undefined;
  let [number, frameAt, bytes] = [0, 0, 0];
  let at = 0;
  for await (const block of blocks) {
    if (block.fresh) fresh = block.place;
    const due = at - frameAt >= everyMicros || bytes >= everyBytes;
    const snapshot = due && !scene.pending && fresh !== undefined ? scene.snapshot() : undefined;
    if (snapshot !== undefined && fresh !== undefined) {
      const place = { number: number++, at, next: block.place.number, fresh };
      await file.write(await sealFrame(place, snapshot, head.binding, own));
      frameAt = at;
      bytes = 0;
    }
    for (const event of block.events) {
      scene.see(event);
      at = event.at;
      if (event.detail.kind === 'picture') bytes += event.detail.payload.length;
    }
  }
  own.fill(0);
}

async function sealFrame(
  place: Omit<FrameHead, 'plain' | 'stored'>,
  snapshot: Uint8Array,
  binding: Uint8Array,
  key: Uint8Array,
): Promise<Uint8Array> {
  const packed = await compress(snapshot);
  const head = encodeFrameHead({ ...place, plain: snapshot.length, stored: packed.length + tagLength });
  const cipher = createCipheriv('aes-256-gcm', key, iv(place.number));
  cipher.setAAD(concat([binding, head]));
  return concat([head, cipher.update(packed), cipher.final(), cipher.getAuthTag()]);
}

/** The key frames of a recording, or undefined if there are none that are its own and whole: then they can be made. */
export async function openKeyFrames(recording: string, key: Secret): Promise<KeyFrames | undefined> {
  let file: FileHandle;
  try {
    file = await open(framesPath(recording), 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const found = await index(file, await bindingOf(recording)).catch(async (error: unknown) => {
    await file.close();
    throw error;
  });
  if (found === undefined) {
    await file.close();
    return undefined;
  }
  const { head, heads } = found;
  const own = frameKey(key, head);
  return {
    heads,
    async snapshot(frame) {
      const stored = await fileSource(file).read(frame.offset + frameHeadLength, frame.stored);
      const decipher = createDecipheriv('aes-256-gcm', own, iv(frame.number), { authTagLength: tagLength });
      decipher.setAAD(concat([head.binding, encodeFrameHead(frame)]));
      decipher.setAuthTag(stored.subarray(stored.length - tagLength));
      try {
        const packed = concat([decipher.update(stored.subarray(0, stored.length - tagLength)), decipher.final()]);
        return new Uint8Array(await decompress(packed, { maxOutputLength: frame.plain }));
      } catch (cause) {
        throw new RecordingError('recording.key', `key frame ${frame.number}`, { cause });
      }
    },
    async [Symbol.asyncDispose]() {
      own.fill(0);
      await file.close();
    },
  };
}

async function index(
  file: FileHandle,
  binding: Uint8Array,
): Promise<{ head: FramesHead; heads: (FrameHead & { offset: number })[] } | undefined> {
  const source = fileSource(file);
  const head = decodeFramesHead(await source.read(0, framesHeadLength));
  if (isViolation(head) || !same(head.binding, binding)) return undefined;
  const { size } = await file.stat();
  const heads: (FrameHead & { offset: number })[] = [];
  for (let offset = framesHeadLength; offset < size; ) {
    const frame = decodeFrameHead(await source.read(offset, frameHeadLength));
    if (isViolation(frame) || frame.number !== heads.length) return undefined;
    const end = offset + frameHeadLength + frame.stored;
    if (end > size) return undefined;
    heads.push({ ...frame, offset });
    offset = end;
  }
  return { head, heads };
}
