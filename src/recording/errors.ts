/** Errors of the recording room. */
import { defineErrors, SallyportError } from '../base/errors.ts';

export const recordingErrors = defineErrors({
  'recording.no-space': {
    meaning: 'the disk for recordings is full',
    remedy: 'make room where the spool and the store of recordings lie; sessions are refused until then',
  },
  'recording.write': {
    meaning: 'a recording could not be written',
    remedy: 'look at the disk and the permissions of the spool of recordings',
  },
  'recording.overrun': {
    meaning: 'a session produced more than its recorder could write',
    remedy: 'the disk of the spool is too slow for this session, or its back-pressure was ignored',
  },
  'recording.keeper-away': {
    meaning: 'the keeper took no report of this recording for too long',
    remedy: 'look why the keeper is down; the recording is kept up to this moment and is sealed when it is back',
  },
  'recording.refused': {
    meaning: 'the keeper did not accept a block of this recording',
    remedy: 'read the audit trail for the reason; the gate may not be trustworthy',
  },
  'recording.key': {
    meaning: 'a recording cannot be opened with this key',
    remedy: 'use the data key of this recording; it is 32 bytes long',
  },
  'recording.broken': {
    meaning: 'a recording is damaged or was changed',
    remedy: 'verify the recording: it names the first block that is not as it was written',
  },
  'recording.unknown': {
    meaning: 'there is no such recording',
    remedy: 'check the id',
  },
  'recording.not-open': {
    meaning: 'the recording takes no more blocks',
    remedy: 'a sealed recording cannot be continued; start a new one',
  },
  'recording.block-rewritten': {
    meaning: 'a block was reported again with other contents',
    remedy: 'a gate tried to change what it had recorded; treat the gate as compromised',
  },
  'recording.block-out-of-order': {
    meaning: 'a block was reported that does not continue the recording',
    remedy: 'a gate reports blocks in order, each continuing the one before; treat the gate as broken or compromised',
  },
  'recording.wrong-gate': {
    meaning: 'the recording belongs to another gate',
    remedy: 'a gate may report only on its own recordings; treat the gate as compromised',
  },
  'recording.no-picture': {
    meaning: 'the recording has no picture at that time',
    remedy: 'name a time within the session, in seconds or as hh:mm:ss; a terminal has no picture, play it instead',
  },
  'recording.no-ffmpeg': {
    meaning: 'there is no ffmpeg on this machine, or it failed',
    remedy: 'install it where the keeper runs, on Debian with `apt-get install ffmpeg`; pictures need none',
  },
  'recording.render': {
    meaning: 'the process that draws recordings ended without an answer',
    remedy: 'verify the recording; if it is whole, report what the process said',
  },
  'recording.spool': {
    meaning: 'the spooled file of a recording cannot be used',
    remedy: 'it must be a regular file in the spool, made by the gate; look at what stands there',
  },
});

export type RecordingErrorCode = keyof typeof recordingErrors;

export class RecordingError extends SallyportError<RecordingErrorCode> {
  /** What stands behind the meaning in the message. */
  readonly detail: string | undefined;

  constructor(code: RecordingErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, recordingErrors[code], detail, options);
    this.detail = detail;
  }
}
