/**
 * The file of key frames beside a recording: its head, and the heads of its frames. Pure; encryption is keyframes.ts.
 * FORMAT.md §8 is the document. Decoders give the part or a violation; they never throw.
 */
import { same } from '../../base/bytes.ts';
import type { Violation } from './container.ts';
import { readFields, writeFields } from './fields.ts';

const magic = new Uint8Array([0x89, 0x53, 0x4c, 0x59, 0x46, 0x0d, 0x0a, 0x1a]);
const frameMarker = 0x4b465201;

export const saltLength = 32;
export const framesHeadLength = 8 + 4 + saltLength + 32;
export const frameHeadLength = 48;
/** A compressed screen of the largest size with its pointers, and its tag. */
export const maxFrame: number = 192 * 1024 * 1024;

export interface FramesHead {
  /** From which, with the recording's key, the file's own key is made. */
  readonly salt: Uint8Array;
  /** The header hash of the recording. */
  readonly binding: Uint8Array;
}

/** The head of one frame: the screen after all events before block `next`. */
export interface FrameHead {
  readonly number: number;
  /** Microseconds of the last event before. */
  readonly at: number;
  readonly next: number;
  /** The newest fresh block up to `next`, from which reading goes on. */
  readonly fresh: { readonly number: number; readonly offset: number };
  /** Bytes before and after compression and encryption. */
  readonly plain: number;
  readonly stored: number;
}

export function encodeFramesHead({ salt, binding }: FramesHead): Uint8Array {
  return writeFields(framesHeadLength).raw(magic).u16(1).u16(0).raw(salt).raw(binding).view();
}

export function decodeFramesHead(bytes: Uint8Array): FramesHead | Violation {
  const fields = readFields(bytes);
  if (!same(fields.take(8), magic)) fields.fail('not a file of key frames');
  if (fields.u16() !== 1 || fields.u16() !== 0) fields.fail('key frames of another version');
  const salt = fields.take(saltLength);
  const binding = fields.take(32);
  return fields.violation === undefined ? { salt, binding } : { violation: fields.violation };
}

export function encodeFrameHead({ number, at, next, fresh, plain, stored }: FrameHead): Uint8Array {
  const out = writeFields(frameHeadLength).u32(frameMarker).u32(number).u64(at).u32(next);
  return out.u32(fresh.number).u64(fresh.offset).u32(plain).u32(stored).u64(0).view();
}

export function decodeFrameHead(bytes: Uint8Array): FrameHead | Violation {
  const fields = readFields(bytes);
  if (fields.u32() !== frameMarker) fields.fail('not a key frame');
  const [number, at, next] = [fields.u32(), fields.u64(), fields.u32()];
  const fresh = { number: fields.u32(), offset: fields.u64() };
  const [plain, stored] = [fields.u32(), fields.u32()];
  if (fields.u64() !== 0) fields.fail('reserved bytes are not zero');
  if (fresh.number > next) fields.fail('key frame begins after itself');
  if (plain === 0 || plain > maxFrame || stored > maxFrame || stored < 16)
    fields.fail('key frame of an impossible size');
  return fields.violation === undefined ? { number, at, next, fresh, plain, stored } : { violation: fields.violation };
}
