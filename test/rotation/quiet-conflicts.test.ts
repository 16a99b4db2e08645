/** Thousands may be in conflict for long: those that nobody can do anything about cost one question together, not many each. */
import { expect, test } from 'vitest';
import type { AccountId } from '../../src/base/ids.ts';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import { usualRules } from '../../src/rotation/context.ts';
import { drawFor, rootOf, scene, timing } from './conflict-scene.ts';

test("an account that is a person's is left alone round after round, and looked at when something of it has changed", async () => {
  const looks = new Map<AccountId, number>();
  const count = (id: AccountId): number => looks.get(id) ?? 0;
  let looked = Promise.withResolvers<void>();
  const peers: Peers = {
    ...alone,
    heard: async (id) => {
      looks.set(id, count(id) + 1);
      looked.resolve();
      looked = Promise.withResolvers();
      return 'waiting';
    },
  };
  await using stage = await scene({ peers });
  const { room, account, draw } = stage;
  // One that waits for other nodes, so that it is looked at in every round, and one whose values no machine may try.
  await draw('cut-Value-1', await rootOf(stage), 'U');
  const root = await room.again({ ...account, label: 'root@box' });
  await drawFor(room, root, 'cut-Value-2', root.current, 'U');
  const watching = await room.open({
    peers,
    watch: true,
    rules: { ...usualRules, heartbeatMs: 0 },
    timing: { ...timing, pollMs: 1 },
  });
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await looked.promise;
  };
  const rounds = async (more: number): Promise<void> => {
    const from = count(account.id);
    await until(() => count(account.id) >= from + more);
  };
  await rounds(3);
  const before = count(root.id);
  await rounds(3);
  expect(count(root.id)).toBe(before);
  await room.vault.base.db
    .updateTable('account')
    .set({ rotate_after_session: true })
    .where('id', '=', root.id)
    .execute();
  await until(() => count(root.id) > before);
  await watching[Symbol.asyncDispose]();
}, 30_000);
