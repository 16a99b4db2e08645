/**
 * Facts that were put aside because another one has their key: two machines under one name, a node that went on from a
 * backup without healing, or a hand in a database. They are kept for ever; an operator says that they were looked at.
 *
 * Nothing here shows what a fact holds: a value is sealed, and stays where it is.
 */
import { sql } from 'kysely';
import { type Actor, record } from '../../audit/audit.ts';
import { type Db, inTransaction } from '../../db/db.ts';
import { type NodeRefusal, turnAway } from './errors.ts';

export interface PutAside {
  readonly id: number;
  readonly table: string;
  /** What tells it apart in its table, as text. */
  readonly key: string;
  /** Whose fact it is, by its own word. */
  readonly node: string;
  readonly at: Date;
  readonly acknowledged: boolean;
}

const keys: Readonly<Record<string, readonly string[]>> = {
  randomization: ['sigkey'],
  outcome: ['node', 'node_seq'],
  resolution: ['node', 'node_seq'],
  advance: ['node', 'node_seq'],
  credential_version: ['sigkey'],
  credential_dek: ['sigkey'],
  barrier: ['ask', 'kind', 'node'],
  vault_kek: ['version'],
};

/** Those that nobody has looked at yet, or all; oldest first. */
export async function putAside(db: Db, all: boolean): Promise<readonly PutAside[]> {
  const rows = await db
    .selectFrom('ledger_quarantine')
    .selectAll()
    .$if(!all, (some) => some.where('acknowledged_at', 'is', null))
    .orderBy('id')
    .execute();
  return rows.map(({ id, table_name: table, row, at, acknowledged_at: seen }) => ({
    id,
    table,
    key: (keys[table] ?? []).map((column) => String(row[column])).join(' '),
    node: String(row['node']),
    at,
    acknowledged: seen !== null,
  }));
}

/** Settles these, or all that there are. Returns how many there were; none is changed if one of them is unknown. */
export async function acknowledge(
  db: Db,
  ids: readonly number[] | undefined,
  actor: Actor,
): Promise<number | NodeRefusal> {
  return inTransaction(db, async (tx) => {
    const open = await tx
      .selectFrom('ledger_quarantine')
      .select(['id', 'acknowledged_at'])
      .$if(ids !== undefined, (some) => some.where('id', 'in', [...(ids ?? []), -1]))
      .execute();
    const unknown = (ids ?? []).find((id) => !open.some((row) => row.id === id));
    if (unknown !== undefined) return turnAway('nodes.not-put-aside', String(unknown));
    const fresh = open.filter((row) => row.acknowledged_at === null).map((row) => row.id);
    if (fresh.length === 0) return 0;
    await tx
      .updateTable('ledger_quarantine')
      .set({ acknowledged_at: sql`clock_timestamp()` })
      .where('id', 'in', fresh)
      .execute();
    await record(tx, actor, { type: 'node.quarantine-acknowledged', about: {}, details: { facts: fresh } });
    return fresh.length;
  });
}
