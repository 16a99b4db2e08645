/**
 * Errors with stable codes. Every room has one file `errors.ts` that declares its catalogue with `defineErrors`
 * and its one error class. `docs/codes.md` is generated from these catalogues; callers match the code, not the class.
 *
 * Three answers are kept apart everywhere: *done* is a value, *refused* (policy says no, password rejected) is a
 * returned union member, *broken* is thrown. An unknown outcome is a value of its own. No message ever holds a secret.
 */

/** What a catalogue says of one code: what it means, and what the reader can do about it. */
export interface ErrorEntry {
  readonly meaning: string;
  readonly remedy: string;
}

export type ErrorCatalogue = Readonly<Record<string, ErrorEntry>>;

/** Declares a room's catalogue. Codes are `room.what-happened`, in lower case, and never change once released. */
export function defineErrors<const C extends ErrorCatalogue>(catalogue: C): C {
  return catalogue;
}

/** The base of every room's error class. `message` is lower case without a full stop, so that messages compose. */
export class SallyportError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly remedy: string;

  constructor(code: Code, entry: ErrorEntry, detail?: string, options?: ErrorOptions) {
    super(detail === undefined ? entry.meaning : `${entry.meaning}: ${detail}`, options);
    this.name = new.target.name;
    this.code = code;
    this.remedy = entry.remedy;
  }
}

/** A refusal: a normal answer, returned and never thrown. `code` comes from a room's catalogue. */
export interface Refusal<Code extends string = string> {
  readonly refused: true;
  readonly code: Code;
  /** For the log and the audit trail only; a person who is refused is shown the same words whatever the reason. */
  readonly reason: string;
}

export function refuse<Code extends string>(code: Code, reason: string): Refusal<Code> {
  return { refused: true, code, reason };
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && (value as { refused?: unknown }).refused === true;
}

/** The code of anything caught: ours, Node's (`ECONNREFUSED`), PostgreSQL's (`23505`), or `unknown`. */
export function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code;
  return 'unknown';
}

/** The words of anything caught, for logs and for people. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
