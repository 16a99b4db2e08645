/** Updates of a desktop that were longer than one event, made whole again. */
import { concat } from '../base/bytes.ts';
import { RecordingError } from './errors.ts';
import type { RecordedEvent } from './format/events.ts';
import { maxUpdate } from './format/limits.ts';

export interface Joining {
  /** The event with its update whole, at the time of the last piece; undefined while pieces are missing. */
  join(event: RecordedEvent): RecordedEvent | undefined;
  /** Whether an update has begun and not ended. */
  readonly pending: boolean;
}

/** Joins the updates of events in order. An update whose end never comes is left out. `join` throws `recording.broken` if one is longer than `maxUpdate`. */
export function joinUpdates(): Joining {
  const begun = { picture: [] as Uint8Array[], pointer: [] as Uint8Array[] };
  return {
    join(event) {
      const { detail } = event;
      if (detail.kind !== 'picture' && detail.kind !== 'pointer') return event;
      const pieces = begun[detail.kind];
      if (detail.more !== true && pieces.length === 0) return event;
      pieces.push(detail.payload);
      if (pieces.reduce((sum, piece) => sum + piece.length, 0) > maxUpdate)
        throw new RecordingError('recording.broken', `an update of more than ${maxUpdate} bytes`);
      if (detail.more === true) return undefined;
      begun[detail.kind] = [];
      return { ...event, detail: { kind: detail.kind, code: detail.code, payload: concat(pieces) } };
    },
    get pending() {
      return begun.picture.length > 0 || begun.pointer.length > 0;
    },
  };
}
