/** The current value is refused and more than one former value works: nobody knows which one holds, and nothing is lost. */
import { expect, test } from 'vitest';
import { usualRules } from '../../src/rotation/context.ts';
import { reconcilesItself, rootOf, type Scene, scene, settled } from './conflict-scene.ts';
import { never, operator } from './room.ts';

/** Two former values work, the current one does not. */
async function grace(stage: Scene): Promise<void> {
  const { room, account, target } = stage;
  for (let change = 0; change < 2; change++)
    expect(await room.rotation.rotate(account.id, 'on-demand', operator, never)).toMatchObject({ status: 'confirmed' });
  const refused = await room.value(account);
  target.accepts = (password) => password !== refused;
  target.jobs.length = 0;
}

test('it is said so, as an alert, and is no reason to reset anything', async () => {
  await using stage = await scene();
  await grace(stage);
  const { room, account, target } = stage;
  const root = await rootOf(stage);
  const checked = await room.rotation.verify(account.id, operator, never);
  expect(checked).toMatchObject({ answer: 'unknown', words: expect.stringContaining('2 former ones work') });
  expect((await room.vault.events()).filter((type) => type === 'rotation.alert')).toHaveLength(1);
  expect(await room.rotation.conflicts.list(never)).toMatchObject([
    { state: 'out-of-sync', reason: expect.stringContaining('2 former ones work') },
  ]);
  expect(await room.rotation.reconcile(account.id, operator, never)).toMatchObject({ code: 'rotation.not-known-lost' });
  expect([target.jobs.includes('reconcile'), await rootOf(stage)]).toEqual([false, root]);
});

test('an account that reconciles itself is left alone by its heartbeat', async () => {
  await using stage = await scene({ rules: { ...usualRules, heartbeatMs: 1 } });
  await stage.room.account(reconcilesItself);
  await grace(stage);
  const root = await rootOf(stage);
  await settled(stage);
  expect([stage.target.jobs.includes('verify'), stage.target.jobs.includes('reconcile')]).toEqual([true, false]);
  expect(await rootOf(stage)).toBe(root);
});
