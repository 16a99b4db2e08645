/**
 * What the person saw, built from the events of a desktop. It draws foreign bytes, so it runs in a process that ends and
 * never in the keeper or a gate. An update that cannot be drawn is counted and left out, as a client would do.
 */
import { isViolation, openScreen, readSnapshot, type Screen, writeSnapshot } from '../protocol/rdp/bitmap/bitmap.ts';
import { RecordingError } from './errors.ts';
import type { RecordedEvent } from './format/events.ts';
import { joinUpdates } from './updates.ts';

export interface Scene {
  /** Undefined until the desktop has a size. */
  readonly screen: Screen | undefined;
  /** Updates that could not be drawn, and why the first of them. */
  readonly undrawn: number;
  readonly firstWords: string | undefined;
  /** An update has begun and not ended: no snapshot now. */
  readonly pending: boolean;
  /** Takes the next event; true if the person saw something change. Throws `recording.broken`. */
  see(event: RecordedEvent): boolean;
  /** All that later events build upon. */
  snapshot(): Uint8Array | undefined;
}

/** A scene that begins black, or goes on from a snapshot. Throws `recording.broken` if that is none. */
export function openScene(snapshot?: Uint8Array): Scene {
  let screen: Screen | undefined;
  let undrawn = 0;
  let firstWords: string | undefined;
  const updates = joinUpdates();
  if (snapshot !== undefined) {
    const read = readSnapshot(snapshot);
    if (isViolation(read)) throw new RecordingError('recording.broken', `key frame: ${read.violation}`);
    screen = read;
  }

  function failed(words: string): false {
    undrawn++;
    firstWords ??= words;
    return false;
  }
  function resize(width: number, height: number): boolean {
    const wrong = screen?.resize(width, height);
    if (wrong !== undefined) return failed(wrong.violation);
    if (screen !== undefined) return true;
    const opened = openScreen(width, height);
    if (isViolation(opened)) return failed(opened.violation);
    screen = opened;
    return true;
  }
  return {
    get screen() {
      return screen;
    },
    get undrawn() {
      return undrawn;
    },
    get firstWords() {
      return firstWords;
    },
    get pending() {
      return updates.pending;
    },
    see(event) {
      const detail = updates.join(event)?.detail;
      if (detail === undefined) return false;
      if (detail.kind === 'desktop') return resize(detail.width, detail.height);
      if (detail.kind === 'mouse') {
        screen?.pointTo(detail.x, detail.y);
        return screen !== undefined;
      }
      if (detail.kind !== 'picture' && detail.kind !== 'pointer') return false;
      if (screen === undefined) return failed('an update before the desktop has a size');
      const drawn = screen.apply(detail);
      return isViolation(drawn) ? failed(drawn.violation) : drawn.length > 0 || detail.kind === 'pointer';
    },
    snapshot: () => (screen === undefined ? undefined : writeSnapshot(screen)),
  };
}
