/** A value that is entered rests on what was known when the target was asked, whatever comes in from other nodes meanwhile. */
import { expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import type { Sigkey } from '../../src/base/ids.ts';
import { Secret } from '../../src/base/secret.ts';
import { first, history, rootOf, type Scene, scene } from './conflict-scene.ts';
import { never, operator } from './room.ts';

/** Enters the value that the target has; `meanwhile` happens while the target is being asked. */
async function enter(stage: Scene, value: string, meanwhile: () => Promise<unknown>): Promise<Sigkey> {
  const { room, target, account } = stage;
  const slow = await room.open({
    run: async (job, limits, signal) => {
      const answer = await target.run(job, limits, signal);
      await meanwhile();
      return answer;
    },
  });
  using secret = Secret.fromText(value);
  const credential = { kind: 'password', secret } as const;
  const result = await slow.recordKnown(account.id, credential, { unverified: false }, operator, never);
  if (isRefusal(result)) throw new Error(`${result.code}: ${result.reason}`);
  return result.sigkey;
}

test('it does not decide over a value that came while the target was asked: that one may be newer than the answer', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  await stage.draw('cut-Value-1', root, 'U');
  let late: Sigkey | undefined;
  const entered = await enter(stage, first, async () => {
    late = await stage.draw('other-Value-2', root, 'C');
  });
  const after = await history(stage);
  expect(after.conflict).toBe('tree');
  const candidates = after.versions.filter(({ candidate }) => candidate).map(({ sigkey }) => sigkey);
  expect(candidates).toEqual(expect.arrayContaining([entered, late]));
});

test('it hangs below what was current when the target was asked', async () => {
  await using stage = await scene({ rules: { automaticResolution: false } });
  const root = await rootOf(stage);
  const entered = await enter(stage, first, () => stage.draw('other-Value-2', root, 'C'));
  const after = await history(stage);
  expect(after.versions.find(({ sigkey }) => sigkey === entered)?.parent).toBe(root);
  expect(after.conflict, 'nobody knows which of the two came later').toBe('tree');
});
