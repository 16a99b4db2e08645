/** A conflict that waits is looked at often; that it was seen is written down once. */
import { expect, test } from 'vitest';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import type { Point } from '../../src/rotation/points.ts';
import { rootOf, scene } from './conflict-scene.ts';

test('further looks at the same facts write nothing, and other facts are seen anew', async () => {
  const peers: Peers = { ...alone, heard: async () => 'waiting' };
  await using stage = await scene({ peers });
  const root = await rootOf(stage);
  await stage.draw('cut-off-Value-1', root, 'U');
  const points: Point[] = [];
  const watching = await stage.room.open({ peers, watch: true, at: (point) => void points.push(point) });
  const written = (): number => points.filter((point) => point === 'after conflict try').length;
  for (let look = 0; look < 3; look++) await watching.settle();
  expect(written()).toBe(1);
  await stage.draw('cut-off-Value-2', root, 'U');
  for (let look = 0; look < 3; look++) await watching.settle();
  expect(written()).toBe(2);
});
