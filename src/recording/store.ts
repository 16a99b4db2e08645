/**
 * The keeper's record of recordings while they are made: which there are, and each block's place and hash as the gate
 * told it. What was told once is final; a gate that tells otherwise later is refused and the audit trail says so.
 */
import { type Selectable, sql } from 'kysely';
import { type Actor, record } from '../audit/audit.ts';
import { hex, same } from '../base/bytes.ts';
import { type Refusal, refuse } from '../base/errors.ts';
import type { GateId, RecordingId, SessionId } from '../base/ids.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import type { Tables } from '../db/tables.ts';
import { RecordingError, type RecordingErrorCode } from './errors.ts';
import { hashLength, headLength, preambleLength } from './format/container.ts';
import { maxHeader, maxStored } from './format/limits.ts';
import type { BlockReport } from './reports.ts';

/** `open` takes blocks; `sealed` and `interrupted` are whole and signed; `broken` is kept as evidence. */
export type RecordingState = Selectable<Tables['recording']>['state'];

/** A recording as the keeper knows it. */
export interface RecordingRow {
  readonly id: RecordingId;
  readonly session: SessionId;
  readonly gate: string;
  readonly protocol: string;
  readonly user: string;
  readonly account: string;
  readonly target: string;
  readonly client: string;
  readonly startedAt: Date;
  readonly state: RecordingState;
  readonly blocks: number;
  /** Bytes of the file before the seal. */
  readonly size: number;
  /** Microseconds from the start to the last event. */
  readonly until: number;
  /** Hash of the last block. */
  readonly head: Uint8Array | undefined;
  readonly sealedAt: Date | undefined;
  /** Name in the store's folder. */
  readonly file: string | undefined;
  readonly reason: string | undefined;
}

/** The person, the account and the times are the words that the gate is given for its header: sealing compares them. */
export interface NewRecording {
  readonly id: RecordingId;
  readonly session: SessionId;
  readonly gate: string;
  readonly protocol: 'ssh' | 'rdp';
  readonly user: string;
  readonly account: string;
  readonly target: string;
  readonly client: string;
  readonly startedAt: Date;
}

/** Opens the row of a recording and audits it. The data key is the vault's, in the same transaction by the caller. */
export async function startRecording(db: Db | Tx, recording: NewRecording): Promise<void> {
  await inTransaction(db, async (tx) => {
    await tx
      .insertInto('recording')
      .values({
        id: recording.id,
        session_id: recording.session,
        gate_id: recording.gate,
        protocol: recording.protocol,
        user_name: recording.user,
        account_name: recording.account,
        target_name: recording.target,
        client: recording.client,
        started_at: recording.startedAt,
      })
      .execute();
    await record(tx, gateActor(recording.gate), {
      type: 'recording.started',
      about: { recording: recording.id, session: recording.session },
      details: { format: 'sallyport recording 1' },
    });
  });
}

/**
 * Takes one block's report. Nothing is returned when it is stored, or was stored before exactly so. Refused, and audited,
 * when it contradicts what is known or comes from another gate; refused without audit when the recording is over.
 */
export async function recordBlock(
  db: Db,
  recording: RecordingId,
  gate: string,
  block: BlockReport,
): Promise<Refusal<RecordingErrorCode> | undefined> {
  if (!plausible(block)) return refuse('recording.block-out-of-order', `block ${block.number} is not plausible`);
  const stored = await sql<{ number: number }>`
    with continued as (
      update recording set
        blocks = ${block.number + 1}, size = ${block.offset + block.length}, until_us = ${block.until},
        head_hash = ${Buffer.from(block.hash)}, header_hash = coalesce(header_hash, ${Buffer.from(block.previous)})
      where id = ${recording} and gate_id = ${gate} and state = 'open' and blocks = ${block.number}
        and (blocks = 0 or (head_hash = ${Buffer.from(block.previous)} and size = ${block.offset}))
        and until_us <= ${block.until}
      returning id
    )
    insert into recording_block (recording_id, number, "offset", length, hash, events, until_us, witnessed)
    select id, ${block.number}, ${block.offset}, ${block.length}, ${Buffer.from(block.hash)}, ${block.events}, ${block.until}, true
    from continued returning number`.execute(db);
  return stored.rows.length === 1 ? undefined : await inTransaction(db, (tx) => whyNot(tx, recording, gate, block));
}

function plausible({ number, offset, length, previous, hash, events, until }: BlockReport): boolean {
  const whole = [number, offset, length, events, until].every((value) => Number.isSafeInteger(value) && value >= 0);
  const place = number > 0 || offset <= preambleLength + maxHeader + hashLength;
  const size = length > headLength + hashLength && length <= headLength + maxStored + hashLength;
  return whole && place && size && number < 0xffffffff && previous.length === hashLength && hash.length === hashLength;
}

/** What is wrong with a block that did not continue its recording; nothing, if it is known already. */
async function whyNot(
  tx: Tx,
  recording: RecordingId,
  gate: string,
  block: BlockReport,
): Promise<Refusal<RecordingErrorCode> | undefined> {
  const row = await tx.selectFrom('recording').selectAll().where('id', '=', recording).forUpdate().executeTakeFirst();
  if (row === undefined) return refuse('recording.unknown', recording);
  const known = await tx
    .selectFrom('recording_block')
    .selectAll()
    .where('recording_id', '=', recording)
    .where('number', '=', block.number)
    .executeTakeFirst();
  const again =
    row.gate_id === gate && known !== undefined && same(known.hash, block.hash) && known.offset === block.offset;
  if (again && known.length === block.length) return undefined;
  const audited = async (code: RecordingErrorCode, reason: string): Promise<Refusal<RecordingErrorCode>> => {
    await record(tx, gateActor(gate), {
      type: 'recording.broken',
      about: { recording, session: row.session_id },
      details: { block: block.number, reason: `${code}: ${reason}` },
    });
    return refuse(code, reason);
  };
  if (row.gate_id !== gate) return audited('recording.wrong-gate', `block ${block.number} came from gate ${gate}`);
  if (known !== undefined) {
    const reason = `block ${block.number} was ${hex(known.hash)}, now ${hex(block.hash)}`;
    return audited('recording.block-rewritten', reason);
  }
  if (row.state !== 'open') return refuse('recording.not-open', `it is ${row.state}`);
  return audited('recording.block-out-of-order', `block ${block.number} does not continue the ${row.blocks} before it`);
}

/** One recording, or undefined. */
export async function findRecording(db: Db | Tx, id: RecordingId): Promise<RecordingRow | undefined> {
  const row = await db.selectFrom('recording').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? undefined : rowOf(row);
}

export interface ListOptions {
  readonly limit: number;
  readonly session?: SessionId;
  readonly state?: RecordingState;
  readonly gate?: string;
}

/** Recordings, newest first. */
export async function listRecordings(db: Db | Tx, options: ListOptions): Promise<readonly RecordingRow[]> {
  let query = db.selectFrom('recording').selectAll();
  if (options.session !== undefined) query = query.where('session_id', '=', options.session);
  if (options.state !== undefined) query = query.where('state', '=', options.state);
  if (options.gate !== undefined) query = query.where('gate_id', '=', options.gate);
  const rows = await query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(options.limit).execute();
  return rows.map(rowOf);
}

/** What the keeper knows of a recording's blocks, in order. */
export async function blocksOf(
  db: Db | Tx,
  id: RecordingId,
): Promise<readonly { readonly number: number; readonly hash: Uint8Array }[]> {
  return db
    .selectFrom('recording_block')
    .select(['number', 'hash'])
    .where('recording_id', '=', id)
    .orderBy('number')
    .execute();
}

/** The row, or `recording.unknown`. */
export async function demandRecording(db: Db | Tx, id: RecordingId): Promise<RecordingRow> {
  const row = await findRecording(db, id);
  if (row === undefined) throw new RecordingError('recording.unknown', id);
  return row;
}

export function gateActor(gate: string): Actor {
  return { kind: 'gate', id: gate as GateId };
}

function rowOf(row: Selectable<Tables['recording']>): RecordingRow {
  return {
    id: row.id,
    session: row.session_id,
    gate: row.gate_id,
    protocol: row.protocol,
    user: row.user_name,
    account: row.account_name,
    target: row.target_name,
    client: row.client,
    startedAt: row.started_at,
    state: row.state,
    blocks: row.blocks,
    size: row.size,
    until: row.until_us,
    head: row.head_hash ?? undefined,
    sealedAt: row.sealed_at ?? undefined,
    file: row.file ?? undefined,
    reason: row.reason ?? undefined,
  };
}
