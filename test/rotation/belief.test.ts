/** Which value sessions get while nobody knows which of several holds: what this node took for current last, if it may hold. */
import { expect, test } from 'vitest';
import type { Sigkey } from '../../src/base/ids.ts';
import { history, rootOf, type Scene, scene } from './conflict-scene.ts';
import { never, operator } from './room.ts';

const byHand = { rules: { automaticResolution: false } };

/** A change of this node, proven. */
async function rotated(stage: Scene): Promise<Sigkey> {
  expect(await stage.room.rotation.rotate(stage.account.id, 'on-demand', operator, never)).toMatchObject({
    status: 'confirmed',
  });
  return rootOf(stage);
}

const current = async ({ room, account }: Scene): Promise<Sigkey | null> => (await room.again(account)).current;

test('its own new value, and not the one that it and another node have both replaced', async () => {
  await using stage = await scene(byHand);
  const root = await rootOf(stage);
  const own = await rotated(stage);
  await stage.draw('other-Value-1', root, 'C');
  expect(await history(stage)).toMatchObject({ conflict: 'tree', current: root });
  expect(await current(stage)).toBe(own);
});

test('its own new value, which another node did not know of when it blanked the account', async () => {
  await using stage = await scene(byHand);
  const root = await rootOf(stage);
  const own = await rotated(stage);
  await stage.decided('another', { kind: 'root', root: null, seen: [root] });
  expect((await history(stage)).conflict).toBe('tree');
  expect(await current(stage)).toBe(own);
});

test('what is decided over all of them is followed, a blanking too', async () => {
  await using stage = await scene(byHand);
  const root = await rootOf(stage);
  const own = await rotated(stage);
  const other = await stage.draw('other-Value-1', root, 'C');
  await stage.decided('another', { kind: 'root', root: other, seen: [root, own, other] });
  expect([(await history(stage)).conflict, await current(stage)]).toEqual(['none', other]);
  await stage.decided('another', {
    kind: 'root',
    root: null,
    seen: [root, own, other],
    over: ['another/1', 'another/2'],
  });
  expect((await history(stage)).conflict).toBe('none');
  expect(await current(stage)).toBeNull();
});

test('not a value that cannot hold any more, because another one was set in its place', async () => {
  await using stage = await scene(byHand);
  const root = await rootOf(stage);
  const own = await rotated(stage);
  await stage.draw('other-Value-1', root, 'C');
  await stage.draw('other-Value-2', own, 'C');
  expect((await history(stage)).conflict).toBe('tree');
  expect(await current(stage)).toBe(root);
});
