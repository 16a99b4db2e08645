/** Refusals of this room: the code's remedy, and the class of what was found on a target, go with them. */
import { type Refusal, refuse } from '../base/errors.ts';
import type { AnswerClass } from './connectors/connector.ts';
import { type RotationErrorCode, rotationErrors } from './errors.ts';

export type RotationRefusal = Refusal<RotationErrorCode> & {
  /** What kind of fault was found on the target. */
  readonly class?: AnswerClass;
  /** What a person can do about it. */
  readonly remedy: string;
};

/** Says no by one code of the catalogue, in its words; `detail` says of what. */
export function turnDown(code: RotationErrorCode, detail: string): RotationRefusal {
  const { meaning, remedy } = rotationErrors[code];
  return { ...refuse(code, `${meaning}: ${detail}`), remedy };
}
