/**
 * The container of a recording: preamble, header, blocks, seal. Encodes and decodes the parts; hashing, encryption and
 * compression are done by whoever holds the parts (block.ts, outside this pure folder). FORMAT.md §2–4 is the document.
 *
 * Decoders take exactly the bytes of one part and give the part or a violation in words; they never throw.
 */
import { concat, same, utf8 } from '../../base/bytes.ts';
import { parseId, type RecordingId, type SessionId } from '../../base/ids.ts';
import { readFields, writeFields } from './fields.ts';
import { maxHeader, maxPlain, maxStored } from './limits.ts';

export const version = 1;
const magic = new Uint8Array([0x89, 0x53, 0x4c, 0x59, 0x52, 0x0d, 0x0a, 0x1a]);
const blockMarker = 0x424c4b01;
const sealMarker = 0x5345414c;

/** Bytes of the preamble, of a block's head, of a hash, of a seal's fixed part and of its signature. */
export const preambleLength = 16;
export const headLength = 40;
export const hashLength = 32;
export const sealLength = 92;
export const signatureLength = 64;
export const maxReason = 1024;
export const tagLength = 16;

/** What is hashed before the preamble and the header, and signed before a seal. */
export const headerContext: Uint8Array = utf8('sallyport recording 1\0');
export const sealContext: Uint8Array = utf8('sallyport recording seal 1\0');

export interface Violation {
  readonly violation: string;
}

export function isViolation(value: object): value is Violation {
  return 'violation' in value;
}

/** Who recorded what. It stands in the clear at the head of the file and is bound to every block. */
export interface RecordingHeader {
  readonly id: RecordingId;
  readonly session: SessionId;
  readonly protocol: 'ssh' | 'rdp';
  /** The person, as Sallyport knows them. */
  readonly user: string;
  /** `root@web-01`. */
  readonly account: string;
  readonly target: string;
  /** Where the person came from; empty if unknown. */
  readonly client: string;
  /** Milliseconds since 1970, UTC. Times of events count from here. */
  readonly startedAt: number;
}

/** The head of a block. Times are microseconds since `startedAt`. */
export interface BlockHead {
  readonly part: 'block';
  readonly number: number;
  /** The block needs no plaintext before it to be decompressed. */
  readonly fresh: boolean;
  /** The recorder ended the recording with this block. */
  readonly end: boolean;
  /** Uncompressed bytes. */
  readonly plain: number;
  /** Bytes of the payload: compressed, encrypted, with the tag. */
  readonly stored: number;
  readonly events: number;
  readonly from: number;
  readonly until: number;
}

export type SealState = 'sealed' | 'interrupted';

/** What the keeper puts at the end: how much there is, and its word for it. */
export interface Seal {
  readonly part: 'seal';
  readonly state: SealState;
  readonly blocks: number;
  /** Bytes of the file before the seal. */
  readonly size: number;
  readonly sealedAt: number;
  /** The hash of the last block, or of the header if there is no block. */
  readonly head: Uint8Array;
  /** Raw ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly reason: string;
}

const textual = ['protocol', 'user', 'account', 'target', 'client'] as const;

/** Preamble and header together, as they stand in the file. Throws nothing; over-long texts make a refused file, so cut them. */
export function encodeHeader(header: RecordingHeader): Uint8Array {
  const { id, session, protocol, user, account, target, client, startedAt } = header;
  const body = utf8(JSON.stringify({ id, session, protocol, user, account, target, client, startedAt }));
  const preamble = writeFields(preambleLength).raw(magic).u16(version).u16(0).u32(body.length).view();
  return concat([preamble, body]);
}

/** The header's length out of a preamble of `preambleLength` bytes. */
export function decodePreamble(bytes: Uint8Array): number | Violation {
  const fields = readFields(bytes);
  if (!same(fields.take(magic.length), magic)) return { violation: 'not a recording' };
  const found = fields.u16();
  if (found !== version) return { violation: `version ${found} is not known here` };
  if (fields.u16() !== 0) return { violation: 'reserved bytes are not zero' };
  const length = fields.u32();
  if (length > maxHeader) return { violation: `header of ${length} bytes` };
  return fields.violation === undefined ? length : { violation: fields.violation };
}

export function decodeHeader(bytes: Uint8Array): RecordingHeader | Violation {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { violation: 'header is not JSON' };
  }
  if (typeof value !== 'object' || value === null) return { violation: 'header is not an object' };
  const fields = value as Record<string, unknown>;
  const id = parseId<RecordingId>(String(fields['id']));
  const session = parseId<SessionId>(String(fields['session']));
  const startedAt = fields['startedAt'];
  if (id === undefined || session === undefined) return { violation: 'header without its ids' };
  if (typeof startedAt !== 'number' || !Number.isSafeInteger(startedAt)) return { violation: 'header without a time' };
  for (const name of textual) if (typeof fields[name] !== 'string') return { violation: `header without ${name}` };
  const protocol = fields['protocol'];
  if (protocol !== 'ssh' && protocol !== 'rdp') return { violation: 'header with an unknown protocol' };
  return {
    id,
    session,
    protocol,
    user: String(fields['user']),
    account: String(fields['account']),
    target: String(fields['target']),
    client: String(fields['client']),
    startedAt,
  };
}

export function encodeHead(head: BlockHead): Uint8Array {
  return writeFields(headLength)
    .u32(blockMarker)
    .u32(head.number)
    .u16((head.fresh ? 1 : 0) | (head.end ? 2 : 0))
    .u16(0)
    .u32(head.plain)
    .u32(head.stored)
    .u32(head.events)
    .u64(head.from)
    .u64(head.until)
    .view();
}

/** What begins with these bytes, a block or the seal; undefined if it is neither. */
export function partAt(bytes: Uint8Array): 'block' | 'seal' | undefined {
  const marker = readFields(bytes).u32();
  return marker === blockMarker ? 'block' : marker === sealMarker ? 'seal' : undefined;
}

export function decodeHead(bytes: Uint8Array): BlockHead | Violation {
  const fields = readFields(bytes);
  if (fields.u32() !== blockMarker) return { violation: 'no block begins here' };
  const number = fields.u32();
  const flags = fields.u16();
  const reserved = fields.u16();
  const plain = fields.u32();
  const stored = fields.u32();
  const events = fields.u32();
  const from = fields.u64();
  const until = fields.u64();
  if (fields.violation !== undefined) return { violation: fields.violation };
  if (flags > 3 || reserved !== 0) return { violation: 'unknown flags' };
  if (plain > maxPlain || stored > maxStored || stored < tagLength) return { violation: 'a length is out of bounds' };
  if (events > plain || until < from) return { violation: 'counts or times contradict each other' };
  return {
    part: 'block',
    number,
    fresh: (flags & 1) !== 0,
    end: (flags & 2) !== 0,
    plain,
    stored,
    events,
    from,
    until,
  };
}

/** The seal without its signature: sign `sealContext` and these bytes, then append the signature. */
export function encodeSeal(seal: Seal): Uint8Array {
  const reason = utf8(seal.reason).subarray(0, maxReason);
  return writeFields(sealLength + reason.length)
    .u32(sealMarker)
    .u16(seal.state === 'sealed' ? 1 : 2)
    .u16(reason.length)
    .u32(seal.blocks)
    .u64(seal.size)
    .u64(seal.sealedAt)
    .raw(seal.head)
    .raw(seal.publicKey)
    .raw(reason)
    .view();
}

/** A seal and its signature out of everything that follows the last block. */
export function decodeSeal(bytes: Uint8Array): { seal: Seal; signed: Uint8Array; signature: Uint8Array } | Violation {
  const fields = readFields(bytes);
  if (fields.u32() !== sealMarker) return { violation: 'no seal begins here' };
  const state = fields.u16();
  const reasonLength = fields.u16();
  const blocks = fields.u32();
  const size = fields.u64();
  const sealedAt = fields.u64();
  const head = fields.take(hashLength);
  const publicKey = fields.take(32);
  if (state !== 1 && state !== 2) fields.fail('unknown state');
  if (reasonLength > maxReason) fields.fail('reason too long');
  const reason = fields.take(reasonLength);
  const signature = fields.take(signatureLength);
  if (fields.remaining > 0) fields.fail('something follows the seal');
  if (fields.violation !== undefined) return { violation: fields.violation };
  const seal: Seal = {
    part: 'seal',
    state: state === 1 ? 'sealed' : 'interrupted',
    blocks,
    size,
    sealedAt,
    head,
    publicKey,
    reason: new TextDecoder().decode(reason),
  };
  return { seal, signed: bytes.subarray(0, bytes.length - signatureLength), signature };
}
