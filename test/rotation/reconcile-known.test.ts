/** Before anything is reset every known value is tried, and what was found out once must still be so. */
import { expect, test } from 'vitest';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import { first, history, rootOf, scene, settled } from './conflict-scene.ts';
import { never, operator } from './room.ts';

test('a blanked account is not reset while one of its former values works: that one is current again', async () => {
  await using stage = await scene();
  const { room, account, target } = stage;
  const root = await rootOf(stage);
  await room.rotation.conflicts.blank(account.id, operator, never);
  expect((await history(stage)).current).toBeNull();
  expect(await room.rotation.reconcile(account.id, operator, never)).toMatchObject({ code: 'rotation.not-lost' });
  expect([target.live, target.jobs.includes('reconcile')]).toEqual([first, false]);
  expect((await history(stage)).current).toBe(root);
});

test('a blanked account is not reset while its target is silent, and is when every former value was refused', async () => {
  await using stage = await scene();
  const { room, account, target } = stage;
  await room.rotation.conflicts.blank(account.id, operator, never);
  target.reachable = false;
  expect(await room.rotation.reconcile(account.id, operator, never)).toMatchObject({ code: 'rotation.not-known-lost' });
  target.reachable = true;
  target.live = 'set-by-Hand-77';
  expect(await room.rotation.reconcile(account.id, operator, never)).toMatchObject({ status: 'confirmed' });
  expect(await room.value(account)).toBe(target.live);
});

test('a conflict that was found lost is not reset on that word while a node cannot be heard any more', async () => {
  let heard: 'here' | 'late' = 'here';
  const peers: Peers = { ...alone, heard: async () => heard };
  await using stage = await scene({ peers });
  const { room, account, target } = stage;
  await stage.draw('one-Value-1', await rootOf(stage), 'U');
  target.live = 'set-by-Hand-77';
  await settled(stage);
  expect(await room.rotation.conflicts.list(never)).toMatchObject([{ state: 'manual' }]);
  heard = 'late';
  expect(await room.rotation.reconcile(account.id, operator, never)).toMatchObject({ code: 'rotation.not-known-lost' });
  expect([target.live, target.jobs.includes('reconcile')]).toEqual(['set-by-Hand-77', false]);
});
