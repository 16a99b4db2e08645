/**
 * The door of the line between gates and keeper. A gate sees the keeper as one function for each question; a refusal
 * comes back as a value, a lost keeper is thrown as `link.lost`.
 */
import type { Refusal } from '../base/errors.ts';
import { type Answer, type Ask, ask } from './fields.ts';
import type { Line } from './line.ts';
import { type GateQuestions, questions } from './questions.ts';

export { type Answers, answerer, ask, Bytes, checkFields, question } from './fields.ts';
export { type Answerer, Line } from './line.ts';
export { type GateQuestions, longestEvent, questions, told } from './questions.ts';
export { looksLikeToken } from './connection-token.ts';
export { formatRdpUser, parseRdpUser, type RdpUser } from './rdp-user.ts';
export { formatSelector, parseSelector, type Selector } from './selector.ts';

/** The keeper as a gate sees it. */
export type Keeper = {
  readonly [N in keyof GateQuestions]: (
    fields: Ask<GateQuestions, N>,
    signal: AbortSignal,
  ) => Promise<Answer<GateQuestions, N> | Refusal>;
};

export type AuthorizationAnswer = Answer<GateQuestions, 'authorize'>;

/** The keeper behind whatever line is there at the moment of asking: after a lost keeper it is another one. */
export function keeperOver(line: () => Line): Keeper {
  const names = Object.keys(questions) as (keyof GateQuestions)[];
  return Object.fromEntries(
    names.map((name) => [name, (fields: never, signal: AbortSignal) => ask(line(), questions, name, fields, signal)]),
  ) as unknown as Keeper;
}
