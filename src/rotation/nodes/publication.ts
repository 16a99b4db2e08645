/**
 * What this node tells others: two publications, of inserts only. `sallyport_own` has the facts of this node under all
 * its names, so that a fact goes from its origin to each peer once and never round in circles. `sallyport_all` has
 * everybody's: from it a node that came back from a backup gets its own lost facts again.
 *
 * Every table stands with its columns: a column that a younger version adds is not sent until all nodes have it, and so
 * a peer of the older version goes on.
 */
import { sql } from 'kysely';
import type { Db, Tx } from '../../db/db.ts';

export const ownPublication = 'sallyport_own';
export const allPublication = 'sallyport_all';

/** The tables that travel, with every column that does. */
export const travelling = {
  randomization: ['sigkey', 'account_id', 'parent', 'node', 'created_at', 'fact_hash'],
  outcome: ['node', 'node_seq', 'sigkey', 'status', 'at', 'retcode', 'message', 'fact_hash'],
  resolution: ['node', 'node_seq', 'account_id', 'action', 'decision', 'tested', 'requester', 'at', 'fact_hash'],
  credential_version: ['sigkey', 'account_id', 'kind', 'sealed', 'public_key', 'history_mac', 'created_at', 'node'],
  credential_dek: ['sigkey', 'kek_version', 'wrapped', 'node'],
  advance: ['node', 'node_seq', 'account_id', 'root', 'at'],
  barrier: ['ask', 'kind', 'node', 'at'],
  vault_kek: ['version', 'sealed', 'created_at', 'node'],
} as const;

/** Tables in which a row of one key is the same everywhere: by these two nodes are compared. */
export const comparable = ['randomization', 'outcome', 'resolution', 'credential_version', 'credential_dek'] as const;

/** Makes both publications, or brings them up to date; `own` are all names of this node. As the owner of the tables. */
export async function publish(admin: Db | Tx, own: readonly string[]): Promise<void> {
  const names = sql.join(own.map((node) => sql.lit(node)));
  const tables = (filter: boolean) =>
    sql.join(
      Object.entries(travelling).map(
        ([table, columns]) =>
          sql`TABLE ${sql.table(table)} (${sql.join(columns.map((column) => sql.id(column)))})${filter ? sql` WHERE (node IN (${names}))` : sql``}`,
      ),
    );
  for (const [name, filter] of [
    [ownPublication, true],
    [allPublication, false],
  ] as const) {
    const { rows } = await sql`SELECT FROM pg_publication WHERE pubname = ${name}`.execute(admin);
    if (rows.length === 0)
      await sql`CREATE PUBLICATION ${sql.id(name)} FOR ${tables(filter)} WITH (publish = 'insert')`.execute(admin);
    else await sql`ALTER PUBLICATION ${sql.id(name)} SET ${tables(filter)}`.execute(admin);
  }
}

/** Takes both publications away. */
export async function unpublish(admin: Db | Tx): Promise<void> {
  await sql`DROP PUBLICATION IF EXISTS ${sql.id(ownPublication)}, ${sql.id(allPublication)}`.execute(admin);
}
