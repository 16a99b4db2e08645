/**
 * Our place in a peer's log (its replication slot), made over a connection of our own to that peer.
 *
 * INVARIANT: no transaction is open here meanwhile. A place is made only when every transaction has ended that was running
 * on the peer; `CREATE SUBSCRIPTION` would make it inside one of its own, and two nodes that subscribe to each other at the
 * same moment would each wait for the other's.
 */
import { sql } from 'kysely';
import { codeOf, wordsOf } from '../../base/errors.ts';
import type { Db } from '../../db/db.ts';
import { NodeError } from './errors.ts';

/** Opens a connection to a peer as one who may make places there. Throws `db.unreachable`. */
export type OpenPeer = () => Promise<Db>;

/** Less than the connection itself waits for an answer, so that the peer ends what it was asked for, and knows it. */
const patienceMs = 20_000;

/**
 * Makes the place. One of this name that was left behind is given up first, because nobody knows what was taken from it.
 * Throws `nodes.place-in-use` if somebody reads there, and what `isUnreached` knows if the peer does not answer, or if a
 * transaction on it does not end within 20 s: then no place is left.
 */
export async function makePlace(open: OpenPeer, slot: string): Promise<void> {
  await onPeer(open, async (peer) => {
    await drop(peer, slot);
    await sql`SELECT pg_create_logical_replication_slot(${slot}, 'pgoutput')`.execute(peer);
  });
}

/** Gives it up, if it is there. Throws as `makePlace` does. */
export async function giveUpPlace(open: OpenPeer, slot: string): Promise<void> {
  await onPeer(open, (peer) => drop(peer, slot));
}

const inUse = '55006';

async function drop(peer: Db, slot: string): Promise<void> {
  try {
    await sql`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
      WHERE slot_name = ${slot}`.execute(peer);
  } catch (error) {
    if (codeOf(error) === inUse) throw new NodeError('nodes.place-in-use', slot, { cause: error });
    throw error;
  }
}

async function onPeer(open: OpenPeer, work: (peer: Db) => Promise<void>): Promise<void> {
  const peer = await open();
  try {
    await peer.connection().execute(async (one) => {
      await sql`SET statement_timeout = ${sql.lit(patienceMs)}`.execute(one);
      await work(one);
    });
  } catch (error) {
    // What has no code of PostgreSQL's or ours is of the line: it was cut, or nothing came over it.
    if (error instanceof NodeError || /^[0-9A-Z]{5}$/.test(codeOf(error))) throw error;
    throw new NodeError('nodes.unreachable', wordsOf(error), { cause: error });
  } finally {
    await peer.destroy();
  }
}
