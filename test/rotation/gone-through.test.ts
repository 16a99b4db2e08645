/** An account through which others log in: a wrong value of it would lock them out too, so it is never guessed or reset. */
import { expect, test } from 'vitest';
import { rootOf, scene, settled } from './conflict-scene.ts';
import { never, operator } from './room.ts';

test('a conflict of it is left to a person, and it is neither forced nor reset', async () => {
  await using stage = await scene();
  const { room, account, target } = stage;
  await room.account({ name: 'inner@box', kind: 'password', connector: 'linux-chpasswd', via: 'app@box' });
  await stage.draw('cut-off-Value-1', await rootOf(stage), 'U');
  await settled(stage);
  expect(await room.rotation.conflicts.list(never)).toMatchObject([
    { account: 'app@box', state: 'manual', reason: expect.stringContaining('other accounts') },
  ]);
  const no = { code: 'rotation.target-administrator' };
  expect(await room.rotation.conflicts.force(account.id, operator, never)).toMatchObject(no);
  expect(await room.rotation.reconcile(account.id, operator, never)).toMatchObject(no);
  expect(target.jobs).toEqual([]);
});
