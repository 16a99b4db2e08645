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
import { incarnationOf, siteOf } from '../plan/site.ts';
import { assume, identityOf } from './identity.ts';
import { publish } from './publication.ts';
import {
  healingName,
  isCopied,
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
 * and changes nothing if the peer cannot be reached (`isUnreached`). It does not wait for the copy.
 */
export async function beginRenewal(admin: Db, me: string, from: Source): Promise<void> {
  await unsubscribe(admin, subscriptionName(me, from.name), 'keep');
  await subscribe(admin, me, from);
}

/** The same, and waits. */
export async function renew(admin: Db, me: string, from: Source, clock: Clock, signal: AbortSignal): Promise<void> {
  await beginRenewal(admin, me, from);
  await untilCopied(admin, subscriptionName(me, from.name), clock, signal);
}

/**
 * Begins to fetch what the peer has of everybody, besides the peer's own facts from the beginning. Facts of this node that
 * come back go on to its other peers, as what it writes itself does: they may never have had them. `seen` are names of
 * this node that the peer knows (`namesAt`).
 */
export async function beginFetching(admin: Db, me: string, from: Source, seen: readonly string[] = []): Promise<void> {
  // Before they come: what is published is decided by the names that are ours when a row is written.
  if (seen.length > 0) await inTransaction(admin, (tx) => adopt(tx, seen));
  await beginRenewal(admin, me, from);
  await unsubscribe(admin, healingName(me, from.name), 'keep');
  await subscribeToAll(admin, me, from);
}

/** Ends the fetching if all has come. False if not. */
export async function endFetching(admin: Db, me: string, peer: string): Promise<boolean> {
  const [healing, usual] = [healingName(me, peer), subscriptionName(me, peer)];
  if (!(await isCopied(admin, healing)) || !(await isCopied(admin, usual))) return false;
  await unsubscribe(admin, healing, 'leave');
  return true;
}

/** Fetches what the peer has of everybody, and waits until all has come. */
export async function refetch(
  admin: Db,
  me: string,
  from: Source,
  clock: Clock,
  signal: AbortSignal,
  seen: readonly string[] = [],
): Promise<void> {
  const healing = healingName(me, from.name);
  try {
    await beginFetching(admin, me, from, seen);
    for (const name of [subscriptionName(me, from.name), healing]) await untilCopied(admin, name, clock, signal);
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
    const { own } = await identityOf(tx);
    const seen = [...own, ...(await namesSeen(tx, name))];
    // Whoever did not answer may have heard it under a name that nobody else has: no name was ever so late as the second of now.
    const least = unreached.length === 0 ? 0 : Math.floor(clock.now() / 1000);
    const next = await assume(tx, name, seen, least);
    await adopt(
      tx,
      seen.filter((former) => siteOf(former) === name),
    );
    return next;
  });
  return { id, reached, unreached };
}

/** Takes facts under these names for this node's own, and publishes them. */
async function adopt(tx: Tx, names: readonly string[]): Promise<void> {
  for (const former of names)
    await sql`INSERT INTO ledger_incarnation (id) VALUES (${former}) ON CONFLICT DO NOTHING`.execute(tx);
  await publish(tx, (await identityOf(tx)).own);
}

const signed = ['randomization', 'outcome', 'resolution', 'advance', 'barrier', 'credential_version'] as const;

/** Every name under which facts of a site are known here. */
async function namesSeen(db: Db | Tx, site: string): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const table of signed)
    for (const { node } of await db.selectFrom(table).select('node').distinct().execute())
      if (siteOf(node) === site) names.add(node);
  return [...names];
}

const numbered = ['outcome', 'resolution', 'advance'] as const;

/** Names under which a peer has numbered facts of a site. It is asked often, so it leaps from name to name in the index. */
export async function namesAt(peer: Db, site: string): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const table of numbered) {
    const { rows } = await sql<{ node: string }>`WITH RECURSIVE leap AS (
        (SELECT node FROM ${sql.table(table)} ORDER BY node LIMIT 1)
        UNION ALL SELECT (SELECT next.node FROM ${sql.table(table)} next WHERE next.node > leap.node ORDER BY next.node LIMIT 1)
        FROM leap WHERE leap.node IS NOT NULL)
      SELECT node FROM leap WHERE node IS NOT NULL`.execute(peer);
    for (const { node } of rows) if (siteOf(node) === site) names.add(node);
  }
  return [...names];
}

/**
 * What a peer has heard of this node that is not here. `present`: facts under its present name, or a later one: this
 * database is older than it was. `former`: facts from before it was healed, which were on their way meanwhile.
 */
export type Missed = 'nothing' | 'former' | 'present';

/** See `Missed`. `peer` may read the peer's facts. */
export async function missedBy(db: Db, peer: Db): Promise<Missed> {
  const { id, own } = await identityOf(db);
  const names = new Set([...own, ...(await namesAt(peer, siteOf(id)))]);
  const present = [...names].filter((name) => name === id || isLater(name, id));
  const former = [...names].filter((name) => !present.includes(name));
  if (await hasMore(db, peer, present)) return 'present';
  return (await hasMore(db, peer, former)) ? 'former' : 'nothing';
}

function isLater(name: string, than: string): boolean {
  return siteOf(name) === siteOf(than) && incarnationOf(name) > incarnationOf(than);
}

/** Whether a peer has facts under these names that are not here. */
async function hasMore(db: Db, peer: Db, names: readonly string[]): Promise<boolean> {
  if (names.length === 0) return false;
  for (const table of numbered) {
    const newest = (at: Db) =>
      at
        .selectFrom(table)
        .select(['node', (row) => row.fn.max('node_seq').as('last')])
        .where('node', 'in', [...names])
        .groupBy('node')
        .execute();
    const here = new Map((await newest(db)).map(({ node, last }) => [node, last]));
    for (const { node, last } of await newest(peer)) if (last > (here.get(node) ?? 0)) return true;
  }
  const latest = await peer
    .selectFrom('randomization')
    .select('sigkey')
    .where('node', 'in', [...names])
    .orderBy('sigkey', 'desc')
    .limit(100)
    .execute();
  if (latest.length === 0) return false;
  const keys = latest.map((row) => row.sigkey);
  const known = await db.selectFrom('randomization').select('sigkey').where('sigkey', 'in', keys).execute();
  return known.length < keys.length;
}
