/**
 * What rotation asks of other nodes (`rotation/peers.ts`), answered from this node's own database: what has arrived, what
 * was sent, who was heard lately. No question here waits for a peer longer than it says.
 */
import { sql } from 'kysely';
import type { PolicyId } from '../../base/ids.ts';
import type { Context } from '../context.ts';
import type { Peers } from '../peers.ts';
import {
  anyNode,
  type Here,
  type Management,
  mayDecideHere,
  mayResolveHere,
  mayRotateHere,
  type PeerState,
} from '../plan/management.ts';
import { verificationWaitMs } from './barrier.ts';
import { hearing } from './hearing.ts';
import { nodeState } from './identity.ts';
import { subscriptionName } from './subscription.ts';

export interface PeersOptions {
  /** What a policy says of nodes. */
  readonly managementOf: (policy: PolicyId) => Promise<Management>;
  /** How long a node is waited for before a conflict is decided; 5 minutes unless told. */
  readonly waitMs?: number;
}

/** A peer counts as down, for fallback, only after it was not heard for so long: a restart is no reason for a conflict. */
const downAfterMs = 15_000;
const sentWaitMs = 1_000;
const lookMs = 10;

const nobody: ReadonlyMap<string, PeerState> = new Map();

type Need = Pick<Context, 'db' | 'clock'>;

/** See `Peers`. It keeps in memory which questions were put and when each peer was last heard. */
export function peersOf(need: Need, options: PeersOptions): Peers {
  const { db, clock } = need;
  const waitMs = options.waitMs ?? verificationWaitMs;
  const opened = clock.now();
  const lastHeard = new Map<string, number>();
  const heard = hearing(need, async () => await connections(need), waitMs);

  async function here(): Promise<Here> {
    const { name, state } = await nodeState(db);
    return { name, ready: state === 'single' || state === 'member' };
  }
  async function states(): Promise<ReadonlyMap<string, PeerState>> {
    const now = clock.now();
    const found = new Map<string, PeerState>();
    for (const [name, up] of await connections(need)) {
      if (up) lastHeard.set(name, now);
      found.set(name, up || now - (lastHeard.get(name) ?? opened) < downAfterMs ? 'up' : 'down');
    }
    return found;
  }
  return {
    heard,
    sent: (signal) => untilSent(need, signal),
    mayRotate: async (policy) => {
      const node = await here();
      // A node without a name has no peers, whatever the policy says of them.
      const alone = node.name === null;
      const management = alone ? anyNode : await options.managementOf(policy);
      const answer = mayRotateHere(management, node, alone ? nobody : await states());
      if (!answer.may) return answer.because;
      // Standing in for the managing node is allowed, and is to be said.
      return answer.as === 'fallback' ? 'managing-down' : 'yes';
    },
    mayResolve: async (policy) => {
      const names = (await db.selectFrom('node_peer').select('name').execute()).map((row) => row.name);
      return mayResolveHere(await options.managementOf(policy), await here(), names);
    },
    mayDecide: async (policy) => mayDecideHere(await options.managementOf(policy), await here(), await states()),
    unreachable: async () => [...(await connections(need))].flatMap(([name, up]) => (up ? [] : [name])),
  };
}

/** A connection says something every ten seconds even when nothing happens; longer silence is a line that is dead. */
const silenceMs = 60_000;

/** Of every peer: whether this server is connected to it now and hears it. */
export async function connections({ db }: Pick<Need, 'db'>): Promise<ReadonlyMap<string, boolean>> {
  const { name } = await nodeState(db);
  const peers = await db.selectFrom('node_peer').select('name').orderBy('name').execute();
  const { rows } = await sql<{ name: string; up: boolean }>`
    SELECT subname AS name, bool_or(pid IS NOT NULL
      AND last_msg_receipt_time > clock_timestamp() - ${silenceMs} * interval '1 millisecond') AS up
    FROM pg_stat_subscription WHERE relid IS NULL GROUP BY subname`.execute(db);
  const up = new Map(rows.map((row) => [row.name, row.up]));
  return new Map(peers.map((peer) => [peer.name, up.get(subscriptionName(name ?? '', peer.name)) === true]));
}

/** Until every peer that is connected has what was committed here, or a second has passed. */
async function untilSent({ db, clock }: Need, signal: AbortSignal): Promise<void> {
  const peers = await db.selectFrom('node_peer').select('name').execute();
  if (peers.length === 0) return;
  const { name } = await nodeState(db);
  if (name === null) return;
  const slots = peers.map((peer) => subscriptionName(peer.name, name));
  const { rows } = await sql<{ lsn: string }>`SELECT pg_current_wal_insert_lsn()::text AS lsn`.execute(db);
  for (const late = clock.now() + sentWaitMs; clock.now() < late; await clock.sleep(lookMs, signal)) {
    const behind = await sql`SELECT FROM pg_replication_slots WHERE slot_name IN (${sql.join(slots)}) AND active
      AND confirmed_flush_lsn < ${rows[0]?.lsn}::pg_lsn`.execute(db);
    if (behind.rows.length === 0) return;
  }
}
