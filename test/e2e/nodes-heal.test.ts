/** A node that was lost comes back: from an old backup, or after its place in a peer's log was given up. */
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { AccountId } from '../../src/base/ids.ts';
import { heal, missedBy, renew } from '../../src/rotation/nodes/heal.ts';
import { identityOf } from '../../src/rotation/nodes/identity.ts';
import { isThere, subscriptionName } from '../../src/rotation/nodes/subscription.ts';
import { never, nodesStage, type Node, type Stage } from './nodes-stage.ts';

const all = ['paris', 'oslo', 'lima'];
let stage: Stage;
let paris: Node;
let oslo: Node;
let lima: Node;
let app: AccountId;
let web: AccountId;

beforeAll(async () => {
  stage = await nodesStage(all, ['app', 'web']);
  [paris, oslo, lima] = [stage.node('paris'), stage.node('oslo'), stage.node('lima')];
  [app, web] = [await paris.account('app'), await paris.account('web')];
  await stage.linkAll(all);
});
afterAll(async () => await stage?.[Symbol.asyncDispose]());

async function several(node: Node, account: AccountId, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await node.rotate(account, (await node.fold(account)).root);
}

async function same(): Promise<void> {
  // Folding at one node can be news for the others, so twice.
  for (let round = 0; round < 2; round++) await stage.quiet(all);
  const digest = await stage.digest('paris');
  for (const name of all) expect(await stage.digest(name)).toBe(digest);
}

const counts = async (node: Node): Promise<unknown> =>
  (
    await sql`SELECT (SELECT count(*) FROM randomization) AS values, (SELECT count(*) FROM outcome) AS outcomes,
      (SELECT count(*) FROM credential_version) AS versions, (SELECT count(*) FROM advance) AS advances`.execute(
      node.db,
    )
  ).rows[0];

test('a node restored from an old backup gets its own lost facts back, under a new name, and nothing twice', async () => {
  await several(oslo, app, 5);
  await stage.quiet(all);
  await oslo.cluster.stop('fast');
  const old = await oslo.cluster.backup();
  await oslo.cluster.start();
  await oslo.reopen();
  // After the backup: facts of its own that others heard, and facts of others.
  await several(oslo, app, 7);
  await stage.quiet(all);
  await several(paris, web, 5);
  await stage.quiet(all);
  const [before, whole] = [await stage.digest('paris'), await counts(paris)];

  await oslo.cluster.stop('immediate');
  await oslo.cluster.restore(old);
  await oslo.cluster.start();
  await oslo.reopen();
  expect(await counts(oslo)).not.toEqual(whole);
  // It finds out by itself: its peers have heard what it does not know.
  expect(await missedBy(oslo.db, paris.db)).toBe('present');
  expect(await missedBy(paris.db, lima.db)).toBe('nothing');

  const healed = await heal(oslo.admin, [stage.source('paris'), stage.source('lima')], systemClock, never);
  expect(healed).toEqual({ id: 'oslo.2', reached: ['paris', 'lima'], unreached: [] });
  for (const name of ['paris', 'lima'])
    await renew(stage.node(name).admin, name, stage.source('oslo'), systemClock, never);
  expect(await missedBy(oslo.db, paris.db)).toBe('nothing');
  await same();
  const { folds, values, hashes } = JSON.parse(before) as Record<string, unknown>;
  expect(JSON.parse(await stage.digest('oslo'))).toMatchObject({ folds, values, hashes });
  for (const name of all) expect(await stage.quarantined(name)).toBe(0);
});

test('what it says from then on has its new name, and reaches the others', async () => {
  const sigkey = await oslo.write(app, (await oslo.fold(app)).root);
  await oslo.conclude(app, sigkey, 'C');
  await same();
  const { rows } = await sql`SELECT node FROM randomization WHERE sigkey = ${sigkey}`.execute(lima.db);
  expect(rows).toEqual([{ node: 'oslo.2' }]);
  expect(await paris.fold(app)).toMatchObject({ root: sigkey, conflict: 'none' });
});

test('what it had left pending before is its own to settle after it came back', async () => {
  const sigkey = await oslo.write(web, (await oslo.fold(web)).root);
  await same();
  const healed = await heal(oslo.admin, [stage.source('paris'), stage.source('lima')], systemClock, never);
  expect(healed?.id).toBe('oslo.3');
  for (const name of ['paris', 'lima'])
    await renew(stage.node(name).admin, name, stage.source('oslo'), systemClock, never);
  await oslo.conclude(web, sigkey, 'C');
  await same();
  expect(await lima.fold(web)).toMatchObject({ root: sigkey, conflict: 'none', busy: false });
});

test('while no peer answers nothing is changed, and a peer that was away is fetched from later', async () => {
  const before = await identityOf(oslo.db);
  for (const name of ['paris', 'lima']) await stage.node(name).cluster.stop('immediate');
  const sources = [stage.source('paris'), stage.source('lima')];
  expect(await heal(oslo.admin, sources, systemClock, never)).toBeUndefined();
  expect(await identityOf(oslo.db)).toEqual(before);
  await paris.cluster.start();
  await paris.reopen();
  const healed = await heal(oslo.admin, sources, systemClock, never);
  expect(healed).toMatchObject({ reached: ['paris'], unreached: ['lima'] });
  await lima.cluster.start();
  await lima.reopen();
  await renew(oslo.admin, 'oslo', stage.source('lima'), systemClock, never);
  for (const name of ['paris', 'lima'])
    await renew(stage.node(name).admin, name, stage.source('oslo'), systemClock, never);
  await same();
});

test('a place in the log that was given up because the disk was filling is taken anew, and nothing is missing', async () => {
  await paris.cluster.stop('fast');
  await paris.cluster.start({ max_slot_wal_keep_size: '16MB', min_wal_size: '32MB', max_wal_size: '32MB' });
  await paris.reopen();
  await stage.wire('paris', 'oslo', false);
  await several(paris, app, 3);
  const state = async (peer: string): Promise<string> => {
    const slot = subscriptionName(peer, 'paris');
    const { rows } = await sql<{ s: string }>`SELECT wal_status AS s FROM pg_replication_slots
      WHERE slot_name = ${slot}`.execute(paris.admin);
    return rows[0]?.s ?? 'gone';
  };
  for (let n = 0; n < 20 && (await state('oslo')) !== 'lost'; n++) {
    await sql`CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)`.execute(paris.admin);
    await sql`DROP TABLE filler`.execute(paris.admin);
    await sql`SELECT pg_switch_wal()`.execute(paris.admin);
    await sql`CHECKPOINT`.execute(paris.admin);
  }
  expect(await state('oslo')).toBe('lost');
  await stage.wire('paris', 'oslo', true);
  // On a slow machine the log may have outrun the other peer too.
  for (const peer of [oslo, lima])
    if ((await state(peer.name)) === 'lost')
      await renew(peer.admin, peer.name, stage.source('paris'), systemClock, never);
  expect(await state('oslo')).not.toBe('lost');
  expect(await isThere(oslo.admin, subscriptionName('oslo', 'paris'))).toBe(true);
  await same();
  for (const name of all) expect(await stage.quarantined(name)).toBe(0);
});
