/** An account that was changed very often has very many former values: they are tried a few at a time, and not opened in vain. */
import { expect, test } from 'vitest';
import type { Job } from '../../src/rotation/connectors/job.ts';
import { rootOf, type Scene, scene } from './conflict-scene.ts';
import { never, operator } from './room.ts';

/** Former values by number, the highest the youngest, and a current one that the target refuses. */
async function manyFormer({ draw, target, ...stage }: Scene, count: number): Promise<void> {
  let parent = await rootOf({ draw, target, ...stage });
  for (let number = 0; number <= count; number++)
    parent = await draw(`former-Value-${number}`, parent, 'C', 'another', Date.now() - 100_000 + number);
  target.live = 'set-by-Hand-77';
}

/** What a heartbeat or `verify` asked, a number for each question: how many values. */
async function asked(
  stage: Scene,
  answerTo: (job: Job & { operation: 'adminverify' }) => 'stored' | 'silent',
): Promise<number[]> {
  const sizes: number[] = [];
  const other = await stage.room.open({
    run: async (job, limits, signal) => {
      if (job.operation !== 'adminverify') return stage.target.run(job, limits, signal);
      sizes.push(job.candidates.length);
      if (answerTo(job) === 'silent') return { outcome: 'late', class: 'timeout', words: 'too long' };
      const each = job.candidates.map(
        () => ({ answer: 'rejected', class: 'authentication', words: '', how: 'stored' }) as const,
      );
      return { outcome: 'confirmed', class: 'none', words: '', each };
    },
  });
  await other.verify(stage.account.id, operator, never);
  return sizes;
}

async function opened({ room }: Scene): Promise<number> {
  return (await room.vault.events()).filter((type) => type === 'vault.credential.opened').length;
}

test('they are tried twenty at a time', async () => {
  await using stage = await scene();
  await manyFormer(stage, 45);
  expect(await asked(stage, () => 'stored')).toEqual([20, 20, 6]);
});

test('a target that falls silent is asked no further, and what it refused before counts the next time', async () => {
  await using stage = await scene();
  await manyFormer(stage, 45);
  let question = 0;
  expect(await asked(stage, () => (question++ === 0 ? 'stored' : 'silent'))).toEqual([20, 20]);
  expect(await asked(stage, () => 'stored')).toEqual([20, 6]);
});

test('with no refused login left and nobody who could look, no value is opened', async () => {
  await using stage = await scene();
  await stage.room.account({ name: 'app@box', kind: 'password', connector: 'linux-chpasswd' });
  await manyFormer(stage, 5);
  const { room, account } = stage;
  await room.rotation.verify(account.id, operator, never);
  await room.rotation.verify(account.id, operator, never);
  const before = await opened(stage);
  expect(before).toBeGreaterThan(0);
  expect(await room.rotation.verify(account.id, operator, never)).toMatchObject({ answer: 'unknown', class: 'budget' });
  expect(await opened(stage)).toBe(before);
});
