/**
 * The instrumented list: everything that rotate, resolve and reconcile do to the world, by name, and so every place where
 * the process may die. Questions and commits are the product's own list (`src/rotation/points.ts`); besides them there are
 * writes that decide nothing: leases, holds and the audit of an opened value. They are told from their SQL. A write
 * that has no name here is an unlisted point, and the run fails.
 */
import { type Commit, commits, type Question, questions } from '../src/rotation/points.ts';

/** Writes outside of `commit`, and their SQL. Before one means before its statement, after it after its transaction. */
const small = {
  'lease taken': /^insert into "rotation_lease"/,
  'lease kept': /^update "rotation_lease" set "expires_at" = clock_timestamp\(\) \+/,
  'lease given back': /^update "rotation_lease" set "expires_at" = clock_timestamp\(\) where/,
  'hold released': /^update "hold" set "released_at"/,
  'hold taken': /^insert into "hold"/,
  'value opened': /^\s*select audit_append\(/i,
} as const;

export type Small = keyof typeof small;
export const smallWrites = Object.keys(small) as readonly Small[];

/** The name of a write outside of `commit`, or undefined where the list has none. */
export function smallWriteOf(statement: string): Small | undefined {
  return smallWrites.find((name) => small[name].test(statement));
}

const writing =
  /^\s*(insert|update|delete|merge|truncate|create|alter|drop|copy|call|do|notify)\b|\baudit_append\(|\bpg_notify\(/i;

/** Whether a statement leaves something behind. */
export function isWrite(statement: string): boolean {
  return writing.test(statement);
}

/** Questions that may change a target. The others only look. */
export const changing: readonly Question[] = ['change', 'reconcile', 'retire'];

/**
 * How much of a question's bytes has left when it is stopped on the wire, in percent. Most of them are the way in, so the
 * change itself is near the end.
 */
const parts = [25, 50, 75, 90, 95, 98, 100] as const;
/** Who dies there: the process with its connector, or the connector alone. */
export type Victim = 'process' | 'connector';

export type Where =
  | { readonly kind: 'at'; readonly name: Name; readonly side: 'before' | 'within' | 'after' }
  | { readonly kind: 'wire'; readonly question: Question; readonly percent: number; readonly dies: Victim };
export type Name = Question | Commit | Small;

/** A place in words, as it is printed and given to `--point`. */
export function wordsOfWhere(where: Where): string {
  if (where.kind === 'at') return `${where.side} ${where.name}`;
  return `on the wire ${where.percent} % of ${where.question}, the ${where.dies} dies`;
}

/** All places there are, whether they ever occur or not. */
export const everywhere: readonly Where[] = [
  ...questions.flatMap((name) => [at('before', name), at('after', name)]),
  ...commits.flatMap((name) => [at('before', name), at('within', name), at('after', name)]),
  ...smallWrites.flatMap((name) => [at('before', name), at('after', name)]),
  ...changing.flatMap(onWire),
];

/** With all bytes sent a connector is as good as done, so there the process dies. */
function onWire(question: Question): Where[] {
  return parts.flatMap((percent) =>
    (percent < 100 ? (['process', 'connector'] as const) : (['process'] as const)).map(
      (dies) => ({ kind: 'wire', question, percent, dies }) as const,
    ),
  );
}

function at(side: 'before' | 'within' | 'after', name: Name): Where {
  return { kind: 'at', name, side };
}

export function isQuestion(name: string): name is Question {
  return (questions as readonly string[]).includes(name);
}

export function isCommit(name: string): name is Commit {
  return (commits as readonly string[]).includes(name);
}

/** What happened once, and for the how manieth time in one performance. */
export interface Happened {
  readonly name: Name;
  readonly occurrence: number;
  /** Of a question: how many bytes it sent to the target. */
  readonly bytes?: number;
}

/** Every place at which one performance can be stopped, from what happened in it. */
export function placesOf(happened: readonly Happened[]): { readonly where: Where; readonly occurrence: number }[] {
  return happened.flatMap(({ name, occurrence, bytes }) => {
    const sides = isCommit(name) ? (['before', 'within', 'after'] as const) : (['before', 'after'] as const);
    const places: Where[] = sides.map((side) => at(side, name));
    if (isQuestion(name) && changing.includes(name) && bytes !== undefined && bytes > 0) places.push(...onWire(name));
    return places.map((where) => ({ where, occurrence }));
  });
}
