import { defineErrors, SallyportError } from '../base/errors.ts';

export const linkErrors = defineErrors({
  'link.lost': {
    meaning: 'the line to the other process is gone',
    remedy: 'the supervisor restarts a dead process by itself; look into the log for why it ended',
  },
  'link.malformed': {
    meaning: 'the other process sent something that is no frame of this line',
    remedy: 'restart both processes, so that they run the same version',
  },
  'link.unknown-question': {
    meaning: 'the other process asked something that this one does not answer',
    remedy: 'restart both processes, so that they run the same version',
  },
  'link.bad-fields': {
    meaning: 'a question or an answer does not have the fields that its name promises',
    remedy: 'restart both processes, so that they run the same version',
  },
  'link.busy': {
    meaning: 'too many questions are under way on this line',
    remedy: 'try again; if it persists the keeper is overloaded or stalled',
  },
  'link.broken': {
    meaning: 'the other process could not answer',
    remedy: 'look into its log at the same second',
  },
});

export type LinkErrorCode = keyof typeof linkErrors;

export class LinkError extends SallyportError<LinkErrorCode> {
  constructor(code: LinkErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, linkErrors[code], detail, options);
  }
}

/** A failure on the far side: its own code, words and remedy, as they were there. */
export class RemoteError extends SallyportError {
  constructor(code: string, words: string, remedy: string) {
    super(code, { meaning: words, remedy });
  }
}
