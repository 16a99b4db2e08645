/** What is waited for is counted from when a fact came to be known here: the clocks of other nodes are not believed. */
import { expect, test } from 'vitest';
import type { Sigkey } from '../../src/base/ids.ts';
import { heardEarlier, history, rootOf, type Scene, scene, timing } from './conflict-scene.ts';
import { never, operator } from './room.ts';

const hour = 3_600_000;
/** As in the product, and nothing runs by itself. */
const usual = { timing: { ...timing, targetSeconds: 20 } };

async function stateOf({ room }: Scene): Promise<string> {
  const [entry] = await room.rotation.conflicts.list(never);
  return `${entry?.state}: ${entry?.reason}`;
}

test.for([
  ['an hour behind', -hour],
  ['right', 0],
  ['an hour ahead', hour],
] as const)('a change that was cut off may still be landing, by a clock that is %s', async ([, skew]) => {
  await using stage = await scene(usual);
  await stage.draw('cut-Value-1', await rootOf(stage), 'U', 'another', Date.now() + skew);
  expect(await stateOf(stage)).toBe('waiting: a change that was cut off may still be landing');
  await heardEarlier(stage, 23_000);
  expect(await stateOf(stage)).toBe('resolving: the candidates are about to be tried');
});

/** The status of a value after a look at the account. */
async function after(stage: Scene, sigkey: Sigkey): Promise<string | undefined> {
  await stage.room.rotation.conflicts.resolve([stage.account.id], operator, () => {}, never);
  return (await history(stage)).versions.find((version) => version.sigkey === sigkey)?.status;
}

test.for([
  ['an hour behind', -hour],
  ['right', 0],
  ['an hour ahead', hour],
] as const)(
  'another node is silent for too long from when its value was heard of, by a clock that is %s',
  async ([, skew]) => {
    await using stage = await scene({ timing: { ...timing, leaseMs: 60_000 } });
    const pending = await stage.draw('pending-Value-1', await rootOf(stage), 'P', 'another', Date.now() + skew);
    expect(await after(stage, pending), 'it may be at work').toBe('P');
    await heardEarlier(stage, 60_000 + 61_000);
    expect(await after(stage, pending), 'called uncertain, tried, refused').toBe('U');
    expect((await history(stage)).conflict).toBe('none');
  },
);
