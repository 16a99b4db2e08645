/** Another node drew a value and says no more of it: what this node does about that, and that it does so once. */
import { expect, test } from 'vitest';
import type { Sigkey } from '../../src/base/ids.ts';
import { inTransaction } from '../../src/db/db.ts';
import { addOutcome } from '../../src/rotation/ledger/ledger.ts';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import { heardEarlier, history, rootOf, type Scene, scene, settled, timing } from './conflict-scene.ts';

const tooLong = timing.leaseMs + 61_000;

const pending = async (stage: Scene): Promise<Sigkey> => stage.draw('pending-Value-1', await rootOf(stage), 'P');

/** What was said of a value, by whom. */
async function said({ room }: Scene, sigkey: Sigkey): Promise<string[]> {
  const rows = await room.vault.base.db
    .selectFrom('outcome')
    .select(['node', 'status'])
    .where('sigkey', '=', sigkey)
    .execute();
  return rows.map(({ node, status }) => `${node === 'another' ? 'its own node' : 'this one'}: ${status}`);
}

async function statusOf(stage: Scene, sigkey: Sigkey): Promise<string | undefined> {
  return (await history(stage)).versions.find((version) => version.sigkey === sigkey)?.status;
}

/** How often somebody had the right to change the account. */
async function leases({ room, account }: Scene): Promise<number> {
  const { db } = room.vault.base;
  const row = await db
    .selectFrom('rotation_lease')
    .select('token')
    .where('account_id', '=', account.id)
    .executeTakeFirst();
  return Number(row?.token ?? 0);
}

test('it is called uncertain after long silence, although nothing else is in conflict, and then it is found out', async () => {
  await using stage = await scene();
  const sigkey = await pending(stage);
  await settled(stage);
  expect(await statusOf(stage, sigkey)).toBe('P');
  await heardEarlier(stage, tooLong);
  await settled(stage);
  expect(await said(stage, sigkey)).toEqual(['this one: U']);
  expect(await history(stage)).toMatchObject({ conflict: 'none', busy: false });
});

test('two processes that find it out at the same time say it once, and then leave the account alone', async () => {
  await using stage = await scene();
  const { room } = stage;
  const sigkey = await pending(stage);
  await heardEarlier(stage, tooLong);
  const both = [await room.open({ watch: true }), await room.open({ watch: true })];
  for (let round = 0; round < 2; round++) await Promise.all(both.map((one) => one.settle()));
  expect(await said(stage, sigkey)).toEqual(['this one: U']);
  expect((await room.vault.events()).filter((type) => type === 'rotation.uncertain')).toHaveLength(1);
  const before = await leases(stage);
  for (let round = 0; round < 3; round++) await Promise.all(both.map((one) => one.settle()));
  expect(await leases(stage)).toBe(before);
});

test('while its change may be at work nobody takes the account for nothing, whether it is in conflict or not', async () => {
  await using stage = await scene();
  const { room } = stage;
  const sigkey = await pending(stage);
  const both = [await room.open({ watch: true }), await room.open({ watch: true })];
  const look = async (): Promise<number> => {
    for (let round = 0; round < 3; round++) await Promise.all(both.map((one) => one.settle()));
    return leases(stage);
  };
  const before = await leases(stage);
  expect(await look()).toBe(before);
  await stage.draw('cut-Value-2', await rootOf(stage), 'U', 'a-third');
  expect(await look()).toBe(before);
  expect(await statusOf(stage, sigkey)).toBe('P');
});

test('a node that does not resolve for the policy leaves it to the one that does', async () => {
  const peers: Peers = { ...alone, mayResolve: async () => false };
  await using stage = await scene({ peers });
  const sigkey = await pending(stage);
  await heardEarlier(stage, tooLong);
  const before = await leases(stage);
  await settled(stage);
  expect([await said(stage, sigkey), await leases(stage)]).toEqual([[], before]);
});

test('when its node speaks at the last moment, that is what counts and nothing is added', async () => {
  await using stage = await scene();
  const { room, account } = stage;
  const sigkey = await pending(stage);
  await heardEarlier(stage, tooLong);
  const about = { account: account.id, sigkey, node: 'another', status: 'F', at: Date.now() } as const;
  let reached = false;
  const watching = await room.open({
    watch: true,
    at: async (point) => {
      if (point !== 'before time-out of another node' || reached) return;
      reached = true;
      await inTransaction(room.vault.base.db, (tx) =>
        addOutcome(tx, room.vault.vault, { ...about, retcode: 'none', message: '' }),
      );
    },
  });
  await watching.settle();
  expect(reached).toBe(true);
  expect(await said(stage, sigkey)).toEqual(['its own node: F']);
});
