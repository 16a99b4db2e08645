/**
 * One block: compressed, encrypted and hashed, or the other way round. Outside the pure folder because zstd, AES and
 * SHA-256 are Node's. FORMAT.md §3 is the document.
 *
 * Each block is a zstd frame of its own, with the last 32 KiB of the plaintext before it as dictionary unless it is
 * `fresh`. That is as small as one zstd stream over the whole recording, leaves nothing in memory between blocks, and a
 * recording that was cut off is readable up to its last whole block.
 *
 * INVARIANT: one key never encrypts two different blocks of one number: the IV is the number. A recording is therefore
 * never continued in a second file, and a block that could not be written is never written differently.
 */
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { concat, empty } from '../base/bytes.ts';
import type { Secret } from '../base/secret.ts';
import { RecordingError } from './errors.ts';
import { type BlockHead, encodeHead, headerContext, tagLength } from './format/container.ts';
import { historyBytes, maxPlain } from './format/limits.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
/** A window of 128 KiB holds the dictionary and any block that uses it; a larger one costs a fifth more and gains nothing. */
const params = {
  [constants.ZSTD_c_compressionLevel]: 1,
  [constants.ZSTD_c_windowLog]: 17,
  [constants.ZSTD_c_contentSizeFlag]: 0,
};
const chunkSize = 64 * 1024;

/** Blocks of more bytes gain nothing by a dictionary; and every so often a reader may begin in the middle. */
const freshAbove = 64 * 1024;
const freshEvery = 64;

/** The key as node:crypto wants it for speed. Throws `recording.key` if it is not 32 bytes. */
export function dataKey(key: Secret): KeyObject {
  if (key.length !== 32) throw new RecordingError('recording.key', `${key.length} bytes`);
  return createSecretKey(key.reveal());
}

/** SHA-256 of the header, with which the chain begins. `header` is preamble and header as in the file. */
export function headerHash(header: Uint8Array): Uint8Array {
  return createHash('sha256').update(headerContext).update(header).digest();
}

/** The hash of a block: of the hash before it, its head and its payload. */
export function blockHash(previous: Uint8Array, head: Uint8Array, ...payload: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256').update(previous).update(head);
  for (const piece of payload) hash.update(piece);
  return hash.digest();
}

function iv(number: number): Uint8Array {
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setUint32(8, number);
  return bytes;
}

/** Plaintext of the blocks before, as far as the next one may refer to it. */
export interface History {
  readonly bytes: Uint8Array;
}

export const noHistory: History = { bytes: empty };

export function remember(history: History, plain: Uint8Array, fresh: boolean): History {
  if (plain.length >= historyBytes) return { bytes: plain.slice(-historyBytes) };
  const kept = fresh ? empty : history.bytes.subarray(Math.max(0, history.bytes.length + plain.length - historyBytes));
  return { bytes: concat([kept, plain]) };
}

export interface OpenBlock {
  readonly number: number;
  readonly end: boolean;
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly events: number;
  readonly from: number;
  readonly until: number;
}

export interface ClosedBlock {
  /** Head, payload and hash as they stand in the file. */
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  readonly history: History;
}

/** Makes the bytes of a block. `binding` is the header's hash, `previous` that of the block before. */
export async function closeBlock(
  block: OpenBlock,
  history: History,
  previous: Uint8Array,
  binding: Uint8Array,
  key: KeyObject,
): Promise<ClosedBlock> {
  const { plain, number } = block;
  const fresh = number % freshEvery === 0 || plain.length > freshAbove || history.bytes.length === 0;
  const packed = await compress(plain, { params, chunkSize, ...(!fresh && { dictionary: history.bytes }) });
  const head = encodeHead({
    part: 'block',
    number,
    fresh,
    end: block.end,
    plain: plain.length,
    stored: packed.length + tagLength,
    events: block.events,
    from: block.from,
    until: block.until,
  });
  const cipher: CipherGCM = createCipheriv('aes-256-gcm', key, iv(number));
  cipher.setAAD(concat([binding, head]));
  const payload = [cipher.update(packed), cipher.final(), cipher.getAuthTag()];
  const hash = blockHash(previous, head, ...payload);
  return { bytes: concat([head, ...payload, hash]), hash, history: remember(history, plain, fresh) };
}

/** The plaintext of a block. Throws `recording.key` if key or header are not those it was written with, `recording.broken` if it cannot be. */
export async function readBlock(
  head: BlockHead,
  payload: Uint8Array,
  history: History,
  binding: Uint8Array,
  key: KeyObject,
): Promise<{ plain: Uint8Array; history: History }> {
  const decipher = createDecipheriv('aes-256-gcm', key, iv(head.number), { authTagLength: tagLength });
  decipher.setAAD(concat([binding, encodeHead(head)]));
  decipher.setAuthTag(payload.subarray(payload.length - tagLength));
  let packed: Uint8Array;
  try {
    packed = concat([decipher.update(payload.subarray(0, payload.length - tagLength)), decipher.final()]);
  } catch (cause) {
    throw new RecordingError('recording.key', `block ${head.number}`, { cause });
  }
  try {
    const options = { maxOutputLength: Math.max(1, Math.min(head.plain, maxPlain)) };
    const unpacked = await decompress(packed, head.fresh ? options : { ...options, dictionary: history.bytes });
    const plain = new Uint8Array(unpacked.buffer, unpacked.byteOffset, unpacked.length);
    if (plain.length !== head.plain)
      throw new RecordingError('recording.broken', `block ${head.number}: length differs`);
    return { plain, history: remember(history, plain, head.fresh) };
  } catch (cause) {
    if (cause instanceof RecordingError) throw cause;
    throw new RecordingError('recording.broken', `block ${head.number}: not to be decompressed`, { cause });
  }
}
