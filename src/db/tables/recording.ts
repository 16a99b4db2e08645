/** Tables of the recording room, as kysely sees them. Migrations: `db/migrations/060_recording.ts`. */
import type { Generated } from 'kysely';
import type { RecordingId, SessionId } from '../../base/ids.ts';

/** `open` takes blocks; `sealed` and `interrupted` are whole and signed; `broken` is kept as evidence, unsigned. */
export type RecordingState = 'open' | 'sealed' | 'interrupted' | 'broken';

export interface RecordingTable {
  id: RecordingId;
  session_id: SessionId;
  gate_id: string;
  protocol: string;
  user_name: string;
  account_name: string;
  target_name: string;
  client: string;
  started_at: Date;
  state: Generated<RecordingState>;
  /** Blocks and bytes so far; bytes of the file before the seal. */
  blocks: Generated<number>;
  size: Generated<number>;
  /** Microseconds from the start to the last event. */
  until_us: Generated<number>;
  header_hash: Uint8Array | null;
  head_hash: Uint8Array | null;
  sealed_at: Date | null;
  /** Name in the store, once it is there. */
  file: string | null;
  /** Why it ended; of a broken one, which part is not as it was written. */
  reason: string | null;
}

export interface RecordingBlockTable {
  recording_id: RecordingId;
  number: number;
  offset: number;
  length: number;
  hash: Uint8Array;
  events: number;
  until_us: number;
  /** Told by the gate while it recorded, or found in the file only when it was sealed. */
  witnessed: boolean;
  reported_at: Generated<Date>;
}

export interface RecordingTables {
  recording: RecordingTable;
  recording_block: RecordingBlockTable;
}
