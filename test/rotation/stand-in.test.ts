/**
 * Decisions by hand on a node that does not resolve, while the one that does is down. What such a decision could not know
 * opens the conflict again when it arrives.
 */
import { expect, test } from 'vitest';
import { alone, type Heard, type Peers } from '../../src/rotation/peers.ts';
import { heardEarlier, history, rootOf, type Scene, scene, settled, timing } from './conflict-scene.ts';
import { never, operator } from './room.ts';

type Standing = { -readonly [name in keyof Peers]: Peers[name] };

/** This node is oslo, and paris, which resolves, has been silent for so long that it counts as down. */
function standing(heard: Heard): Standing {
  return {
    ...alone,
    mayResolve: async () => false,
    mayDecide: async () => ({ may: true, as: 'stand-in', node: 'paris' }),
    heard: async () => heard,
    unreachable: async () => ['paris'],
  };
}

const stageOf = async (peers: Peers): Promise<Scene> => scene({ peers });

test('an uncertain value is confirmed, and a tree is decided, while the node that resolves is down', async () => {
  await using stage = await stageOf(standing('late'));
  const { conflicts } = stage.room.rotation;
  const cut = await stage.draw('cut-Value-1', await rootOf(stage), 'U', 'paris');
  await settled(stage);
  expect(await conflicts.list(never)).toMatchObject([
    { state: 'manual', reason: 'paris resolves for this policy and is silent' },
  ]);
  expect(await conflicts.decide(stage.account.id, cut, 'confirm', operator, never)).toMatchObject({ conflict: 'none' });
  const one = await stage.draw('one-Value-2', cut, 'C', 'paris');
  await stage.draw('two-Value-3', cut, 'C', 'oslo');
  expect(await conflicts.decide(stage.account.id, one, 'set-current', operator, never)).toMatchObject({
    conflict: 'none',
    current: one,
  });
  expect(stage.target.jobs, 'no machine tries anything here').toEqual([]);
});

test('that nobody resolves while it is down is an alert, once on each node, when the wait for silent nodes is over', async () => {
  const peers = standing('waiting');
  await using stage = await stageOf(peers);
  const alerts = async (): Promise<number> =>
    (await stage.room.vault.events()).filter((type) => type === 'rotation.alert').length;
  await stage.draw('cut-Value-1', await rootOf(stage), 'U', 'paris');
  await settled(stage);
  expect(await alerts()).toBe(0);
  peers.heard = async () => 'late';
  for (let look = 0; look < 3; look++) await settled(stage);
  expect(await alerts()).toBe(1);
  // It is back, and nothing of that keeps this node or that one from going on.
  peers.mayResolve = async () => true;
  peers.heard = async () => 'here';
  await settled(stage);
  expect(await history(stage)).toMatchObject({ conflict: 'none' });
});

test('what the silent node had said meanwhile opens the conflict again, and nothing is lost', async () => {
  await using stage = await stageOf(standing('late'));
  const { conflicts } = stage.room.rotation;
  const root = await rootOf(stage);
  const cut = await stage.draw('cut-Value-1', root, 'U', 'paris');
  await conflicts.decide(stage.account.id, cut, 'reject', operator, never);
  expect(await history(stage)).toMatchObject({ conflict: 'none', current: root });
  const late = await stage.draw('late-Value-2', cut, 'C', 'paris');
  const after = await history(stage);
  expect(after.conflict).not.toBe('none');
  expect(after.versions.find(({ sigkey }) => sigkey === late)?.place).toBe('working');
});

test('what a node that is down left pending becomes uncertain by the decision that is asked for, and not before its time', async () => {
  await using stage = await stageOf(standing('late'));
  const { conflicts } = stage.room.rotation;
  const pending = await stage.draw('pending-Value-1', await rootOf(stage), 'P', 'paris');
  expect(await conflicts.decide(stage.account.id, pending, 'reject', operator, never)).toMatchObject({
    code: 'rotation.not-conflicted',
  });
  await heardEarlier(stage, timing.leaseMs + 61_000);
  expect(await conflicts.decide(stage.account.id, pending, 'reject', operator, never)).toMatchObject({
    conflict: 'none',
  });
  expect(await history(stage)).toMatchObject({ conflict: 'none', busy: false });
});

test('the other nodes are waited for as everywhere, and forcing needs all of them', async () => {
  const peers = standing('waiting');
  await using stage = await stageOf(peers);
  const { conflicts } = stage.room.rotation;
  const cut = await stage.draw('cut-Value-1', await rootOf(stage), 'U', 'paris');
  expect(await conflicts.decide(stage.account.id, cut, 'reject', operator, never)).toMatchObject({
    code: 'rotation.resolving',
    reason: expect.stringContaining('other nodes are being asked'),
  });
  peers.heard = async () => 'late';
  expect(await conflicts.force(stage.account.id, operator, never)).toMatchObject({
    code: 'rotation.nodes-unreachable',
    reason: expect.stringContaining('paris'),
  });
});

test('where the managing node is one that nobody knows, and nobody may stand in for it, nothing is forced', async () => {
  const peers: Peers = { ...standing('here'), mayRotate: async () => 'managing-down', unreachable: async () => [] };
  await using stage = await stageOf(peers);
  const { conflicts } = stage.room.rotation;
  const { db } = stage.room.vault.base;
  const { policyId } = stage.account;
  const usual = {
    policy_id: policyId,
    automatic_resolution: true,
    rotate_on_checkout: 'never',
    schedule: null,
  } as const;
  const now = new Date();
  await db
    .insertInto('policy_management')
    .values({ ...usual, managing_node: 'lima', local_fallback: false, changed_at: now, scheduled_since: now })
    .execute();
  const root = await rootOf(stage);
  const one = await stage.draw('one-Value-1', root, 'C', 'paris');
  await stage.draw('two-Value-2', root, 'C', 'oslo');
  expect(await conflicts.force(stage.account.id, operator, never)).toMatchObject({ code: 'rotation.managing-down' });
  expect(stage.target.jobs).toEqual([]);
  expect(await conflicts.decide(stage.account.id, one, 'set-current', operator, never)).toMatchObject({
    conflict: 'none',
  });
});

test('a node whose database was set back decides nothing', async () => {
  const peers = standing('here');
  peers.mayDecide = async () => ({ may: false, because: 'not-ready', node: 'paris' });
  await using stage = await stageOf(peers);
  const cut = await stage.draw('cut-Value-1', await rootOf(stage), 'U');
  expect(await stage.room.rotation.conflicts.decide(stage.account.id, cut, 'reject', operator, never)).toMatchObject({
    code: 'rotation.not-ready',
  });
});
