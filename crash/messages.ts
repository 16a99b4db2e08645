/** What the harness and the process that is to die say to one another, as JSON over the pipe that Node lays. */
import type { AccountId, Sigkey } from '../src/base/ids.ts';
import type { Question } from '../src/rotation/points.ts';
import type { OperationName } from './operations.ts';
import type { Happened, Where } from './points.ts';
import type { Value } from './values.ts';

/** One account and what is to be done to it. */
export interface Task {
  readonly lane: number;
  readonly account: AccountId;
  readonly operation: OperationName;
  /** What a person says in it: which value, or which one is meant. */
  readonly said: { readonly sigkey?: Sigkey; readonly value?: Value };
  /** Where it stops and waits for the end; without one it goes through and tells what happened. */
  readonly stop?: Stop;
}

export interface Stop {
  readonly where: Where;
  readonly occurrence: number;
}

export type ToVictim =
  | { readonly type: 'task'; readonly task: Task }
  /** Goes on with the question that was told of. */
  | { readonly type: 'go'; readonly lane: number };

export type FromVictim =
  | { readonly type: 'ready' }
  /** A question begins, or has its answer. It waits for `go`. */
  | {
      readonly type: 'question';
      readonly lane: number;
      readonly question: Question;
      readonly occurrence: number;
      readonly phase: 'begin' | 'end';
    }
  | { readonly type: 'reached'; readonly lane: number }
  /** Something was done to the world that the list does not name. */
  | { readonly type: 'unlisted'; readonly lane: number; readonly what: string }
  | {
      readonly type: 'finished';
      readonly lane: number;
      readonly happened: readonly Happened[];
      readonly words: string;
    };
