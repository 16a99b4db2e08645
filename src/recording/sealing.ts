/**
 * The end of a recording: out of the gate's spool into the keeper's store, checked against what the gate told while it
 * recorded, and sealed with the keeper's signature.
 *
 * The gate can still write to a spooled file, so the bytes that are checked are the bytes that are copied: one pass, and
 * never a rename out of the spool. Each step may be the last one before a crash: as long as the row is `open`, sealing
 * starts again from the spool; the spooled file goes only after the row is committed.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Insertable } from 'kysely';
import { record } from '../audit/audit.ts';
import { concat, empty, hex, same } from '../base/bytes.ts';
import { codeOf } from '../base/errors.ts';
import type { RecordingId } from '../base/ids.ts';
import { check } from '../base/signals.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import type { Tables } from '../db/tables.ts';
import { RecordingError } from './errors.ts';
import { type BlockHead, encodeSeal, type SealState, sealContext } from './format/container.ts';
import { fileSource, type HeaderPart, partsOf, type Source } from './reading.ts';
import { blocksOf, demandRecording, type RecordingRow } from './store.ts';

/** Signs seals: the raw ed25519 public key (32 bytes) and 64-byte signatures. */
export interface SealSigner {
  readonly publicKey: Uint8Array;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

export interface SealOptions {
  /** The folder in which gates leave their recordings, each named by its id. */
  readonly spool: string;
  /** The keeper's own folder. */
  readonly store: string;
  readonly signer: SealSigner;
  /** Why it ended, for the seal. */
  readonly reason: string;
  /** Milliseconds since 1970, the keeper's time. */
  readonly now: number;
}

/** What a recording's file in the store is called. */
function storedName(id: RecordingId): string {
  return `${id}.recording`;
}

/**
 * Seals one recording and returns its row: `sealed` if the recorder had ended it, `interrupted` if it was cut off,
 * `broken` if it is not what the gate had told. Sealing what is over already changes nothing. Throws `recording.unknown`.
 */
export async function sealRecording(
  db: Db,
  id: RecordingId,
  options: SealOptions,
  signal: AbortSignal,
): Promise<RecordingRow> {
  const row = await inTransaction(db, async (tx) => {
    await tx.selectFrom('recording').select('id').where('id', '=', id).forUpdate().execute();
    const found = await demandRecording(tx, id);
    if (found.state !== 'open') return found;
    await finish(tx, found, await take(tx, found, options, signal), options);
    return demandRecording(tx, id);
  });
  await unlink(join(options.spool, id)).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
  });
  return row;
}

/** Seals every open recording of a dead gate, or of all gates if none is named, but for those in `running`. */
export async function sealOrphans(
  db: Db,
  gate: string | undefined,
  running: ReadonlySet<string>,
  options: SealOptions,
  signal: AbortSignal,
): Promise<readonly RecordingRow[]> {
  let query = db.selectFrom('recording').select('id').where('state', '=', 'open');
  if (gate !== undefined) query = query.where('gate_id', '=', gate);
  const rows: RecordingRow[] = [];
  const failures: unknown[] = [];
  for (const { id } of await query.orderBy('id').execute()) {
    if (running.has(id)) continue;
    check(signal);
    try {
      rows.push(await sealRecording(db, id, options, signal));
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} recordings could not be sealed`);
  return rows;
}

/** What came out of the spool. */
type Taken =
  | { readonly kind: 'whole'; readonly state: SealState; readonly copy: Copy }
  | { readonly kind: 'broken'; readonly words: string; readonly number: number; readonly stored: boolean }
  | { readonly kind: 'nothing' };

interface Copy {
  readonly size: number;
  readonly blocks: number;
  /** Microseconds of the last event. */
  readonly until: number;
  /** The last block's hash, and the header's; empty if there is not even a header. */
  readonly head: Uint8Array;
  readonly header: Uint8Array;
  /** Blocks that the keeper had not been told of. */
  readonly untold: readonly Untold[];
  /** The recorder had ended it. */
  readonly ended: boolean;
  /** What is not as it was told, if anything. */
  readonly fault?: { readonly words: string; readonly number: number };
}

interface Untold {
  readonly head: BlockHead;
  readonly offset: number;
  readonly length: number;
  readonly hash: Uint8Array;
}

async function take(tx: Tx, row: RecordingRow, options: SealOptions, signal: AbortSignal): Promise<Taken> {
  const known = await blocksOf(tx, row.id);
  const final = join(options.store, storedName(row.id));
  await using file = (await openSpooled(join(options.spool, row.id))) ?? (await openSpooled(final));
  if (file === undefined) {
    if (known.length === 0) return { kind: 'nothing' };
    return { kind: 'broken', words: 'the file is missing', number: 0, stored: false };
  }
  const part = `${final}.part`;
  const state = await writeNew(part, async (out) => {
    const copy = await copyParts(fileSource(file), out, row, known, signal);
    if (copy.fault !== undefined) {
      await copyAll(fileSource(file), out, signal);
      return { kind: 'broken' as const, ...copy.fault, stored: true };
    }
    if (copy.header.length === 0) return { kind: 'nothing' as const };
    const sealed: SealState = copy.ended ? 'sealed' : 'interrupted';
    await append(out, await sealBytes(copy, sealed, options), copy.size);
    return { kind: 'whole' as const, state: sealed, copy };
  });
  if (state.kind === 'nothing') await unlink(part);
  else await rename(part, final);
  await using folder = await open(options.store, constants.O_RDONLY | constants.O_DIRECTORY);
  await folder.sync();
  return state;
}

/** A file that a gate may have prepared: no link, no pipe, nothing that somebody else may own as well. */
async function openSpooled(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw new RecordingError('recording.spool', codeOf(cause), { cause });
  }
  const stat = await file.stat();
  if (stat.isFile() && stat.nlink === 1) return file;
  await file.close();
  throw new RecordingError('recording.spool', 'it is not a regular file of its own');
}

async function writeNew<T>(path: string, write: (out: FileHandle) => Promise<T>): Promise<T> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
  await using out = await open(path, flags, 0o600);
  const result = await write(out);
  await out.sync();
  return result;
}

async function append(out: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await out.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
  }
}

/** Copies header and blocks as long as they are what they must be. A tail that nobody was told of may be cut off. */
async function copyParts(
  source: Source,
  out: FileHandle,
  row: RecordingRow,
  known: readonly { readonly number: number; readonly hash: Uint8Array }[],
  signal: AbortSignal,
): Promise<Copy> {
  const untold: Untold[] = [];
  let header: Uint8Array = empty;
  let head: Uint8Array = empty;
  let [size, blocks, until, ended] = [0, 0, 0, false];
  const copy = (fault?: Copy['fault']): Copy => {
    return { size, blocks, until, head, header, untold, ended, ...(fault !== undefined && { fault }) };
  };
  for await (const part of partsOf(source)) {
    check(signal);
    if (part.kind === 'header') {
      const words = foreign(part, row);
      if (words !== undefined) return copy({ words: `header: ${words}`, number: 0 });
      header = part.hash;
      head = part.hash;
    } else if (part.kind === 'block') {
      const { number } = part.head;
      const told = known[number];
      if (told !== undefined && !same(told.hash, part.hash)) {
        return copy({ words: `block ${number}: hash differs from the one the keeper was told`, number });
      }
      if (ended) return copy({ words: `block ${number}: it follows the end`, number });
      if (told === undefined) {
        untold.push({ head: part.head, offset: part.offset, length: part.bytes.length, hash: part.hash });
      }
      blocks++;
      until = part.head.until;
      ended = part.head.end;
      head = part.hash;
    } else {
      if (part.kind !== 'seal' && part.number >= known.length) return copy();
      if (part.kind === 'seal' && known.length <= part.seal.blocks) return copy();
      const number = part.kind === 'seal' ? part.seal.blocks : part.number;
      const words =
        part.kind === 'broken'
          ? `${part.where}: ${part.words}`
          : `block ${number}: missing, though the keeper was told of it`;
      return copy({ words, number });
    }
    await append(out, part.bytes, size);
    size += part.bytes.length;
  }
  return copy();
}

/** What in a header is not this recording's; undefined if all of it is. */
function foreign(part: HeaderPart, row: RecordingRow): string | undefined {
  const { header } = part;
  if (header.id !== row.id) return `this is recording ${header.id}`;
  if (header.session !== row.session) return `this is session ${header.session}`;
  const agreed =
    header.user === row.user &&
    header.account === row.account &&
    header.target === row.target &&
    header.startedAt === row.startedAt.getTime();
  return agreed ? undefined : 'who recorded what is not what the keeper had said';
}

/** Evidence: everything as it stands. */
async function copyAll(source: Source, out: FileHandle, signal: AbortSignal): Promise<void> {
  await out.truncate(0);
  for (let offset = 0; ; ) {
    check(signal);
    const bytes = await source.read(offset, 1024 * 1024);
    if (bytes.length === 0) return;
    await append(out, bytes, offset);
    offset += bytes.length;
  }
}

async function sealBytes(copy: Copy, state: SealState, options: SealOptions): Promise<Uint8Array> {
  const { signer, reason, now: sealedAt } = options;
  const { publicKey } = signer;
  const { size, head, blocks } = copy;
  const signed = encodeSeal({ part: 'seal', state, blocks, size, sealedAt, head, publicKey, reason });
  return concat([signed, await signer.sign(concat([sealContext, signed]))]);
}

/** Writes into the database what became of it: the blocks that only the file knew, the row, the audit event. */
async function finish(tx: Tx, row: RecordingRow, taken: Taken, options: SealOptions): Promise<void> {
  const about = { recording: row.id, session: row.session };
  const sealed_at = new Date(options.now);
  const update = tx.updateTable('recording').where('id', '=', row.id);
  if (taken.kind === 'broken') {
    const file = taken.stored ? storedName(row.id) : null;
    await update.set({ state: 'broken', sealed_at, file, reason: taken.words }).execute();
    const details = { block: taken.number, reason: taken.words };
    await record(tx, keeper, { type: 'recording.broken', about, details }, sealed_at);
    return;
  }
  if (taken.kind === 'nothing') {
    await update.set({ state: 'interrupted', sealed_at, reason: 'nothing was recorded' }).execute();
    const details = { blocks: 0, bytes: 0, root: '', complete: false };
    await record(tx, keeper, { type: 'recording.sealed', about, details }, sealed_at);
    return;
  }
  const { copy, state } = taken;
  for (const part of copy.untold) await tx.insertInto('recording_block').values(rowOf(row.id, part)).execute();
  await update
    .set({
      state,
      sealed_at,
      file: storedName(row.id),
      reason: options.reason,
      blocks: copy.blocks,
      size: copy.size,
      until_us: copy.until,
      header_hash: Buffer.from(copy.header),
      head_hash: copy.blocks === 0 ? null : Buffer.from(copy.head),
    })
    .execute();
  const details = { blocks: copy.blocks, bytes: copy.size, root: hex(copy.head), complete: state === 'sealed' };
  await record(tx, keeper, { type: 'recording.sealed', about, details }, sealed_at);
}

const keeper = { kind: 'system', part: 'recording' } as const;

function rowOf(
  recording_id: RecordingId,
  { head, offset, length, hash }: Untold,
): Insertable<Tables['recording_block']> {
  const { number, events, until: until_us } = head;
  return { recording_id, number, offset, length, hash: Buffer.from(hash), events, until_us, witnessed: false };
}
