/**
 * A peer that does not take the password that is known here has changed it since: while this node was away, or since the
 * backup was made from which its database was restored. Then the peer may know facts of this node that are missing here, and
 * cannot be asked. So at the start the node changes nothing until the peer has told it the new password, which the peer does
 * by itself; or until a minute has passed, because a peer that has forgotten this node never does.
 */
import { sql } from 'kysely';
import type { Neighbourhood } from './neighbourhood.ts';

/** A peer looks every 15 s whether it is known here by its present password, and tells it in the round after. */
const patienceMs = 60_000;

type Need = Pick<Neighbourhood, 'admin' | 'clock' | 'log'>;

/** At the start: if some peers do not let this node in (`noticeSetBack`), it changes nothing until `endAsking`. */
export async function beginAsking({ admin, clock, log }: Need, shutOut: readonly string[]): Promise<void> {
  if (shutOut.length === 0) return;
  const { numAffectedRows } =
    await sql`UPDATE ledger_node SET state = 'asking', asks_until = ${clock.now() + patienceMs}
    WHERE state IN ('member', 'asking')`.execute(admin);
  if (numAffectedRows === 0n) return;
  log.info({ peers: shutOut }, 'another node has changed its password; nothing is changed until it has told this one');
}

/** In every round meanwhile, with those that still do not let it in. */
export async function endAsking({ admin, clock, log }: Need, shutOut: readonly string[]): Promise<void> {
  const { numAffectedRows } =
    await sql`UPDATE ledger_node SET state = 'member', asks_until = NULL WHERE state = 'asking'
    AND (${shutOut.length === 0} OR coalesce(asks_until, 0) < ${clock.now()}::bigint)`.execute(admin);
  if (numAffectedRows === 0n || shutOut.length === 0) return;
  const words = `${shutOut.join(', ')} does not let this node in and has not told it why; whether this database was set back is not known, and the node goes on`;
  log.warn({ peers: shutOut }, words);
}
