/**
 * How it stands between nodes, as one of them sees it: what comes in, what is still to go out, what was put aside. Read
 * from this node's own server; with `compare` the peers are asked too whether they hold the same facts.
 */
import { sql } from 'kysely';
import type { Db } from '../../db/db.ts';
import { identityOf, type NodeState } from './identity.ts';
import { cardOf, type Neighbourhood, withPeer } from './neighbourhood.ts';
import { comparable } from './publication.ts';
import { isCopied, subscriptionName } from './subscription.ts';

export interface PeerStatus {
  readonly name: string;
  /** What comes from it: `copying` for the first time, `live`, `down` (its server is not reached), or `missing`. */
  readonly hearing: 'copying' | 'live' | 'down' | 'missing';
  /** Seconds since its server said anything; null if it did not since ours started. */
  readonly silentSeconds: number | null;
  /** Failures to receive or apply what came, until it was heard for a minute without one; then 0. */
  readonly applyErrors: number;
  /** Our facts on the way to it: its place in our log. `lost` means that it must copy everything anew. */
  readonly place: 'live' | 'waiting' | 'extended' | 'lost' | 'missing';
  /** Bytes of our log that it has not confirmed. */
  readonly behindBytes: number;
  /** How much more of our log is kept for it, in bytes, before its place is given up; null: no limit is near. */
  readonly keptBytes: number | null;
  /** It is to be told something (for the first time, too), or everything is to be fetched from it, when it answers again. */
  readonly owed: boolean;
  /** Whether it holds the same facts now; only with `compare`, and null if it did not answer. */
  readonly same?: boolean | null;
}

export interface NodesStatus {
  readonly node: string;
  readonly name: string | null;
  readonly state: NodeState;
  readonly peers: readonly PeerStatus[];
  /** Facts of other nodes that are not folded yet. */
  readonly unfolded: number;
  /** Facts that came under a key which another fact has, and that nobody has looked at yet. */
  readonly quarantined: number;
}

/** Of a node that is alone too. */
export async function statusOf(db: Db, near: Neighbourhood | undefined, compare: boolean): Promise<NodesStatus> {
  const { id, name, state } = await identityOf(db);
  const { unfolded } = await db
    .selectFrom('ledger_arrival')
    .select((row) => row.fn.countAll<number>().as('unfolded'))
    .executeTakeFirstOrThrow();
  const { quarantined } = await db
    .selectFrom('ledger_quarantine')
    .select((row) => row.fn.countAll<number>().as('quarantined'))
    .where('acknowledged_at', 'is', null)
    .executeTakeFirstOrThrow();
  const peers: PeerStatus[] = [];
  if (near !== undefined && name !== null) {
    const rows = await db.selectFrom('node_peer').select(['name', 'renew', 'doubt', 'greet']).orderBy('name').execute();
    for (const row of rows) {
      const status = { ...(await peerStatus(near, name, row.name)), owed: row.renew || row.doubt || row.greet };
      peers.push(compare ? { ...status, same: await holdsTheSame(near, row.name) } : status);
    }
  }
  return {
    node: id,
    name,
    state,
    peers,
    unfolded,
    quarantined,
  };
}

interface Incoming {
  readonly alive: boolean;
  readonly silent: number | null;
  readonly errors: number;
}

interface Outgoing {
  readonly active: boolean;
  readonly wal_status: string | null;
  readonly behind: number | null;
  readonly safe: number | null;
}

async function peerStatus({ admin }: Neighbourhood, me: string, peer: string): Promise<Omit<PeerStatus, 'owed'>> {
  const incoming = subscriptionName(me, peer);
  const { rows: come } = await sql<Incoming>`
    SELECT bool_or(stat.pid IS NOT NULL) AS alive,
      extract(epoch FROM clock_timestamp() - max(stat.last_msg_receipt_time))::float8 AS silent,
      coalesce(max(errors.apply_error_count + errors.sync_error_count)
        FILTER (WHERE worker.backend_start > clock_timestamp() - interval '1 minute' OR worker.pid IS NULL), 0) AS errors
    FROM pg_stat_subscription stat LEFT JOIN pg_stat_subscription_stats errors ON errors.subid = stat.subid
    LEFT JOIN pg_stat_activity worker ON worker.pid = stat.pid
    WHERE stat.subname = ${incoming} AND stat.relid IS NULL GROUP BY stat.subid`.execute(admin);
  const { rows: go } = await sql<Outgoing>`
    SELECT active, wal_status, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::float8 AS behind,
      safe_wal_size AS safe
    FROM pg_replication_slots WHERE slot_name = ${subscriptionName(peer, me)}`.execute(admin);
  const [from, to] = [come[0], go[0]];
  return {
    name: peer,
    hearing:
      from === undefined ? 'missing' : !from.alive ? 'down' : (await isCopied(admin, incoming)) ? 'live' : 'copying',
    silentSeconds: from?.silent == null ? null : Math.round(from.silent),
    applyErrors: from?.errors ?? 0,
    place: placeOf(to),
    behindBytes: Math.max(0, Math.round(to?.behind ?? 0)),
    keptBytes: to?.safe ?? null,
  };
}

function placeOf(slot: Outgoing | undefined): PeerStatus['place'] {
  if (slot === undefined) return 'missing';
  if (slot.wal_status === 'lost' || slot.wal_status === 'unreserved') return 'lost';
  if (slot.wal_status === 'extended') return 'extended';
  return slot.active ? 'live' : 'waiting';
}

/** Null if it does not answer. While facts are on their way two nodes differ. */
async function holdsTheSame(near: Neighbourhood, peer: string): Promise<boolean | null> {
  using card = await cardOf(near, peer);
  const theirs = await withPeer(near, card, digestOf);
  return theirs === undefined ? null : theirs === (await digestOf(near.db));
}

/** One number for a set of facts, whatever their order: for each table how many, and the sum of a part of their hashes. */
export async function digestOf(db: Db): Promise<string> {
  const parts: string[] = [];
  for (const table of comparable) {
    const hash =
      table === 'credential_version'
        ? sql`sha256(sealed)`
        : table === 'credential_dek'
          ? sql`sha256(convert_to(sigkey::text, 'UTF8'))`
          : sql`fact_hash`;
    const { rows } = await sql<{ n: string }>`SELECT count(*)::text || '/' ||
      coalesce(sum(('x' || encode(substr(${hash}, 1, 7), 'hex'))::bit(56)::bigint), 0)::text AS n
      FROM ${sql.table(table)}`.execute(db);
    parts.push(rows[0]?.n ?? '');
  }
  return parts.join(' ');
}
