/** Joining goes on by itself wherever it is broken off, ends with everybody hearing everybody, and lets nobody in under a name that is taken. */
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secret.ts';
import type { AccountId } from '../../src/base/ids.ts';
import { makeCertificate } from '../../src/db/embedded/certificate.ts';
import { putQuestion } from '../../src/rotation/nodes/barrier.ts';
import { beginRenewal } from '../../src/rotation/nodes/heal.ts';
import { setState } from '../../src/rotation/nodes/identity.ts';
import { invite, join as joinBy } from '../../src/rotation/nodes/joining.ts';
import { sealLetter } from '../../src/rotation/nodes/letters.ts';
import { keepCard } from '../../src/rotation/nodes/mesh.ts';
import { cardOf, type Neighbourhood, peerNames, sealCard, sourceOf } from '../../src/rotation/nodes/neighbourhood.ts';
import { leave } from '../../src/rotation/nodes/parting.ts';
import { subscriptionName, untilCopied } from '../../src/rotation/nodes/subscription.ts';
import { statusOf } from '../../src/rotation/nodes/status.ts';
import { actor, never } from './nodes-stage.ts';
import { type House, nodesStreet, type Street } from './nodes-street.ts';

const all = ['paris', 'oslo', 'lima'];
let street: Street;
let paris: House;
let oslo: House;
let lima: House;
let app: AccountId;

beforeAll(async () => {
  street = await nodesStreet(all, ['app']);
  [paris, oslo, lima] = [street.house('paris'), street.house('oslo'), street.house('lima')];
  app = await paris.node.account('app');
  await paris.node.rotate(app, null);
}, 120_000);
afterAll(async () => await street?.[Symbol.asyncDispose]());

const hears = async ({ near, node }: House): Promise<readonly (readonly [string, string])[]> =>
  (await statusOf(node.db, near, false)).peers.map(({ name, hearing }) => [name, hearing] as const);

test('a process that ends in the middle of joining leaves a node that changes nothing', async () => {
  using invitation = await invite(paris.near, actor);
  const again = async (): Promise<never> => {
    throw new Error('the process ends here');
  };
  const dying: Neighbourhood = { ...oslo.near, vault: { ...oslo.near.vault, again } };
  await expect(joinBy(dying, invitation.reveal(), actor, never)).rejects.toThrow(/ends here/);
  expect(await oslo.state()).toBe('joining');
  expect(await hears(oslo)).toEqual([['paris', 'missing']]);
});

test('the rest is done by itself, and two that join at once find each other', async () => {
  // paris knows of neither yet.
  expect(await lima.join(paris)).toMatchObject({ peers: ['paris'], unreached: [] });
  await street.calm(all);
  for (const house of [paris, oslo, lima])
    expect(await hears(house)).toEqual(
      all
        .filter((name) => name !== house.node.name)
        .toSorted()
        .map((name) => [name, 'live']),
    );
  await oslo.node.rotate(app, (await oslo.node.fold(app)).root);
  await street.stage.quiet(all);
  expect((await lima.node.fold(app)).root).toBe((await oslo.node.fold(app)).root);
});

const hearAnew = async (me: House, peer: House): Promise<void> => {
  using card = await cardOf(me.near, peer.node.name);
  await beginRenewal(me.near.admin, me.node.name, sourceOf(me.near, card));
};

test('a node that waits for a transaction of a peer’s to end does not keep that peer from hearing it', async () => {
  const [held, begun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding = paris.near.admin
    .transaction()
    .execute(async (tx) => {
      await sql`SELECT pg_current_xact_id()`.execute(tx);
      begun.resolve();
      await held.promise;
    })
    .catch(begun.reject);
  await begun.promise;
  const waiting = hearAnew(oslo, paris);
  try {
    for (const late = AbortSignal.timeout(10_000); ; await systemClock.sleep(20, late)) {
      const { rows } = await sql`SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted`.execute(
        paris.node.db,
      );
      if (rows.length > 0) break;
    }
    await hearAnew(paris, oslo);
  } finally {
    held.resolve();
    await holding;
    await waiting;
  }
  await street.calm(all);
});

test('two nodes that begin to hear each other at the same moment do, again and again, while facts are written', async () => {
  for (let times = 0; times < 5; times++) {
    await Promise.all([
      hearAnew(paris, oslo),
      hearAnew(oslo, paris),
      paris.node.rotate(app, (await paris.node.fold(app)).root),
    ]);
    for (const [me, peer] of [
      [paris, oslo],
      [oslo, paris],
    ] as const) {
      const name = subscriptionName(me.node.name, peer.node.name);
      await untilCopied(me.near.admin, name, systemClock, never);
    }
    // Folding at one node can be news for the others, so twice.
    for (let round = 0; round < 2; round++) await street.stage.quiet(all);
  }
  expect(await street.stage.digest('oslo')).toBe(await street.stage.digest('paris'));
});

test('a peer that does not answer while another joins is known, named and waited for, and heard when it answers', async () => {
  await lima.stop();
  await leave(oslo.near, actor);
  expect(await oslo.join(paris)).toMatchObject({ peers: ['paris'], unreached: ['lima'] });
  await paris.round();
  await oslo.round();
  expect(await oslo.state()).toBe('joining');
  const { peers } = await statusOf(oslo.node.db, oslo.near, false);
  expect(peers.find(({ name }) => name === 'lima')).toMatchObject({ hearing: 'missing', owed: true });
  const question = await putQuestion(oslo.near);
  expect(await question.silent()).toContain('lima');

  await lima.start();
  await street.calm(all);
  expect(await hears(oslo)).toEqual([
    ['lima', 'live'],
    ['paris', 'live'],
  ]);
});

/** The card that another machine would have under this name. */
async function impostor(name: string): Promise<{ readonly sealed: Buffer }> {
  using card = await cardOf(paris.near, name);
  using password = Secret.fromText('p'.repeat(43));
  const { certificate } = makeCertificate('sallyport');
  return { sealed: Buffer.from(await sealCard(paris.near.vault, { ...card, password, certificate })) };
}
const keptOf = async (at: House, name: string): Promise<string> => {
  using card = await cardOf(at.near, name);
  return card.certificate;
};

test('a letter of another machine under a name that is taken is thrown away', async () => {
  const before = await keptOf(paris, 'oslo');
  const { sealed } = await impostor('oslo');
  const letter = { kind: 'join', from: 'oslo', to: 'paris', at: Date.now(), card: sealed.toString('base64') } as const;
  const bytes = await sealLetter(paris.near.vault, letter);
  await sql`INSERT INTO node_knock (letter) VALUES (${bytes})`.execute(paris.near.admin);
  await paris.round();
  expect(await keptOf(paris, 'oslo')).toBe(before);
  expect(paris.warnings).toContainEqual(expect.stringMatching(/thrown away.*name/));
});

test('a node does not join under the name of another machine, nor under one of whose facts it knows nothing', async () => {
  using invitation = await invite(paris.near, actor);
  await sql`DELETE FROM node_peer WHERE name = 'paris'`.execute(oslo.near.admin);
  using kept = await cardOf(paris.near, 'oslo');
  const { sealed } = await impostor('oslo');
  await paris.near.admin.updateTable('node_peer').set({ card: sealed }).where('name', '=', 'oslo').execute();
  expect(await joinBy(oslo.near, invitation.reveal(), actor, never)).toMatchObject({ code: 'nodes.name-taken' });
  expect([await oslo.state(), await peerNames(oslo.near)]).toEqual(['member', ['lima']]);
  await keepCard(paris.near.admin, paris.near.vault, kept);

  await oslo.near.admin.transaction().execute(async (tx) => {
    await sql`SET LOCAL session_replication_role = replica`.execute(tx);
    for (const table of ['outcome', 'advance', 'resolution'] as const) {
      await sql`ALTER TABLE ${sql.table(table)} DISABLE TRIGGER USER`.execute(tx);
      await sql`DELETE FROM ${sql.table(table)} WHERE node = 'oslo'`.execute(tx);
    }
  });
  expect(await joinBy(oslo.near, invitation.reveal(), actor, never)).toMatchObject({ code: 'nodes.name-taken' });
  expect(await oslo.state()).toBe('member');
});

test('and one that finds out only while it joins is set back instead of becoming a member', async () => {
  await setState(oslo.near.admin, 'joining');
  await oslo.round();
  expect(await oslo.state()).toBe('set-back');
});
