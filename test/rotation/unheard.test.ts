/** A current value that is refused while other nodes may know a newer one: nothing is dug up and nothing reset. */
import { expect, test } from 'vitest';
import { usualRules } from '../../src/rotation/context.ts';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import { first, reconcilesItself, rootOf, type Scene, scene, settled } from './conflict-scene.ts';
import { never, operator } from './room.ts';

type Mutable = { -readonly [name in keyof Peers]: Peers[name] };

/** An account that reconciles itself, whose current value was replaced on the target by one that is not known here. */
async function overtaken(peers: Peers): Promise<Scene> {
  const stage = await scene({ peers, rules: { ...usualRules, heartbeatMs: 1 } });
  await stage.room.account(reconcilesItself);
  stage.target.live = 'set-elsewhere-Value-7';
  stage.target.jobs.length = 0;
  return stage;
}

test('a node that was set back resets nothing, by itself or asked, and spends no login', async () => {
  const peers: Mutable = { ...alone };
  await using stage = await overtaken(peers);
  peers.mayRotate = async () => 'not-ready';
  peers.mayResolve = async () => false;
  await settled(stage);
  expect(await stage.room.rotation.reconcile(stage.account.id, operator, never)).toMatchObject({
    code: 'rotation.not-ready',
  });
  expect(stage.target.jobs).toEqual([]);
  expect(stage.target.live).toBe('set-elsewhere-Value-7');
});

test('while another node cannot be heard a refused value is not called lost', async () => {
  const peers: Mutable = { ...alone };
  await using stage = await overtaken(peers);
  peers.heard = async () => 'late';
  const { rotation } = stage.room;
  expect(await rotation.verify(stage.account.id, operator, never)).toMatchObject({
    answer: 'unknown',
    words: expect.stringContaining('could not be heard'),
  });
  expect(await rotation.reconcile(stage.account.id, operator, never)).toMatchObject({
    code: 'rotation.not-known-lost',
  });
  await settled(stage);
  expect(stage.target.jobs).not.toContain('reconcile');
  expect(stage.target.live).toBe('set-elsewhere-Value-7');
});

test('a node that does not resolve leaves heartbeats to the one that does, and digs nothing up when it is asked', async () => {
  const peers: Mutable = { ...alone };
  await using stage = await overtaken(peers);
  const { room, account, target } = stage;
  target.live = first;
  expect(await room.rotation.rotate(account.id, 'on-demand', operator, never)).toMatchObject({ status: 'confirmed' });
  const root = await rootOf(stage);
  target.live = first;
  target.jobs.length = 0;
  peers.mayResolve = async () => false;
  await settled(stage);
  expect(target.jobs).toEqual([]);
  expect(await room.rotation.verify(account.id, operator, never)).toMatchObject({
    answer: 'unknown',
    words: expect.stringContaining('another node'),
  });
  expect([target.jobs, await rootOf(stage)]).toEqual([['verify'], root]);
});

test('what another node said meanwhile makes it another question', async () => {
  const peers: Mutable = { ...alone };
  await using stage = await overtaken(peers);
  const { room, account, draw } = stage;
  const root = await rootOf(stage);
  let drawn = root;
  peers.heard = async () => {
    if (drawn === root) drawn = await draw('set-elsewhere-Value-7', root, 'C', 'another');
    return 'here';
  };
  expect(await room.rotation.reconcile(account.id, operator, never)).toMatchObject({ code: 'rotation.not-lost' });
  expect([await rootOf(stage), stage.target.jobs.includes('reconcile')]).toEqual([drawn, false]);
});
