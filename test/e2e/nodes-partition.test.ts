/**
 * Nodes that are parted, go on by themselves, and meet again: 200 changes on each side, and afterwards all fold to the
 * same bytes (B-13). And the question before a decision: is everything here that the others know? (B-17)
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { AccountId, Sigkey } from '../../src/base/ids.ts';
import { type PeersOptions, peersOf } from '../../src/rotation/nodes/peers.ts';
import type { Peers } from '../../src/rotation/peers.ts';
import { anyNode } from '../../src/rotation/plan/management.ts';
import { never, nodesStage, type Node, type Stage } from './nodes-stage.ts';

const labels = Array.from({ length: 12 }, (_, n) => `a${n}`);
/** Nothing is done to these but what a test says. */
const calm = ['calm-1', 'calm-2', 'calm-3'];
let stage: Stage;
let paris: Node;
let oslo: Node;
let accounts: readonly AccountId[];

beforeAll(async () => {
  stage = await nodesStage(['paris', 'oslo', 'lima'], [...labels, ...calm]);
  [paris, oslo] = [stage.node('paris'), stage.node('oslo')];
  accounts = await Promise.all(labels.map((label) => paris.account(label)));
  await stage.linkAll(['paris', 'oslo']);
});
afterAll(async () => await stage?.[Symbol.asyncDispose]());

/** The same numbers for the same seed (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** So many changes by one node, as its own fold lets it: outcomes of every kind, and decisions where there is a conflict. */
async function work(node: Node, count: number, seed: number): Promise<void> {
  const draw = numbers(seed);
  for (let done = 0; done < count; done++) {
    const account = accounts[draw(accounts.length)] as AccountId;
    const fold = await node.fold(account);
    const pending = fold.working.find((sigkey) => fold.status.get(sigkey) === 'P');
    if (pending !== undefined) await node.conclude(account, pending, draw(2) === 0 ? 'C' : 'U');
    else if (fold.conflict !== 'none') {
      const root = fold.candidates[draw(fold.candidates.length)] ?? null;
      await node.decide(account, { kind: 'root', root, seen: [...fold.status.keys()] });
    } else {
      const sigkey = await node.write(account, fold.root);
      const [status] = (['C', 'C', 'C', 'C', 'F', 'U', undefined] as const).slice(draw(7));
      if (status !== undefined) await node.conclude(account, sigkey, status);
    }
  }
}

test('200 changes on each side of a cut line, and when it is whole again both nodes are equal to the last byte', async () => {
  await work(paris, 30, 1);
  await stage.quiet(['paris', 'oslo']);
  await stage.wire('paris', 'oslo', false);
  await stage.wire('oslo', 'paris', false);
  await Promise.all([work(paris, 200, 2), work(oslo, 200, 3)]);
  expect(await stage.digest('oslo')).not.toBe(await stage.digest('paris'));
  await stage.wire('paris', 'oslo', true);
  await stage.wire('oslo', 'paris', true);
  await stage.quiet(['paris', 'oslo']);
  const digest = await stage.digest('paris');
  expect(await stage.digest('oslo')).toBe(digest);
  expect(await stage.quarantined('paris')).toBe(0);
  expect(await stage.quarantined('oslo')).toBe(0);
  // Both worked on the same accounts without knowing of each other: that is flagged, and nothing is lost.
  const folds = await Promise.all(accounts.map((account) => oslo.fold(account)));
  expect(folds.filter((fold) => fold.conflict.startsWith('tree')).length).toBeGreaterThan(3);
  for (const { history, working, workingHistory, status } of folds)
    expect(history.length + working.length + workingHistory.length).toBe(status.size);
}, 120_000);

test('a third node joins, hears each fact from the node that said it, and is equal too', async () => {
  await stage.open('lima');
  for (const peer of ['paris', 'oslo']) {
    await stage.link(peer, 'lima');
    await stage.link('lima', peer);
  }
  const all = ['paris', 'oslo', 'lima'];
  await stage.quiet(all);
  const digest = await stage.digest('paris');
  for (const name of all) expect(await stage.digest(name)).toBe(digest);
  expect(await stage.quarantined('lima')).toBe(0);
});

test('a child that arrives before its parent is a conflict that waits, and falls into place', async () => {
  const lima = stage.node('lima');
  const account = await paris.account('calm-1');
  await paris.rotate(account, null);
  await stage.quiet(['paris', 'oslo', 'lima']);
  await stage.wire('paris', 'lima', false);
  const parent = await paris.rotate(account, (await paris.fold(account)).root);
  await stage.arrived('paris', 'oslo');
  const child = await oslo.rotate(account, parent);
  await stage.arrived('oslo', 'lima');
  expect(await lima.fold(account)).toMatchObject({ conflict: 'tree', missing: [parent] });
  await stage.wire('paris', 'lima', true);
  await stage.arrived('paris', 'lima');
  expect(await lima.fold(account)).toMatchObject({ conflict: 'none', missing: [], root: child });
});

/** What oslo asks of the others, by a clock that can be set on. */
function asking(options: Partial<PeersOptions> = {}): Peers & { later(ms: number): void } {
  let ahead = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + ahead };
  const peers = peersOf({ db: oslo.db, clock }, { managementOf: async () => anyNode, ...options });
  return {
    ...peers,
    later: (ms) => {
      ahead += ms;
    },
  };
}

/** Asks until something else is said than that the others are waited for. */
async function told(peers: Peers, account: AccountId): Promise<string> {
  for (const late = AbortSignal.timeout(60_000); ; await systemClock.sleep(20, late)) {
    const heard = await peers.heard(account, 1, late);
    if (heard !== 'waiting') return heard;
  }
}

test('before a decision everything is here that the others knew when they were asked', async () => {
  const account = await paris.account('calm-2');
  await paris.rotate(account, null);
  for (const peer of ['paris', 'lima']) await register(oslo, peer);
  await stage.wire('paris', 'oslo', false);
  const said: Sigkey[] = [];
  for (let n = 0; n < 20; n++) said.push(await paris.rotate(account, (await paris.fold(account)).root));
  const peers = asking();
  expect(await peers.heard(account, 1, never)).toBe('waiting');
  await stage.wire('paris', 'oslo', true);
  expect(await told(peers, account)).toBe('here');
  // Nobody waited for anything else.
  expect((await oslo.fold(account)).root).toBe(said.at(-1));
});

test('what was answered counts for one decision: for a later one about the same facts everybody is asked again', async () => {
  const account = await paris.account('calm-3');
  const peers = asking();
  expect(await told(peers, account)).toBe('here');
  expect(await peers.heard(account, 1, never), 'of the same decision').toBe('here');
  await stage.wire('lima', 'oslo', false);
  peers.later(60_000);
  expect(await peers.heard(account, 1, never)).toBe('waiting');
  peers.later(300_000);
  expect(await peers.heard(account, 1, never)).toBe('late');
  // A peer that was away so long that it did not answer the old question is asked anew when it is back.
  await oslo.admin.deleteFrom('barrier').execute();
  peers.later(25 * 3_600_000);
  await stage.wire('lima', 'oslo', true);
  for (const late = AbortSignal.timeout(60_000); (await peers.heard(account, 1, never)) !== 'here'; )
    await systemClock.sleep(20, late);
});

test('a node that is silent too long is late, and one that was forgotten is waited for no more', async () => {
  const account = await paris.account('calm-3');
  await stage.node('lima').cluster.stop('immediate');
  const peers = asking({ waitMs: 0 });
  expect(await peers.heard(account, 1, never)).toBe('late');
  await oslo.admin.deleteFrom('node_peer').where('name', '=', 'lima').execute();
  for (const late = AbortSignal.timeout(60_000); (await peers.heard(account, 1, never)) !== 'here'; )
    await systemClock.sleep(20, late);
  await oslo.admin.updateTable('node_peer').set({ doubt: true }).where('name', '=', 'paris').execute();
  expect(await peers.heard(account, 1, never), 'facts of it may be missing here').toBe('late');
  // One node alone has everything.
  await oslo.admin.deleteFrom('node_peer').execute();
  expect(await peers.heard(account, 1, never)).toBe('here');
});

async function register(node: Node, peer: string): Promise<void> {
  await node.admin
    .insertInto('node_peer')
    .values({ name: peer, card: Buffer.from('card') })
    .execute();
}
