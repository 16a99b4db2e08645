/** The door of the recording format: what other rooms need in order to name events and to understand them. Pure. */
export type { BlockHead, RecordingHeader, Seal, SealState } from './container.ts';
export type { Direction, EventDetail, EventKind, FileEvent, RecordedEvent, StreamKind } from './events.ts';
export type { ClipboardEvent, DesktopDetail, KeyEvent, MouseEvent, UpdateEvent } from './desktop-events.ts';
export { maxBody, maxClipboard, maxClipboardItems, maxText, maxUpdate, sessionChannel } from './limits.ts';
