/**
 * Reading the file of a recording part by part, from anything that gives bytes at an offset. Every length is bounded
 * before it is read, and every part is checked against the chain before it is handed out; nothing is decrypted here.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { same } from '../base/bytes.ts';
import { codeOf } from '../base/errors.ts';
import { blockHash, headerHash } from './block.ts';
import {
  type BlockHead,
  decodeHead,
  decodeHeader,
  decodePreamble,
  decodeSeal,
  hashLength,
  headLength,
  isViolation,
  maxReason,
  partAt,
  preambleLength,
  type RecordingHeader,
  type Seal,
  sealLength,
  signatureLength,
} from './format/container.ts';

/** Where bytes come from. Reading past the end gives fewer bytes. */
export interface Source {
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface HeaderPart {
  readonly kind: 'header';
  readonly header: RecordingHeader;
  readonly hash: Uint8Array;
  /** Preamble, header and hash. */
  readonly bytes: Uint8Array;
}

export interface BlockPart {
  readonly kind: 'block';
  readonly head: BlockHead;
  readonly payload: Uint8Array;
  readonly previous: Uint8Array;
  readonly hash: Uint8Array;
  readonly offset: number;
  /** Head, payload and hash. */
  readonly bytes: Uint8Array;
}

export interface SealPart {
  readonly kind: 'seal';
  readonly seal: Seal;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** The file ends without a seal, in the middle of a part or cleanly after one. `number` is the block that is missing. */
export interface CutPart {
  readonly kind: 'cut';
  readonly number: number;
  readonly offset: number;
}

/** A part is not as it was written. `where` is `header`, `block 7` or `seal`; `number` as in a cut. */
export interface BrokenPart {
  readonly kind: 'broken';
  readonly where: string;
  readonly words: string;
  readonly number: number;
  readonly offset: number;
}

export type Part = HeaderPart | BlockPart | SealPart | CutPart | BrokenPart;

/** A source over an open file. */
export function fileSource(file: FileHandle): Source {
  return {
    async read(offset, length) {
      const buffer = new Uint8Array(length);
      let at = 0;
      while (at < length) {
        const { bytesRead } = await file.read(buffer, at, length - at, offset + at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return buffer.subarray(0, at);
    },
  };
}

/** A block in the file from which reading goes on: its number, and where it stands. */
export interface Place {
  readonly number: number;
  readonly offset: number;
}

/**
 * The parts of the file at `path`, which is closed when the iteration ends: all, or the header and what stands from a
 * place on. A file that is not there is a broken header.
 */
export async function* readParts(path: string, place?: Place): AsyncGenerator<Part> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return yield { kind: 'broken', where: 'header', words: 'there is no file', number: 0, offset: 0 };
  }
  await using _ = file;
  yield* partsOf(fileSource(file), place);
}

/** Header, blocks in order (from a place on, if one is given), and at last exactly one of seal, cut or broken. */
export async function* partsOf(source: Source, place?: Place): AsyncGenerator<Part> {
  const broken = (where: string, words: string, number: number, offset: number): BrokenPart => {
    return { kind: 'broken', where, words, number, offset };
  };
  const preamble = await source.read(0, preambleLength);
  const length = decodePreamble(preamble);
  if (typeof length !== 'number') return yield broken('header', length.violation, 0, 0);
  const whole = await source.read(0, preambleLength + length + hashLength);
  if (whole.length < preambleLength + length + hashLength) return yield { kind: 'cut', number: 0, offset: 0 };
  const hash = headerHash(whole.subarray(0, preambleLength + length));
  if (!same(hash, whole.subarray(preambleLength + length))) return yield broken('header', 'hash differs', 0, 0);
  const header = decodeHeader(whole.subarray(preambleLength, preambleLength + length));
  if (isViolation(header)) return yield broken('header', header.violation, 0, 0);
  yield { kind: 'header', header, hash, bytes: whole };

  let offset = place?.offset ?? whole.length;
  // before a place stands the hash of the block before it, which that block's own binds to
  let previous: Uint8Array = place === undefined ? hash : await source.read(place.offset - hashLength, hashLength);
  for (let number = place?.number ?? 0; ; number++) {
    const part = await nextPart(source, number, offset, previous);
    yield part;
    if (part.kind !== 'block') return;
    offset += part.bytes.length;
    previous = part.hash;
  }
}

async function nextPart(
  source: Source,
  number: number,
  offset: number,
  previous: Uint8Array,
): Promise<BlockPart | SealPart | CutPart | BrokenPart> {
  const where = `block ${number}`;
  const start = await source.read(offset, headLength);
  if (start.length < headLength) return { kind: 'cut', number, offset };
  if (partAt(start) === 'seal') return readSeal(source, number, offset, previous);
  const head = decodeHead(start);
  if (isViolation(head)) return { kind: 'broken', where, words: head.violation, number, offset };
  if (head.number !== number) {
    return { kind: 'broken', where, words: `block ${head.number} stands in its place`, number, offset };
  }
  const length = headLength + head.stored + hashLength;
  const bytes = await source.read(offset, length);
  if (bytes.length < length) return { kind: 'cut', number, offset };
  const payload = bytes.subarray(headLength, headLength + head.stored);
  const hash = blockHash(previous, bytes.subarray(0, headLength), payload);
  if (!same(hash, bytes.subarray(headLength + head.stored))) {
    return { kind: 'broken', where, words: 'hash differs', number, offset };
  }
  return { kind: 'block', head, payload, previous, hash, offset, bytes };
}

async function readSeal(
  source: Source,
  number: number,
  offset: number,
  previous: Uint8Array,
): Promise<SealPart | CutPart | BrokenPart> {
  const bytes = await source.read(offset, sealLength + maxReason + signatureLength + 1);
  const broken = (words: string): BrokenPart => ({ kind: 'broken', where: 'seal', words, number, offset });
  const found = decodeSeal(bytes);
  if (isViolation(found)) return broken(found.violation);
  const { seal } = found;
  if (seal.blocks !== number) {
    const words = `the seal is for ${seal.blocks} blocks, ${number} are here`;
    return { kind: 'broken', where: `block ${Math.min(number, seal.blocks)}`, words, number, offset };
  }
  if (seal.size !== offset) return broken('the sealed length differs');
  if (!same(seal.head, previous)) return broken('the sealed hash differs');
  return { kind: 'seal', ...found };
}
