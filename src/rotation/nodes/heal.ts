/**
 * Coming back. A database that was set back (a restored backup, a copy of the folder) has three faults at once: its own
 * newest facts are missing, the numbers of its facts start again where they were, and in both directions the positions in
 * the peers' logs are no longer true, which PostgreSQL does not notice: it skips in silence.
 *
 * So everything is fetched anew, from every peer: the peer's facts and ours that it has heard. Then the node goes on under
 * a new name, and each peer is told to copy us anew. Rows that are there already are dropped as they come.
 */
import { sql } from 'kysely';
import type { Clock } from '../../base/clock.ts';
import { type Db, inTransaction, type Tx } from '../../db/db.ts';
import { siteOf } from '../plan/site.ts';
import { assume, identityOf } from './identity.ts';
import { publish } from './publication.ts';
import {
  healingName,
  isUnreached,
  type Source,
  subscribe,
  subscribeToAll,
  subscriptionName,
  unsubscribe,
  untilCopied,
} from './subscription.ts';

/**
 * Makes the subscription to one peer anew, with a full copy: for a slot that was lost, or a peer that was set back. Throws
 * and changes nothing if the peer cannot be reached (`isUnreached`).
 */
export async function renew(admin: Db, me: string, from: Source, clock: Clock, signal: AbortSignal): Promise<void> {
  await unsubscribe(admin, subscriptionName(me, from.name), 'keep');
  await subscribe(admin, me, from);
  await untilCopied(admin, subscriptionName(me, from.name), clock, signal);
}

/** The same, and fetches what the peer has of everybody. */
export async function refetch(admin: Db, me: string, from: Source, clock: Clock, signal: AbortSignal): Promise<void> {
  await renew(admin, me, from, clock, signal);
  const healing = healingName(me, from.name);
  await unsubscribe(admin, healing, 'keep');
  try {
    await subscribeToAll(admin, me, from);
    await untilCopied(admin, healing, clock, signal);
  } finally {
    await unsubscribe(admin, healing, 'leave');
  }
}

export interface Healed {
  /** The node's new name in facts. */
  readonly id: string;
  /** Peers from which everything was fetched. */
  readonly reached: readonly string[];
  /** Peers that did not answer: to be fetched from when they do. */
  readonly unreached: readonly string[];
}

/**
 * Fetches everything from every peer that answers and gives the node its next name. Undefined if none answers: then
 * nothing was changed. Afterwards every peer must renew its subscription to this node.
 */
export async function heal(
  admin: Db,
  sources: readonly Source[],
  clock: Clock,
  signal: AbortSignal,
): Promise<Healed | undefined> {
  const { name } = await identityOf(admin);
  if (name === null) throw new Error('a node without a name has nothing to fetch');
  const reached: string[] = [];
  const unreached: string[] = [];
  for (const source of sources) {
    try {
      await refetch(admin, name, source, clock, signal);
      reached.push(source.name);
    } catch (error) {
      if (!isUnreached(error)) throw error;
      unreached.push(source.name);
    }
  }
  if (reached.length === 0) return undefined;
  const id = await inTransaction(admin, async (tx) => {
    const seen = await namesSeen(tx, name);
    for (const former of seen)
      await sql`INSERT INTO ledger_incarnation (id) VALUES (${former}) ON CONFLICT DO NOTHING`.execute(tx);
    const next = await assume(tx, name, seen);
    await publish(tx, (await identityOf(tx)).own);
    return next;
  });
  return { id, reached, unreached };
}

const signed = ['randomization', 'outcome', 'resolution', 'advance', 'barrier', 'credential_version'] as const;

/** Every name under which facts of this site are known here. */
async function namesSeen(db: Db | Tx, site: string): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const { id } of await db.selectFrom('ledger_incarnation').select('id').execute())
    if (siteOf(id) === site) names.add(id);
  for (const table of signed)
    for (const { node } of await db.selectFrom(table).select('node').distinct().execute())
      if (siteOf(node) === site) names.add(node);
  return [...names];
}

/**
 * Whether a peer has heard facts of this node that are not here: then this database is older than it was. `peer` may
 * read the peer's facts.
 */
export async function isSetBack(db: Db, peer: Db): Promise<boolean> {
  const { own } = await identityOf(db);
  for (const table of ['outcome', 'resolution', 'advance'] as const) {
    const newest = (at: Db) =>
      at
        .selectFrom(table)
        .select(['node', (row) => row.fn.max('node_seq').as('last')])
        .where('node', 'in', [...own])
        .groupBy('node')
        .execute();
    const here = new Map((await newest(db)).map(({ node, last }) => [node, last]));
    for (const { node, last } of await newest(peer)) if (last > (here.get(node) ?? 0)) return true;
  }
  const latest = await peer
    .selectFrom('randomization')
    .select('sigkey')
    .where('node', 'in', [...own])
    .orderBy('sigkey', 'desc')
    .limit(100)
    .execute();
  if (latest.length === 0) return false;
  const keys = latest.map((row) => row.sigkey);
  const known = await db.selectFrom('randomization').select('sigkey').where('sigkey', 'in', keys).execute();
  return known.length < keys.length;
}
