/**
 * Before a decision: has everything arrived that the other nodes knew? One question for each account that is in conflict.
 * INVARIANT: an answer counts for the decision at hand and for none later. What a peer did after it had answered is not
 * known here, so the next decision, even about the same facts, asks everybody again.
 */
import type { AccountId } from '../../base/ids.ts';
import type { Context } from '../context.ts';
import type { Heard, Peers } from '../peers.ts';
import { type BarrierQuestion, putQuestion } from './barrier.ts';

/** A decision is looked at and then made under its lease: both may rest on one answer. */
const countsMs = 10_000;
/** One who is connected answers at once, and is waited for. */
const atOnceMs = 1_000;
const lookMs = 20;
/** One who was away for long finds the question too old to answer. */
const askAgainMs = 3_600_000;

interface Asked {
  readonly since: number;
  /** When the waiting began; a peer that stays silent is late by this. */
  readonly from: number;
  /** When this question was put. */
  readonly put: number;
  readonly question: BarrierQuestion;
  /** When all had answered. */
  complete?: number;
}

/** See `Peers.heard`. `connected` says of every peer whether it is heard now; `waitMs` is how long one is waited for. */
export function hearing(
  need: Pick<Context, 'db' | 'clock'>,
  connected: () => Promise<ReadonlyMap<string, boolean>>,
  waitMs: number,
): Peers['heard'] {
  const { clock } = need;
  const questions = new Map<AccountId, Asked>();

  async function begin(account: AccountId, since: number, from: number): Promise<Asked> {
    const asked = { since, from, put: clock.now(), question: await putQuestion(need) };
    questions.set(account, asked);
    return asked;
  }
  /** The question that still counts, or a new one. */
  async function present(account: AccountId, since: number): Promise<Asked> {
    const [known, now] = [questions.get(account), clock.now()];
    if (known === undefined || known.since !== since) return begin(account, since, now);
    if (known.complete !== undefined) return known.complete + countsMs > now ? known : begin(account, since, now);
    return known.put + askAgainMs > now ? known : begin(account, since, known.from);
  }
  /** Who has not answered yet. */
  async function look({ question }: Asked, signal: AbortSignal): Promise<readonly string[]> {
    for (const late = clock.now() + atOnceMs; ; await clock.sleep(lookMs, signal)) {
      const silent = await question.silent();
      if (silent.length === 0 || clock.now() >= late) return silent;
      const up = await connected();
      if (!silent.every((peer) => up.get(peer) === true)) return silent;
    }
  }
  return async (account, since, signal): Promise<Heard> => {
    let asked = await present(account, since);
    if (asked.complete !== undefined && (await asked.question.silent()).length === 0) return 'here';
    let silent = await look(asked, signal);
    // Some answers are as old as the question: whoever was waited for too long made the others' answers stale.
    if (silent.length === 0 && clock.now() - asked.put > waitMs) {
      asked = await begin(account, since, asked.from);
      silent = await look(asked, signal);
    }
    if (silent.length === 0) {
      asked.complete = clock.now();
      return 'here';
    }
    return clock.now() - asked.from < waitMs ? 'waiting' : 'late';
  };
}
