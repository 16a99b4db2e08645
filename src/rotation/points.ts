/**
 * Where a process may die: before and after each question to a target, and before and after each commit. Everything that
 * rotation does to the world goes through `ask` (change/ask.ts) or `commit`, and both name what they do from these
 * lists, so that a test can kill the process at every one of them and knows that there is no other.
 */
import { type Db, inTransaction, type Tx } from '../db/db.ts';

export const questions = ['precheck', 'change', 'reconcile', 'retire', 'fence', 'verify', 'adminverify'] as const;

export const commits = [
  'intent',
  'outcome',
  'attempt',
  'refused logins',
  'resolution',
  'conflict try',
  'synchrony',
  'known value',
  'time-out of another node',
  'arrival',
  'wish',
] as const;

export type Question = (typeof questions)[number];
export type Commit = (typeof commits)[number];
export type Point = `${'before' | 'after'} ${Question | Commit}`;

/** Told at each point; a test ends the process there. In the product it is nothing. */
export type At = (point: Point) => void | Promise<void>;

/** A transaction with its two points. */
export async function commit<T>(
  context: { readonly db: Db; readonly at: At },
  name: Commit,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  await context.at(`before ${name}`);
  const result = await inTransaction(context.db, work);
  await context.at(`after ${name}`);
  return result;
}
