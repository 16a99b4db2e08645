/** Facts travel between nodes: once, in any order, without loops, and whatever comes twice changes nothing. */
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AccountId } from '../../src/base/ids.ts';
import { nodesStage, type Stage } from './nodes-stage.ts';

let stage: Stage;
let app: AccountId;

beforeAll(async () => {
  stage = await nodesStage(['paris', 'oslo'], ['app', 'web']);
  app = await stage.node('paris').account('app');
});
afterAll(async () => await stage?.[Symbol.asyncDispose]());

test('a node that joins gets the facts that were there before, and both fold the same', async () => {
  const [paris, oslo] = [stage.node('paris'), stage.node('oslo')];
  const first = await paris.rotate(app, null);
  await stage.linkAll(['paris', 'oslo']);
  await stage.quiet(['paris', 'oslo']);
  const second = await paris.rotate(app, first);
  await stage.arrived('paris', 'oslo');
  expect((await oslo.fold(app)).root).toBe(second);
  const { rows } = await sql<{ sigkey: string }>`SELECT sigkey FROM account_current`.execute(oslo.db);
  expect(rows).toEqual([{ sigkey: second }]);
});
