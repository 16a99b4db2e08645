/**
 * The door of the recording room, for the keeper: the record of recordings, their sealing, and everything that reads
 * them. A gate's door is `recorder.ts`; what the file looks like is `format/format.ts`.
 */
export type { RecordedEvent } from './format/events.ts';
export { exportDesktop } from './desktop-text.ts';
export { draw, type DrawQuestion } from './draw.ts';
export { type CastOptions, exportCast, exportEvents, exportText } from './export.ts';
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
