/**
 * The events of a recording: what happened in a session, in order, as a union. The bytes they become are in codec.ts;
 * FORMAT.md §5 is the document. Nothing here knows SSH: names are those a reader of a recording would use. What only
 * desktops have is in desktop-events.ts.
 */
import type { DesktopDetail } from './desktop-events.ts';

/** Which way a file went: `up` is from the client to the target. */
export type Direction = 'up' | 'down';

/** What happened. A kind that this version does not know is kept as it is, so that old readers show newer files. */
export type EventDetail =
  | { readonly kind: 'start'; readonly text: string }
  | { readonly kind: 'end'; readonly reason: string }
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'channel-open'; readonly type: string; readonly about: string }
  | { readonly kind: 'channel-close' }
  | {
      readonly kind: 'pty';
      readonly term: string;
      readonly columns: number;
      readonly rows: number;
      /** Encoded terminal modes, as in RFC 4254 §8. */
      readonly modes: Uint8Array;
    }
  | { readonly kind: 'resize'; readonly columns: number; readonly rows: number }
  | { readonly kind: 'output'; readonly bytes: Uint8Array }
  | { readonly kind: 'error-output'; readonly bytes: Uint8Array }
  | { readonly kind: 'input'; readonly bytes: Uint8Array }
  /** A line was typed that the target did not echo. Neither its text nor its length is kept. */
  | { readonly kind: 'input-masked' }
  | { readonly kind: 'shell' }
  | { readonly kind: 'exec'; readonly command: Uint8Array }
  | { readonly kind: 'subsystem'; readonly name: string }
  | { readonly kind: 'env'; readonly name: string; readonly value: string }
  | { readonly kind: 'request'; readonly name: string; readonly bytes: Uint8Array }
  | FileEvent
  | {
      readonly kind: 'stream';
      readonly direction: Direction;
      readonly bytes: number;
      /** SHA-256 in hex of all that went this way. */
      readonly sha256: string;
    }
  | { readonly kind: 'exit-status'; readonly status: number }
  | { readonly kind: 'exit-signal'; readonly signal: string }
  | DesktopDetail
  | { readonly kind: 'unknown'; readonly code: number; readonly bytes: Uint8Array };

/** One file that was transferred, or one change to a name. */
export interface FileEvent {
  readonly kind: 'file';
  readonly action: 'transfer' | 'remove' | 'rename' | 'mkdir' | 'rmdir' | 'link' | 'chmod';
  readonly direction: Direction;
  readonly path: string;
  /** The new name of a rename or link; empty otherwise. */
  readonly to: string;
  /** Bytes seen on the way. */
  readonly size: number;
  /** POSIX mode bits, if the protocol said so. */
  readonly mode?: number;
  /** SHA-256 in hex, if the bytes passed in order from the first to the last. */
  readonly sha256?: string;
  /** Why there is no hash, or that the transfer was not finished; empty otherwise. */
  readonly remark: string;
}

export type EventKind = EventDetail['kind'];

/** Bulk bytes: the kinds that the hot path appends. */
export type StreamKind = 'output' | 'error-output' | 'input';

/** One event of a recording with its place in time. */
export interface RecordedEvent {
  /** Microseconds since the recording's `startedAt`; never decreases within a recording. */
  readonly at: number;
  /** The channel's number inside the recording, or `sessionChannel`. */
  readonly channel: number;
  readonly detail: EventDetail;
}
