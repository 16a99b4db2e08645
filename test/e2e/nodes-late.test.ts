/**
 * A node was healed, and then it turns out that somebody has more facts of it: they were on their way meanwhile, or their
 * holder was away. They are fetched too, and every other node gets them.
 */
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { AccountId, Sigkey } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { inTransaction } from '../../src/db/db.ts';
import { heal, missedBy, namesAt, refetch, renew } from '../../src/rotation/nodes/heal.ts';
import { identityOf } from '../../src/rotation/nodes/identity.ts';
import { publish } from '../../src/rotation/nodes/publication.ts';
import { never, nodesStage, type Node, type Stage } from './nodes-stage.ts';

const all = ['paris', 'oslo', 'lima'];
let stage: Stage;
let paris: Node;
let oslo: Node;
let lima: Node;
let app: AccountId;
let old: string;

beforeAll(async () => {
  stage = await nodesStage(all, ['app']);
  [paris, oslo, lima] = [stage.node('paris'), stage.node('oslo'), stage.node('lima')];
  app = await paris.account('app');
  await stage.linkAll(all);
  await oslo.rotate(app, null);
  await same();
  await oslo.cluster.stop('fast');
  old = await oslo.cluster.backup();
  await oslo.cluster.start();
  await oslo.reopen();
});
afterAll(async () => await stage?.[Symbol.asyncDispose]());

async function same(): Promise<void> {
  // Folding at one node can be news for the others, so twice.
  for (let round = 0; round < 2; round++) await stage.quiet(all);
  const digest = await stage.digest('paris');
  for (const name of all) expect(await stage.digest(name)).toBe(digest);
  for (const name of all) expect(await stage.quarantined(name)).toBe(0);
}

/** Sets the node back to its backup; then it fetches what these know, and they copy it anew. */
async function comeBack(from: readonly string[]): Promise<void> {
  await oslo.cluster.stop('immediate');
  await oslo.cluster.restore(old);
  await oslo.cluster.start();
  await oslo.reopen();
  const sources = ['paris', 'lima'].map((name) => stage.source(name));
  expect(await heal(oslo.admin, sources, systemClock, never)).toMatchObject({ reached: from });
  for (const name of from) await copyAnew(name);
}

async function copyAnew(name: string): Promise<void> {
  await renew(stage.node(name).admin, name, stage.source('oslo'), systemClock, never);
}

const tables = ['randomization', 'outcome', 'credential_version', 'credential_dek'] as const;
type Rows = ReadonlyMap<string, string>;

async function rowsOf(node: Node, sigkey: Sigkey): Promise<Rows> {
  const found = new Map<string, string>();
  for (const table of tables) {
    const { rows } = await sql<{ row: string }>`SELECT json_agg(fact)::text AS row FROM ${sql.table(table)} fact
      WHERE sigkey = ${sigkey}`.execute(node.db);
    found.set(table, rows[0]?.row ?? '[]');
  }
  return found;
}

/** As the worker does that applies a peer's facts. */
async function arrive(node: Node, rows: Rows): Promise<void> {
  await inTransaction(node.admin, async (tx) => {
    await sql`SET LOCAL session_replication_role = replica`.execute(tx);
    for (const [table, row] of rows)
      await sql`INSERT INTO ${sql.table(table)} OVERRIDING SYSTEM VALUE
        SELECT * FROM json_populate_recordset(null::${sql.table(table)}, ${row}::json)`.execute(tx);
  });
}

test('a fact that was still on its way to a peer while the node was healed is fetched later, and goes to every other node', async () => {
  for (const peer of ['paris', 'lima']) await stage.wire('oslo', peer, false);
  const sigkey = await oslo.rotate(app, (await oslo.fold(app)).root);
  const late = await rowsOf(oslo, sigkey);
  await comeBack(['paris', 'lima']);
  await same();
  expect((await oslo.fold(app)).root).not.toBe(sigkey);

  await arrive(paris, late);
  // It is no reason to stop and to be healed once more: what it says itself now is all here.
  expect([await missedBy(oslo.db, paris.db), await missedBy(oslo.db, lima.db)]).toEqual(['former', 'nothing']);
  await refetch(oslo.admin, 'oslo', stage.source('paris'), systemClock, never);
  expect(await missedBy(oslo.db, paris.db)).toBe('nothing');
  await same();
  for (const name of all) expect(await stage.node(name).fold(app)).toMatchObject({ root: sigkey, conflict: 'none' });
});

/** Oslo draws a value that only paris hears, is set back, and heals under another name while paris is away. */
async function healedWhileParisIsAway(): Promise<Sigkey> {
  const { id } = await identityOf(oslo.db);
  await stage.wire('oslo', 'lima', false);
  const sigkey = await oslo.rotate(app, (await oslo.fold(app)).root);
  await stage.arrived('oslo', 'paris');
  await paris.cluster.stop('immediate');
  await comeBack(['lima']);
  expect((await identityOf(oslo.db)).id).not.toBe(id);
  return sigkey;
}

test('what only a peer knows that was away during healing reaches the others when it answers again', async () => {
  const sigkey = await healedWhileParisIsAway();
  await stage.arrived('oslo', 'lima');
  expect((await lima.fold(app)).root).not.toBe(sigkey);

  await paris.cluster.start();
  await paris.reopen();
  expect(await missedBy(oslo.db, paris.db)).toBe('former');
  await refetch(oslo.admin, 'oslo', stage.source('paris'), systemClock, never);
  await copyAnew('paris');
  await same();
  expect((await lima.fold(app)).root).toBe(sigkey);
});

test('facts under a former name that it had not known of go to the others all the same', async () => {
  await oslo.admin.deleteFrom('ledger_incarnation').where('id', '=', 'oslo.2').execute();
  await publish(oslo.admin, (await identityOf(oslo.db)).own);
  const root = (await paris.fold(app)).root;
  if (root === null) throw new Error('nothing is current');
  const [strange, rows] = [newId<Sigkey>(), new Map<string, string>()];
  for (const [table, row] of await rowsOf(paris, root))
    rows.set(
      table,
      row
        .replaceAll(root, strange)
        .replaceAll(/"node":"oslo[^"]*"/g, '"node":"oslo.2"')
        .replaceAll(/"node_seq":\d+/g, '"node_seq":9000'),
    );
  await arrive(paris, rows);
  expect(await missedBy(oslo.db, paris.db)).toBe('former');
  const seen = await namesAt(paris.db, 'oslo');
  await refetch(oslo.admin, 'oslo', stage.source('paris'), systemClock, never, seen);
  await same();
  expect((await lima.fold(app)).candidates).toContain(strange);
});

test('a name under which only a peer that is away may have heard facts is not taken again', async () => {
  await comeBack(['paris', 'lima']);
  const sigkey = await healedWhileParisIsAway();
  await oslo.rotate(app, (await oslo.fold(app)).root);
  await paris.cluster.start();
  await paris.reopen();
  await refetch(oslo.admin, 'oslo', stage.source('paris'), systemClock, never, await namesAt(paris.db, 'oslo'));
  await copyAnew('paris');
  await same();
  for (const name of all) expect((await stage.node(name).fold(app)).status.has(sigkey)).toBe(true);
});

test('facts under its present name that it does not have: the node was set back, and must be healed', async () => {
  await comeBack(['paris', 'lima']);
  await same();
  await oslo.rotate(app, (await oslo.fold(app)).root);
  await stage.quiet(all);
  expect(await missedBy(oslo.db, paris.db)).toBe('nothing');
  await oslo.cluster.stop('immediate');
  await oslo.cluster.restore(old);
  await oslo.cluster.start();
  await oslo.reopen();
  expect(await missedBy(oslo.db, paris.db), 'of a later name than its own too').toBe('present');
});
