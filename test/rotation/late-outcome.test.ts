/** An outcome that comes too late is only kept as evidence; what it may have done to the target is found out soon. */
import { expect, test } from 'vitest';
import { first, history, rootOf, type Scene, scene } from './conflict-scene.ts';
import { never, operator } from './room.ts';

/** A change whose process stood still: another one has looked at the target and settled it, and then it lands. */
async function tooLate(stage: Scene): Promise<string> {
  const { room, target, account } = stage;
  const declared = { name: account.label, kind: 'password', connector: 'linux-chpasswd', admin: 'root@box' } as const;
  await room.account({ ...declared, settings: { login_budget: 9 } });
  let landed = '';
  const slow = await room.open({
    run: async (job, limits, signal) => {
      if (job.operation !== 'change') return target.run(job, limits, signal);
      await room.vault.base.owner
        .updateTable('rotation_lease')
        .set({ expires_at: new Date(0) })
        .execute();
      const other = await room.open({ watch: true });
      await other.settle();
      await other[Symbol.asyncDispose]();
      const answer = await target.run(job, limits, signal);
      landed = target.live;
      return answer;
    },
  });
  expect(await slow.rotate(account.id, 'on-demand', operator, never)).toMatchObject({ status: 'uncertain' });
  return landed;
}

test('the account is looked at without waiting for its daily turn, and what landed is current', async () => {
  await using stage = await scene();
  const { room, account } = stage;
  const watching = await room.open({ watch: true });
  const root = await rootOf(stage);
  const landed = await tooLate(stage);
  expect([landed === first, (await history(stage)).current], 'the ledger is wrong by now').toEqual([false, root]);
  await watching.settle();
  expect(await room.value(account)).toBe(landed);
});

test('once: after that it has its daily turn again', async () => {
  await using stage = await scene();
  const watching = await stage.room.open({ watch: true });
  await tooLate(stage);
  await watching.settle();
  stage.target.jobs.length = 0;
  for (let round = 0; round < 3; round++) await watching.settle();
  expect(stage.target.jobs).toEqual([]);
});

test('where nobody wants a current value to be tried by itself, this is no exception', async () => {
  await using stage = await scene({ rules: { heartbeatMs: 0 } });
  const watching = await stage.room.open({ watch: true });
  const root = await rootOf(stage);
  await tooLate(stage);
  await watching.settle();
  expect((await history(stage)).current).toBe(root);
});
