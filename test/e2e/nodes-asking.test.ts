/** A node that starts and that a peer does not let in may have been set back: it changes nothing until it could ask. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { AccountId } from '../../src/base/ids.ts';
import { inTransaction } from '../../src/db/db.ts';
import { beginAsking } from '../../src/rotation/nodes/asking.ts';
import { type Membership, openMembership } from '../../src/rotation/nodes/membership.ts';
import { keepCard } from '../../src/rotation/nodes/mesh.ts';
import { cardOf } from '../../src/rotation/nodes/neighbourhood.ts';
import { drawNextCard } from '../../src/rotation/nodes/own-card.ts';
import { leave } from '../../src/rotation/nodes/parting.ts';
import { noticeSetBack } from '../../src/rotation/nodes/tending.ts';
import { actor, never } from './nodes-stage.ts';
import { type House, nodesStreet, type Street } from './nodes-street.ts';

const both = ['paris', 'oslo'];
let street: Street;
let paris: House;
let oslo: House;
let app: AccountId;

beforeAll(async () => {
  street = await nodesStreet(both, ['app']);
  [paris, oslo] = [street.house('paris'), street.house('oslo')];
  app = await paris.node.account('app');
  await oslo.join(paris);
  await street.calm(both);
}, 120_000);
afterAll(async () => await street?.[Symbol.asyncDispose]());

const rotate = async (at: House): Promise<unknown> => at.node.rotate(app, (await at.node.fold(app)).root);

/** As a database has it that is older than the peer's password. */
async function mistakePassword(): Promise<void> {
  using known = await cardOf(oslo.near, 'paris');
  using password = Secret.fromText('p'.repeat(43));
  await keepCard(oslo.near.admin, oslo.near.vault, { ...known, password });
}
/** What it does at its start. */
const look = async (near = oslo.near): Promise<void> => beginAsking(near, await noticeSetBack(near, never));
const parisTells = async (): Promise<void> => {
  await paris.round();
  await paris.round();
};

test('whom a peer does not let in changes nothing until the peer has told it its password, and then goes on', async () => {
  await mistakePassword();
  await look();
  expect(await oslo.state()).toBe('asking');
  await expect(rotate(oslo)).rejects.toMatchObject({ constraint: 'node_is_ready' });
  expect(await leave(oslo.near, actor)).toMatchObject({ code: 'nodes.asking' });
  await oslo.round();
  expect(await oslo.state()).toBe('asking');
  await parisTells();
  await oslo.round();
  expect(await oslo.state()).toBe('member');
  await rotate(oslo);
  await street.stage.quiet(both);
});

test('what comes meanwhile is folded when it is over', async () => {
  await mistakePassword();
  await look();
  await rotate(paris);
  await street.stage.arrived('paris', 'oslo');
  const unfolded = async () => (await oslo.node.db.selectFrom('ledger_unfolded').select('id').execute()).length;
  expect(await unfolded()).toBeGreaterThan(0);
  await parisTells();
  await oslo.round();
  await street.stage.arrived('paris', 'oslo');
  expect([await oslo.state(), await unfolded()]).toEqual(['member', 0]);
});

test('whom nobody tells goes on after a minute, with a warning; and a peer that is only silent is no reason to wait', async () => {
  await mistakePassword();
  await look({ ...oslo.near, clock: { ...oslo.near.clock, now: () => Date.now() - 50_000 } });
  await oslo.round();
  expect(await oslo.state()).toBe('asking');
  await look({ ...oslo.near, clock: { ...oslo.near.clock, now: () => Date.now() - 70_000 } });
  await oslo.round();
  expect(await oslo.state()).toBe('member');
  expect(oslo.warnings).toContainEqual(expect.stringMatching(/paris does not let this node in/));
  await paris.stop();
  await look();
  expect(await oslo.state()).toBe('member');
  await paris.start();
  await parisTells();
  await oslo.round();
});

test('a database restored from a backup older than a peer’s password is found to be set back before anything is written', async () => {
  const { cluster } = oslo.node;
  await cluster.stop('fast');
  const old = await cluster.backup();
  await oslo.start();
  await rotate(oslo);
  await street.stage.quiet(both);
  await inTransaction(paris.near.admin, (tx) => drawNextCard(paris.near, tx));
  await paris.round();
  await oslo.round();
  await oslo.stop();
  await cluster.restore(old);
  await oslo.start();
  await using membership = await begin();
  expect(await oslo.state()).toBe('asking');
  await parisTells();
  await membership.settle();
  expect(await oslo.state()).toBe('set-back');
});

/** All that a keeper has going on between nodes. */
async function begin(): Promise<Membership> {
  const { cluster, db, vault } = oslo.node;
  const { host, port, log, clock, sealedElsewhere } = oslo.near;
  const folder = join(cluster.data, 'peers');
  const place = { folder, seen: folder, ...cluster.owner };
  const server = { adminUrl: cluster.adminUrl, place, host, port };
  return openMembership({ db, url: cluster.appUrl, vault, log, clock, sealedElsewhere, server }, never);
}
