/** Updates of a desktop that were longer than one event, made whole again. */
import { concat } from '../base/bytes.ts';
import { RecordingError } from './errors.ts';
import type { RecordedEvent } from './format/events.ts';
import { maxUpdate } from './format/limits.ts';

/**
 * The events with every update whole: what stood in several events is one, at the time of the last. An update whose end
 * was never written is left out. Throws `recording.broken` if one is longer than `maxUpdate`.
 */
export async function* joinUpdates(events: AsyncIterable<RecordedEvent>): AsyncGenerator<RecordedEvent> {
  const begun = { picture: [] as Uint8Array[], pointer: [] as Uint8Array[] };
  for await (const event of events) {
    const { detail } = event;
    if (detail.kind !== 'picture' && detail.kind !== 'pointer') {
      yield event;
      continue;
    }
    const pieces = begun[detail.kind];
    if (detail.more !== true && pieces.length === 0) {
      yield event;
      continue;
    }
    pieces.push(detail.payload);
    if (pieces.reduce((sum, piece) => sum + piece.length, 0) > maxUpdate)
      throw new RecordingError('recording.broken', `an update of more than ${maxUpdate} bytes`);
    if (detail.more === true) continue;
    yield { ...event, detail: { kind: detail.kind, code: detail.code, payload: concat(pieces) } };
    begun[detail.kind] = [];
  }
}
