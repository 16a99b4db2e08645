/**
 * "Is everything here that any node knows?", asked before a conflict is decided (B-17).
 *
 * A question is a row that travels to every peer; the peer's server answers in the transaction that brings it, by a row of
 * its own. What was committed at the peer before the answer stands before it in the peer's log and is applied here before
 * it, because one subscription is applied in the order of commits once all its tables have been copied. So when the
 * answer is here, every fact that the peer had when it answered is here. A node that does not answer in time is named.
 */
import type { AccountId, Id } from '../../base/ids.ts';
import { newId } from '../../base/new-id.ts';
import type { Context } from '../context.ts';
import { foldOf } from '../ledger/ledger.ts';
import { siteOf } from '../plan/site.ts';
import { isCopied, subscriptionName } from './subscription.ts';

/** How long a node is waited for (B-17); 5 minutes. */
export const verificationWaitMs = 300_000;
const firstLookMs = 10;
const longestLookMs = 250;

/** `missing`: nodes that did not answer, or values that some fact names and nobody has (`value SIGKEY`). */
export type FactsHere = 'yes' | { readonly missing: readonly string[] };

/**
 * Waits until all facts are here that the other nodes have about an account. With one node the answer is `yes` at once.
 * Rejects with the signal's reason.
 */
export async function allFactsHere(
  context: Pick<Context, 'db' | 'clock'>,
  account: AccountId,
  signal: AbortSignal,
  waitMs: number = verificationWaitMs,
): Promise<FactsHere> {
  const silent = await silentPeers(context, signal, waitMs);
  if (silent.length > 0) return { missing: silent };
  const { missing } = (await foldOf(context.db, account)).fold;
  return missing.length === 0 ? 'yes' : { missing: missing.map((sigkey) => `value ${sigkey}`) };
}

/** The peers that did not answer a question put now. */
export async function silentPeers(
  context: Pick<Context, 'db' | 'clock'>,
  signal: AbortSignal,
  waitMs: number,
): Promise<readonly string[]> {
  const { clock } = context;
  const late = clock.now() + waitMs;
  const question = await putQuestion(context);
  for (let pause = firstLookMs; ; pause = Math.min(2 * pause, longestLookMs)) {
    const silent = await question.silent();
    if (silent.length === 0 || clock.now() >= late) return silent;
    await clock.sleep(Math.min(pause, Math.max(1, late - clock.now())), signal);
  }
}

export interface BarrierQuestion {
  /** Looks for answers; the peers that have not given theirs. */
  silent(): Promise<readonly string[]>;
}

/** Asks every peer there is now: one whose tables are still being copied as soon as they are. */
export async function putQuestion({ db, clock }: Pick<Context, 'db' | 'clock'>): Promise<BarrierQuestion> {
  const peers = (await db.selectFrom('node_peer').select('name').orderBy('name').execute()).map((row) => row.name);
  const { name } = await db.selectFrom('ledger_node').select('name').executeTakeFirstOrThrow();
  const waiting = new Set(peers);
  /** By peer: the question that was put after all its tables had been copied. */
  const asked = new Map<string, Id<'barrier'>>();

  async function ask(): Promise<void> {
    const ready: string[] = [];
    for (const peer of waiting)
      if (!asked.has(peer) && (await isCopied(db, subscriptionName(name ?? '', peer)))) ready.push(peer);
    if (ready.length === 0) return;
    const question = newId<Id<'barrier'>>(clock.now());
    await db.insertInto('barrier').values({ ask: question, kind: 'ask' }).execute();
    for (const peer of ready) asked.set(peer, question);
  }
  async function silent(): Promise<readonly string[]> {
    await ask();
    const questions = [...new Set(asked.values())];
    if (questions.length > 0) {
      const answers = await db
        .selectFrom('barrier')
        .select(['node', 'ask'])
        .where('ask', 'in', questions)
        .where('kind', '=', 'answer')
        .execute();
      for (const answer of answers)
        if (asked.get(siteOf(answer.node)) === answer.ask) waiting.delete(siteOf(answer.node));
    }
    return [...waiting];
  }
  await ask();
  return { silent };
}

const keptMs = 24 * 3_600_000;

/** Forgets questions and answers of yesterday. */
export async function pruneBarriers({ db, clock }: Pick<Context, 'db' | 'clock'>): Promise<void> {
  await db
    .deleteFrom('barrier')
    .where('at', '<', new Date(clock.now() - keptMs))
    .execute();
}
