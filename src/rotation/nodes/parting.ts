/**
 * Leaving the others, and forgetting one that left or does not come back. Facts stay where they are, on both sides.
 *
 * Facts are heard from who said them, so what only some have heard of a node that goes would never reach the rest: after it
 * is forgotten, everything that the remaining ones have is fetched once. It knew our password, which becomes another one.
 */
import { sql } from 'kysely';
import { type Actor, record } from '../../audit/audit.ts';
import { inTransaction } from '../../db/db.ts';
import { type NodeRefusal, turnAway } from './errors.ts';
import { nodeState } from './identity.ts';
import { post } from './letters.ts';
import { cardOf, filesOf, type Neighbourhood, ownName, peerNames } from './neighbourhood.ts';
import { drawNextCard, useNextCard } from './own-card.ts';
import { healingName, subscriptionName, unsubscribe } from './subscription.ts';

export interface Left {
  /** Nodes that are heard no more. */
  readonly peers: readonly string[];
  /** Of these, nodes that could not be told: each must be told to forget this one (`node leave --peer`). */
  readonly untold: readonly string[];
  /** Of these, nodes that had not confirmed all that this one has said. Others that have it pass it on. */
  readonly behind: readonly string[];
}

/**
 * Leaves all other nodes; not while what they have heard of it is missing here. Whoever is connected is given a moment to
 * take what was said so far. Its name stays, because facts stand under it.
 */
export async function leave(near: Neighbourhood, actor: Actor): Promise<Left | NodeRefusal> {
  const me = await ownName(near);
  const { state } = await nodeState(near.db);
  const peers = await peerNames(near);
  if (state === 'set-back' || state === 'healing') return turnAway('nodes.set-back');
  if (state === 'asking') return turnAway('nodes.asking');
  if (peers.length === 0) return turnAway('nodes.no-peer');
  const behind = await untilConfirmed(near, me, peers);
  const untold: string[] = [];
  for (const peer of peers) {
    using card = await cardOf(near, peer);
    await stopHearing(near, me, peer);
    if (!(await post(near, card, { kind: 'leave', from: me }))) untold.push(peer);
    await near.admin.deleteFrom('node_peer').where('name', '=', peer).execute();
  }
  await inTransaction(near.admin, async (tx) => {
    await sql`UPDATE ledger_node SET state = 'member' WHERE state = 'joining'`.execute(tx);
    await drawNextCard(near, tx);
  });
  await useNextCard(near);
  await record(near.db, actor, { type: 'node.left', about: {}, details: { peers } });
  return { peers, untold, behind };
}

/** Hears a peer no more, keeps no log for it and lets it in no more. `at` is when it said that it leaves, or now. */
export async function forget(
  near: Neighbourhood,
  me: string,
  peer: string,
  reason: string,
  actor: Actor,
  at: number = near.clock.now(),
): Promise<void> {
  await stopHearing(near, me, peer);
  await inTransaction(near.admin, async (tx) => {
    await tx.deleteFrom('node_peer').where('name', '=', peer).execute();
    const since = new Date(at);
    await tx
      .insertInto('node_forgotten')
      .values({ name: peer, at: since })
      .onConflict((there) => there.column('name').doUpdateSet({ at: since }))
      .execute();
    await tx.updateTable('node_peer').set({ doubt: true, fetching: false }).execute();
    await drawNextCard(near, tx);
    await record(tx, actor, { type: 'node.peer-left', about: {}, details: { peer, reason } });
  });
}

async function stopHearing(near: Neighbourhood, me: string, peer: string): Promise<void> {
  await unsubscribe(near.admin, healingName(me, peer), 'leave');
  await unsubscribe(near.admin, subscriptionName(me, peer), 'leave');
  for (const file of filesOf(peer)) near.files.remove(file);
  for (const slot of [subscriptionName(peer, me), healingName(peer, me)]) await endSlot(near, slot);
}

const endMs = 5_000;
const lookMs = 20;

/** A place in our log would keep it for somebody who does not come back; and whoever reads at it now reads no more. */
async function endSlot({ admin, clock }: Neighbourhood, slot: string): Promise<void> {
  const never = new AbortController().signal;
  for (const late = clock.now() + endMs; clock.now() < late; await clock.sleep(lookMs, never)) {
    const { rows } = await sql<{ pid: number | null }>`SELECT active_pid AS pid FROM pg_replication_slots
      WHERE slot_name = ${slot}`.execute(admin);
    const [found] = rows;
    if (found === undefined) return;
    if (found.pid !== null) await sql`SELECT pg_terminate_backend(${found.pid})`.execute(admin);
    // It may have come again in between.
    else
      await sql`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
        WHERE slot_name = ${slot} AND NOT active`.execute(admin);
  }
}

const confirmMs = 10_000;

/** Who has not confirmed what was said here so far; whoever is connected is waited for. */
async function untilConfirmed(
  { admin, clock }: Neighbourhood,
  me: string,
  peers: readonly string[],
): Promise<readonly string[]> {
  const never = new AbortController().signal;
  const { rows } = await sql<{ lsn: string }>`SELECT pg_current_wal_insert_lsn()::text AS lsn`.execute(admin);
  const slots = sql.join(peers.map((peer) => subscriptionName(peer, me)));
  for (const late = clock.now() + confirmMs; ; await clock.sleep(lookMs, never)) {
    const places = await sql<{ slot: string; active: boolean; has: boolean }>`SELECT slot_name AS slot, active,
      coalesce(confirmed_flush_lsn >= ${rows[0]?.lsn}::pg_lsn, false) AS has
      FROM pg_replication_slots WHERE slot_name IN (${slots})`.execute(admin);
    const place = new Map(places.rows.map((row) => [row.slot, row]));
    const behind = peers.map((peer) => place.get(subscriptionName(peer, me))).filter((one) => one?.has !== true);
    if (clock.now() >= late || !behind.some((one) => one?.active === true))
      return peers.filter((peer) => place.get(subscriptionName(peer, me))?.has !== true);
  }
}
