/** Leaving the others, and forgetting one that left or does not come back. Facts stay where they are, on both sides. */
import { sql } from 'kysely';
import { type Actor, record } from '../../audit/audit.ts';
import { type NodeRefusal, turnAway } from './errors.ts';
import { nodeState } from './identity.ts';
import { post } from './letters.ts';
import { cardOf, filesOf, type Neighbourhood, ownName, peerNames } from './neighbourhood.ts';
import { subscriptionName, unsubscribe } from './subscription.ts';

export interface Left {
  /** Nodes that are heard no more. */
  readonly peers: readonly string[];
  /** Of these, nodes that could not be told: each must be told to forget this one (`node leave --peer`). */
  readonly untold: readonly string[];
}

/** Leaves all other nodes; not while what they have heard of it is missing here. Its name stays, because facts stand under it. */
export async function leave(near: Neighbourhood, actor: Actor): Promise<Left | NodeRefusal> {
  const me = await ownName(near);
  const { state } = await nodeState(near.db);
  const peers = await peerNames(near);
  if (state === 'set-back' || state === 'healing') return turnAway('nodes.set-back');
  if (peers.length === 0) return turnAway('nodes.no-peer');
  const untold: string[] = [];
  for (const peer of peers) {
    using card = await cardOf(near, peer);
    await stopHearing(near, me, peer);
    if (!(await post(near, card, { kind: 'leave', from: me }))) untold.push(peer);
    await near.admin.deleteFrom('node_peer').where('name', '=', peer).execute();
  }
  await sql`UPDATE ledger_node SET state = 'member' WHERE state = 'joining'`.execute(near.admin);
  await record(near.db, actor, { type: 'node.left', about: {}, details: { peers } });
  return { peers, untold };
}

/** Hears a peer no more and keeps no log for it. */
export async function forget(
  near: Neighbourhood,
  me: string,
  peer: string,
  reason: string,
  actor: Actor,
): Promise<void> {
  await stopHearing(near, me, peer);
  await near.admin.deleteFrom('node_peer').where('name', '=', peer).execute();
  await record(near.db, actor, { type: 'node.peer-left', about: {}, details: { peer, reason } });
}

async function stopHearing(near: Neighbourhood, me: string, peer: string): Promise<void> {
  await unsubscribe(near.admin, subscriptionName(me, peer), 'leave');
  for (const file of filesOf(peer)) near.files.remove(file);
  // Its slot here would keep the log for somebody who does not come back. One that is in use goes with his subscription.
  await sql`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
    WHERE slot_name = ${subscriptionName(peer, me)} AND NOT active`.execute(near.admin);
}
