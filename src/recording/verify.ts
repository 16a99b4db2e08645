/**
 * Is a recording as it was written? Works on a file alone, away from the installation, with the exported public key of
 * the seal; the keeper gives its own record of the blocks besides. A fault is named by the first part that has it.
 */
import { createPublicKey, verify } from 'node:crypto';
import { basename } from 'node:path';
import { concat, hex, same } from '../base/bytes.ts';
import { parseId, type RecordingId } from '../base/ids.ts';
import type { Secret } from '../base/secret.ts';
import { dataKey, type History, noHistory, readBlock } from './block.ts';
import { readEvents } from './format/codec.ts';
import { isViolation, type RecordingHeader, type Seal, type SealState, sealContext } from './format/container.ts';
import { type BlockPart, type Part, readParts, type SealPart } from './reading.ts';

export interface VerifyOptions {
  /** Raw ed25519 key of the installation that sealed. Without it the seal is checked against the key it names itself. */
  readonly publicKey?: Uint8Array;
  /** The recording that the file must be. Without it, the id that the file is named after, if any. */
  readonly id?: RecordingId;
  /** What the keeper knows about the blocks: number and hash. */
  readonly blocks?: readonly { readonly number: number; readonly hash: Uint8Array }[];
  /** With the data key every block is opened too. */
  readonly key?: Secret;
  /** Accepts a recording that is still being made: no seal, and perhaps half a block at the end. */
  readonly unsealed?: boolean;
}

export type Verdict =
  | {
      readonly ok: true;
      readonly header: RecordingHeader;
      readonly blocks: number;
      readonly state: SealState | 'open';
      readonly sealedAt?: number;
      /** Whether the seal was made by the key that was asked for. */
      readonly trusted: boolean;
    }
  /** `block 7: hash differs`. */
  | { readonly ok: false; readonly broken: string };

/** Verifies one file. Throws only what reading the file throws. */
export async function verifyRecording(path: string, options: VerifyOptions = {}): Promise<Verdict> {
  const id = options.id ?? parseId<RecordingId>(basename(path).split('.')[0] ?? '');
  return verifyParts(readParts(path), id === undefined ? options : { ...options, id });
}

/** The same over parts from anywhere. */
export async function verifyParts(parts: AsyncIterable<Part>, options: VerifyOptions): Promise<Verdict> {
  const known = new Map(options.blocks?.map((block) => [block.number, block.hash]));
  const wanted = options.id;
  const key = options.key === undefined ? undefined : dataKey(options.key);
  let header: RecordingHeader | undefined;
  let binding = new Uint8Array();
  let history: History = noHistory;
  let blocks = 0;

  async function fault(part: BlockPart): Promise<string | undefined> {
    const hash = known.get(part.head.number);
    if (hash !== undefined && !same(hash, part.hash)) return 'hash differs from the one the keeper was told';
    if (options.blocks !== undefined && hash === undefined && options.unsealed !== true)
      return 'the keeper was never told of it';
    if (key === undefined) return undefined;
    try {
      const opened = await readBlock(part.head, part.payload, history, binding, key);
      history = opened.history;
      const events = readEvents(opened.plain, part.head.from);
      if (isViolation(events)) return events.violation;
      return events.length === part.head.events ? undefined : 'the number of events differs';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
  for await (const part of parts) {
    if (part.kind === 'header') {
      if (wanted !== undefined && part.header.id !== wanted) return no('header', `this is recording ${part.header.id}`);
      header = part.header;
      binding = new Uint8Array(part.hash);
    } else if (part.kind === 'block') {
      const words = await fault(part);
      if (words !== undefined) return no(`block ${part.head.number}`, words);
      blocks++;
    } else if (part.kind === 'broken') return no(part.where, part.words);
    else if (part.kind === 'cut') {
      if (header === undefined) return no('header', 'cut off');
      if (known.size > blocks) return no(`block ${blocks}`, 'missing, though the keeper was told of it');
      if (options.unsealed !== true)
        return no(`block ${part.number}`, 'cut off: from here on the recording is missing, and its seal');
      return { ok: true, header, blocks, state: 'open', trusted: false };
    } else {
      if (header === undefined) return no('header', 'missing');
      if (known.size > blocks) return no(`block ${blocks}`, 'missing, though the keeper was told of it');
      const words = sealFault(part, options.publicKey);
      if (words !== undefined) return no('seal', words);
      const { state, sealedAt } = part.seal;
      return { ok: true, header, blocks, state, sealedAt, trusted: options.publicKey !== undefined };
    }
  }
  return no('header', 'missing');
}

function no(where: string, words: string): Verdict {
  return { ok: false, broken: `${where}: ${words}` };
}

function sealFault(part: SealPart, publicKey: Uint8Array | undefined): string | undefined {
  if (publicKey !== undefined && !same(publicKey, part.seal.publicKey)) {
    return `sealed with another key (${hex(part.seal.publicKey.subarray(0, 8))}…)`;
  }
  return sealSigned(part.seal, part.signed, part.signature) ? undefined : 'the signature does not fit';
}

/** Whether `signature` over `signed` was made by the key that the seal names. */
function sealSigned(seal: Seal, signed: Uint8Array, signature: Uint8Array): boolean {
  const x = Buffer.from(seal.publicKey).toString('base64url');
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    return verify(null, concat([sealContext, signed]), key, signature);
  } catch {
    return false;
  }
}
