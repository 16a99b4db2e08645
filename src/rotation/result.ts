/** What callers get back. Nothing here holds a secret. */
import type { Sigkey } from '../base/ids.ts';
import type { AnswerClass } from './connectors/connector.ts';
import type { Verification } from './plan/verdict.ts';

/** What became of one randomization. `milliseconds` from the start of the checks to the written outcome. */
export type RotationResult =
  | { readonly status: 'confirmed'; readonly sigkey: Sigkey; readonly milliseconds: number; readonly words: string }
  | {
      readonly status: 'failed' | 'uncertain';
      readonly sigkey: Sigkey;
      readonly class: AnswerClass;
      readonly words: string;
      readonly remedy: string;
      readonly milliseconds: number;
    };

/** What a login with a stored value came to. */
export interface VerifyResult {
  readonly answer: Verification;
  readonly class: AnswerClass;
  readonly words: string;
  readonly remedy: string;
}
