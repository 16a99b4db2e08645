/**
 * "Is everything here that any node knows?", asked before a conflict is decided (B-17).
 *
 * A question is a row that travels to every peer; the peer's server answers in the transaction that brings it, by a row of
 * its own. What was committed at the peer before the answer stands before it in the peer's log and is applied here before
 * it, because one subscription is applied in the order of commits once all its tables have been copied. So when the
 * answer is here, every fact that the peer had when it answered is here. A node that does not answer in time is named.
 */
import type { Id } from '../../base/ids.ts';
import { newId } from '../../base/new-id.ts';
import type { Context } from '../context.ts';
import { siteOf } from '../plan/site.ts';
import { isCopied, subscriptionName } from './subscription.ts';

/** How long a node is waited for (B-17); 5 minutes. */
export const verificationWaitMs = 300_000;

export interface BarrierQuestion {
  /**
   * Looks for answers, and asks peers that could not be asked before. The peers that have not given theirs; one that was
   * forgotten is not waited for, and one of which facts may be missing here (`doubt`) has not answered.
   */
  silent(): Promise<readonly string[]>;
}

/** Asks every peer there is: one whose tables are still being copied as soon as they are. */
export async function putQuestion({ db, clock }: Pick<Context, 'db' | 'clock'>): Promise<BarrierQuestion> {
  /** By peer: the question that was put after all its tables had been copied. */
  const asked = new Map<string, Id<'barrier'>>();
  const answered = new Set<string>();

  async function ask(peers: readonly string[]): Promise<void> {
    const { name } = await db.selectFrom('ledger_node').select('name').executeTakeFirstOrThrow();
    const ready: string[] = [];
    for (const peer of peers)
      if (!asked.has(peer) && (await isCopied(db, subscriptionName(name ?? '', peer)))) ready.push(peer);
    if (ready.length === 0) return;
    const question = newId<Id<'barrier'>>(clock.now());
    await db.insertInto('barrier').values({ ask: question, kind: 'ask' }).execute();
    for (const peer of ready) asked.set(peer, question);
  }
  async function silent(): Promise<readonly string[]> {
    const peers = await db.selectFrom('node_peer').select(['name', 'doubt']).orderBy('name').execute();
    await ask(peers.flatMap(({ name, doubt }) => (doubt ? [] : [name])));
    const questions = [...new Set(asked.values())];
    if (questions.length > 0) {
      const answers = await db
        .selectFrom('barrier')
        .select(['node', 'ask'])
        .where('ask', 'in', questions)
        .where('kind', '=', 'answer')
        .execute();
      for (const { node, ask: question } of answers)
        if (asked.get(siteOf(node)) === question) answered.add(siteOf(node));
    }
    return peers.flatMap(({ name, doubt }) => (answered.has(name) && !doubt ? [] : [name]));
  }
  await silent();
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
