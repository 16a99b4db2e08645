/** A node's place in a peer's log: made before anything is heard, and never one on which somebody else reads. */
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { AccountId } from '../../src/base/ids.ts';
import { isThere, subscribe, subscriptionName, untilCopied } from '../../src/rotation/nodes/subscription.ts';
import { never, nodesStage, type Node, type Stage } from './nodes-stage.ts';

const both = ['paris', 'oslo'];
const slot = subscriptionName('oslo', 'paris');
let stage: Stage;
let paris: Node;
let oslo: Node;
let app: AccountId;

beforeAll(async () => {
  stage = await nodesStage(both, ['app']);
  [paris, oslo] = [stage.node('paris'), stage.node('oslo')];
  app = await paris.account('app');
  for (const name of both) await stage.open(name);
});
afterAll(async () => await stage?.[Symbol.asyncDispose]());

const places = async (): Promise<readonly string[]> => {
  const { rows } = await sql<{ slot: string }>`SELECT slot_name AS slot FROM pg_replication_slots`.execute(paris.admin);
  return rows.map((row) => row.slot);
};

test('where somebody reads at the place of this name, a node does not hear the peer, and says why', async () => {
  await using reader = await stage.source('paris').open();
  await sql`SELECT pg_create_logical_replication_slot(${slot}, 'pgoutput', true)`.execute(reader);
  await expect(subscribe(oslo.admin, 'oslo', stage.source('paris'))).rejects.toMatchObject({
    code: 'nodes.place-in-use',
  });
  expect(await isThere(oslo.admin, slot)).toBe(false);
});

test('a place is given up again when the peer cannot be heard after all', async () => {
  const nowhere = { ...stage.source('paris'), conninfo: 'host=/nowhere user=postgres dbname=sallyport' };
  await expect(subscribe(oslo.admin, 'oslo', nowhere)).rejects.toThrow(/could not connect/);
  expect([await isThere(oslo.admin, slot), await places()]).toEqual([false, []]);
});

test('a place that was left behind is made anew, and nothing of before or after is missing', async () => {
  await sql`SELECT pg_create_logical_replication_slot(${slot}, 'pgoutput')`.execute(paris.admin);
  const first = await paris.rotate(app, null);
  await subscribe(oslo.admin, 'oslo', stage.source('paris'));
  const second = await paris.rotate(app, first);
  await untilCopied(oslo.admin, slot, systemClock, never);
  await stage.arrived('paris', 'oslo');
  expect((await oslo.fold(app)).root).toBe(second);
  expect(await places()).toEqual([slot]);
});

test('the place of a subscription that is there is not taken for one that was left behind', async () => {
  await stage.wire('paris', 'oslo', false);
  await expect(subscribe(oslo.admin, 'oslo', stage.source('paris'))).rejects.toThrow(/there is a subscription/);
  const third = await paris.rotate(app, (await paris.fold(app)).root);
  await stage.wire('paris', 'oslo', true);
  await stage.arrived('paris', 'oslo');
  expect((await oslo.fold(app)).root).toBe(third);
});
