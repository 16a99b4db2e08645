/** Data keys of recordings: 32 random bytes each, sealed, one for each recording. */
import type { RecordingId } from '../base/ids.ts';
import type { Secret } from '../base/secret.ts';
import type { Db, Tx } from '../db/db.ts';
import { openWhole, type Place, randomKey, sealWhole } from './envelope.ts';
import type { Ring } from './ring.ts';
import { alarmed, type VaultContext } from './sealing.ts';

function placeOf(recording: RecordingId): Place {
  return { table: 'recording_key', row: recording, account: '', kind: 'data-key' };
}

/** See `Vault.recordingKey`. */
export async function createRecordingKey(ring: Ring, db: Db | Tx, recording: RecordingId): Promise<Secret> {
  const key = randomKey();
  try {
    const sealed = sealWhole(ring.current(), placeOf(recording), key.reveal());
    await db.insertInto('recording_key').values({ recording_id: recording, sealed }).execute();
    return key;
  } catch (error) {
    key[Symbol.dispose]();
    throw error;
  }
}

/** See `Vault.openRecordingKey`. */
export async function openRecordingKey(context: VaultContext, recording: RecordingId): Promise<Secret | undefined> {
  const { db, ring } = context;
  const row = await db
    .selectFrom('recording_key')
    .select('sealed')
    .where('recording_id', '=', recording)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return alarmed(context, { recording }, () =>
    openWhole((version) => ring.version(version), placeOf(recording), row.sealed),
  );
}
