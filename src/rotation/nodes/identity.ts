/** Who this node is: its name in facts, the names it had, and whether it may speak just now. */
import { sql } from 'kysely';
import type { Db, Tx } from '../../db/db.ts';
import { nextIncarnation } from '../plan/site.ts';

/**
 * `single`: never named. `joining`: others' facts are being copied for the first time. `member`: one of several.
 * `asking`: a peer does not let it in, so that it may have been set back; see `asking.ts`. `healing`: its own facts are being
 * fetched back. `set-back`: its database is older than what others have heard from it; it must be healed before it changes
 * anything.
 */
export type NodeState = 'single' | 'joining' | 'member' | 'asking' | 'healing' | 'set-back';

export interface Identity {
  /** As it stands in new facts. */
  readonly id: string;
  /** As people call it; null before it was named. */
  readonly name: string | null;
  readonly state: NodeState;
  /** Every name that facts of this node stand under, the present one included. */
  readonly own: readonly string[];
}

/** Its name as people call it, and whether it may speak. */
export async function nodeState(db: Db | Tx): Promise<Pick<Identity, 'name' | 'state'>> {
  return await db.selectFrom('ledger_node').select(['name', 'state']).executeTakeFirstOrThrow();
}

export async function identityOf(db: Db | Tx): Promise<Identity> {
  const { id, name, state } = await db
    .selectFrom('ledger_node')
    .select(['id', 'name', 'state'])
    .executeTakeFirstOrThrow();
  const rows = await db.selectFrom('ledger_incarnation').select('id').orderBy('since').execute();
  return { id, name, state, own: rows.map((row) => row.id) };
}

/** Gives the node its name, or after a return from a backup the next of its names (`nextIncarnation`). As the owner of the tables. */
export async function assume(tx: Tx, name: string, seen: Iterable<string>, least?: number): Promise<string> {
  const id = nextIncarnation(name, seen, least);
  await sql`INSERT INTO ledger_incarnation (id) VALUES (${id}) ON CONFLICT DO NOTHING`.execute(tx);
  await sql`UPDATE ledger_node SET id = ${id}, name = ${name}, state = 'member'`.execute(tx);
  return id;
}

export async function setState(db: Db | Tx, state: NodeState): Promise<void> {
  await sql`UPDATE ledger_node SET state = ${state}`.execute(db);
}
