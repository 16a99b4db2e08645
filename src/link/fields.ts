/** Named questions with typed fields: a question's schema gives its TypeScript type and its check on arrival. */
import { type Static, type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Refusal } from '../base/errors.ts';
import { LinkError } from './errors.ts';
import type { Answerer, Line } from './line.ts';

/** Bytes, which travel behind the JSON and never in it. At most `max` of them. */
export function Bytes(max = 1024 * 1024): ReturnType<typeof Type.Unsafe<Uint8Array>> {
  return Type.Unsafe<Uint8Array>(
    Type.Refine(
      Type.Unknown(),
      (value) => value instanceof Uint8Array && value.length <= max,
      () => `bytes, at most ${max}`,
    ),
  );
}

export interface Question<A extends TSchema = TSchema, B extends TSchema = TSchema> {
  readonly ask: A;
  readonly answer: B;
}

export function question<A extends TSchema, B extends TSchema>(ask: A, answer: B): Question<A, B> {
  return { ask, answer };
}

export type Questions = Readonly<Record<string, Question>>;
export type Ask<Q extends Questions, N extends keyof Q> = Static<Q[N]['ask']>;
export type Answer<Q extends Questions, N extends keyof Q> = Static<Q[N]['answer']>;

/** One function for each question; each may also refuse. */
export type Answers<Q extends Questions> = {
  readonly [N in keyof Q]: (
    fields: Ask<Q, N>,
    signal: AbortSignal,
    part: (fields: unknown) => void,
  ) => Promise<Answer<Q, N> | Refusal>;
};

/** Throws `link.bad-fields`, naming the field and never its value. */
export function checkFields<S extends TSchema>(schema: S, fields: unknown, what: string): Static<S> {
  if (Value.Check(schema, fields)) return fields as Static<S>;
  const first = Value.Errors(schema, fields)[0];
  throw new LinkError('link.bad-fields', `${what}${first?.instancePath ?? ''}: ${first?.message ?? 'malformed'}`);
}

/** Asks a named question with checked fields on both ways. A refusal comes back as a value. */
export async function ask<Q extends Questions, N extends keyof Q & string>(
  line: Line,
  questions: Q,
  name: N,
  fields: Ask<Q, N>,
  signal: AbortSignal,
  onPart?: (fields: unknown) => void,
): Promise<Answer<Q, N> | Refusal> {
  const answer = await line.ask(name, fields, signal, onPart);
  if (typeof answer === 'object' && answer !== null && 'refused' in answer) return answer as Refusal;
  return checkFields(questions[name]?.answer ?? Type.Never(), answer, name) as Answer<Q, N>;
}

/** The answerer of a line from one function for each question. */
export function answerer<Q extends Questions>(questions: Q, answers: Answers<Q>): Answerer {
  return async (name, fields, part, signal) => {
    const known = Object.hasOwn(questions, name) ? questions[name] : undefined;
    if (known === undefined) throw new LinkError('link.unknown-question', name);
    const answer = answers[name as keyof Q];
    return await answer(checkFields(known.ask, fields, name) as never, signal, part);
  };
}
