/**
 * The door of the recording room, for the keeper: the record of recordings, their sealing, and everything that reads
 * them. A gate's door is `recorder.ts`; what the file looks like is `format/format.ts`.
 */
import { type Actor, record } from '../audit/audit.ts';
import { hex } from '../base/bytes.ts';
import type { RecordingId } from '../base/ids.ts';
import type { Secret } from '../base/secret.ts';
import { join } from 'node:path';
import type { Db } from '../db/db.ts';
import { RecordingError } from './errors.ts';
import { blocksOf, demandRecording, type RecordingRow } from './store.ts';
import { type Verdict, verifyRecording } from './verify.ts';

export { exportCast, exportEvents, exportText, type CastOptions } from './export.ts';
export type { RecordedEvent } from './format/events.ts';
export { playTo, type PlayOptions, readHeader, readRecording, terminalEvents } from './playback.ts';
export { sealOrphans, type SealOptions, sealRecording, type SealSigner } from './sealing.ts';
export {
  blocksOf,
  findRecording,
  type ListOptions,
  listRecordings,
  type NewRecording,
  recordBlock,
  type RecordingRow,
  startRecording,
} from './store.ts';
export { type Verdict, verifyRecording, type VerifyOptions } from './verify.ts';

export interface StoredPlace {
  /** The keeper's folder of recordings. */
  readonly store: string;
  /** The gates' folder, where a recording lies while it is made. */
  readonly spool: string;
}

/** Where the file of a recording is now, for playing. Throws `recording.unknown`, `recording.broken` if there is no file. */
export function fileOf(row: RecordingRow, place: StoredPlace): string {
  if (row.state === 'open') return join(place.spool, row.id);
  if (row.file === undefined) throw new RecordingError('recording.broken', row.reason);
  return join(place.store, row.file);
}

/** Verifies a recording against the keeper's own record and seal key, and audits the answer. */
export async function verifyStored(
  db: Db,
  id: RecordingId,
  options: StoredPlace & { readonly actor: Actor; readonly publicKey: Uint8Array; readonly key?: Secret },
): Promise<Verdict> {
  const row = await demandRecording(db, id);
  const verdict = await check(db, row, options);
  const about = { recording: id, session: row.session };
  if (verdict.ok) {
    const details = { blocks: verdict.blocks, root: hex(row.head ?? new Uint8Array()) };
    await record(db, options.actor, { type: 'recording.verified', about, details });
  } else {
    await record(db, options.actor, { type: 'recording.broken', about, details: { reason: verdict.broken } });
  }
  return verdict;
}

async function check(
  db: Db,
  row: RecordingRow,
  options: StoredPlace & { readonly publicKey: Uint8Array; readonly key?: Secret },
): Promise<Verdict> {
  if (row.state === 'broken' && row.reason !== undefined) return { ok: false, broken: row.reason };
  if (row.state !== 'open' && row.file === undefined) return { ok: false, broken: 'header: nothing was recorded' };
  const { publicKey, key } = options;
  const blocks = await blocksOf(db, row.id);
  return verifyRecording(fileOf(row, options), {
    id: row.id,
    blocks,
    publicKey,
    ...(row.state === 'open' && { unsealed: true }),
    ...(key !== undefined && { key }),
  });
}
