/** What goes on between nodes by itself goes on, whatever one letter or one peer is like; and a node that was set back stays still. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { AccountId, Id } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { leave } from '../../src/rotation/nodes/parting.ts';
import { setState } from '../../src/rotation/nodes/identity.ts';
import { invite, join as joinBy } from '../../src/rotation/nodes/joining.ts';
import { keepCard } from '../../src/rotation/nodes/mesh.ts';
import { sealLetter } from '../../src/rotation/nodes/letters.ts';
import { cardOf, sourceOf } from '../../src/rotation/nodes/neighbourhood.ts';
import { putQuestion } from '../../src/rotation/nodes/barrier.ts';
import { acknowledge, putAside } from '../../src/rotation/nodes/quarantine.ts';
import { type PeerStatus, statusOf } from '../../src/rotation/nodes/status.ts';
import { healingName, stallMs, subscriptionName, untilCopied } from '../../src/rotation/nodes/subscription.ts';
import { noticeSetBack } from '../../src/rotation/nodes/tending.ts';
import { actor, never } from './nodes-stage.ts';
import { type House, nodesStreet, silentServer, type Street } from './nodes-street.ts';

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
  await oslo.join(paris);
  await street.calm(['paris', 'oslo']);
  await lima.join(paris);
  await street.calm(all);
}, 120_000);
afterAll(async () => await street?.[Symbol.asyncDispose]());

/** As if a letter had been left by a node of this name. */
async function drop(at: House, kind: 'renew' | 'leave', from: string): Promise<void> {
  const letter = await sealLetter(at.near.vault, { kind, from, to: at.node.name, at: Date.now() });
  await sql`INSERT INTO node_knock (letter) VALUES (${letter})`.execute(at.near.admin);
}
const letters = async (at: House): Promise<number> =>
  (await at.near.db.selectFrom('node_knock').select('id').execute()).length;

/** A peer of this name that is not there. */
async function stranger(at: House, name: string, port: number): Promise<void> {
  using card = await cardOf(at.near, at.node.name === 'paris' ? 'oslo' : 'paris');
  using password = Secret.fromText(card.password.revealText());
  await keepCard(at.near.admin, at.near.vault, { ...card, name, port, password });
}
const status = async (at: House, peer: string): Promise<PeerStatus | undefined> =>
  (await statusOf(at.node.db, at.near, false)).peers.find(({ name }) => name === peer);
const forgetStranger = (at: House, name: string): Promise<unknown> =>
  at.near.admin.deleteFrom('node_peer').where('name', '=', name).execute();

test('three nodes that joined hear each other over TLS', async () => {
  await paris.node.rotate(app, null);
  await street.stage.quiet(all);
  expect((await lima.node.fold(app)).root).toBe((await paris.node.fold(app)).root);
});

test('a letter of somebody who was forgotten is thrown away with a warning, and the next one is read', async () => {
  await drop(paris, 'renew', 'nowhere');
  await drop(paris, 'renew', 'oslo');
  await paris.round();
  expect(await letters(paris)).toBe(0);
  expect(paris.warnings).toContainEqual(expect.stringMatching(/thrown away.*nowhere/));
});

test('a letter that cannot be obeyed waits with those of its writer, and those of others are read', async () => {
  await stranger(paris, 'away', 1);
  await drop(paris, 'renew', 'away');
  await drop(paris, 'renew', 'oslo');
  await drop(paris, 'leave', 'away');
  await paris.round();
  expect(await letters(paris)).toBe(2);
  await sql`DELETE FROM node_knock`.execute(paris.near.admin);
  await forgetStranger(paris, 'away');
});

test('what is wrong with one peer keeps nothing else from being done', async () => {
  await paris.near.admin
    .insertInto('node_peer')
    .values({ name: 'a-broken-one', card: Buffer.from('no card'), doubt: true })
    .execute();
  await paris.near.admin.updateTable('node_peer').set({ renew: true }).where('name', '=', 'oslo').execute();
  await setState(paris.near.admin, 'member');
  await paris.round();
  const { renew } = await paris.near.db
    .selectFrom('node_peer')
    .select('renew')
    .where('name', '=', 'oslo')
    .executeTakeFirstOrThrow();
  expect(renew).toBe(false);
  expect(paris.warnings).toContainEqual(expect.stringContaining('a-broken-one'));
  await forgetStranger(paris, 'a-broken-one');
  await oslo.round();
});

test('a peer may be called as it likes: its files do not take the place of this node’s own', async () => {
  using card = await cardOf(paris.near, 'oslo');
  const own = join(paris.node.cluster.data, 'peers/server.pem');
  const before = readFileSync(own, 'utf8');
  sourceOf(paris.near, { ...card, name: 'server' });
  expect(readFileSync(own, 'utf8')).toBe(before);
  expect(before).not.toBe(card.certificate);
});

test('a node that was set back does not lose sight of it by joining or leaving', async () => {
  using invitation = await invite(paris.near, actor);
  for (const state of ['set-back', 'healing'] as const) {
    await setState(oslo.near.admin, state);
    expect(await joinBy(oslo.near, invitation.reveal(), actor, never)).toMatchObject({ code: 'nodes.set-back' });
    expect(await leave(oslo.near, actor)).toMatchObject({ code: 'nodes.set-back' });
    expect(await oslo.state()).toBe(state);
  }
  await setState(oslo.near.admin, 'member');
});

test('a round does not wait for a copy that takes long, and until it has come the peer has not answered', async () => {
  await street.stage.wire('paris', 'oslo', false);
  const fact = newId<Id<'barrier'>>();
  await paris.node.db.insertInto('barrier').values({ ask: fact, kind: 'ask' }).execute();
  await oslo.near.admin.updateTable('node_peer').set({ doubt: true }).where('name', '=', 'paris').execute();
  // The same row, half written here: the copy waits for whoever writes it.
  const [held, locked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding = oslo.near.admin
    .transaction()
    .execute(async (tx) => {
      await sql`SET LOCAL session_replication_role = replica`.execute(tx);
      await tx.insertInto('barrier').values({ ask: fact, kind: 'ask', node: 'paris' }).execute();
      locked.resolve();
      await held.promise;
      throw new Error('it is not written after all');
    })
    .catch(locked.reject);
  try {
    await locked.promise;
    await oslo.round();
    expect(await status(oslo, 'paris')).toMatchObject({ hearing: 'copying', owed: true });
    expect(await (await putQuestion(oslo.near)).silent()).toContain('paris');
  } finally {
    held.resolve();
    await holding;
  }
  for (let rounds = 0; rounds < 10 && (await status(oslo, 'paris'))?.owed !== false; rounds++) await oslo.round();
  expect(await status(oslo, 'paris')).toMatchObject({ hearing: 'live', owed: false });
});

test('a copy in which nothing moves is not waited for for ever', async () => {
  let now = 0;
  const clock = { now: () => now, sleep: async () => void (now += 1000) };
  await expect(untilCopied(oslo.near.admin, 'nothing', clock, never)).rejects.toMatchObject({
    code: 'nodes.copy-stalled',
  });
  expect(now).toBeGreaterThan(stallMs);
});

test('what fetches everything from a peer is never what hears another one, whatever the two are called', () => {
  expect(healingName('paris', 'oslo')).not.toBe(subscriptionName('h-paris', 'oslo'));
});

test('what was put aside is listed without what it holds, until somebody has looked at it', async () => {
  const row = { sigkey: 'a-key', node: 'oslo', sealed: 'bytes' };
  await sql`INSERT INTO ledger_quarantine (table_name, row)
    VALUES ('credential_version', ${JSON.stringify(row)}::jsonb)`.execute(paris.near.admin);
  const [fact, ...more] = await putAside(paris.node.db, false);
  if (fact === undefined) throw new Error('nothing was put aside');
  const { id, at, ...rest } = fact;
  expect([rest, more]).toEqual([{ table: 'credential_version', key: 'a-key', node: 'oslo', acknowledged: false }, []]);
  expect((await statusOf(paris.node.db, undefined, false)).quarantined).toBe(1);
  expect(await acknowledge(paris.node.db, [id, id + 1], actor)).toMatchObject({ code: 'nodes.not-put-aside' });
  expect(await acknowledge(paris.node.db, [id], actor)).toBe(1);
  expect(await acknowledge(paris.node.db, undefined, actor)).toBe(0);
  expect((await statusOf(paris.node.db, undefined, false)).quarantined).toBe(0);
  expect(await putAside(paris.node.db, false)).toEqual([]);
  expect(await putAside(paris.node.db, true)).toMatchObject([{ id, at, acknowledged: true }]);
});

test('a node that was set back notices it although the first peers that it asks do not answer', async () => {
  await using swallowing = await silentServer();
  for (const name of ['a-silent-one', 'another']) await stranger(oslo, name, swallowing.port);
  // What paris has heard of oslo, and oslo does not know any more.
  await oslo.node.rotate(app, (await oslo.node.fold(app)).root);
  await street.stage.quiet(all);
  await oslo.near.admin.transaction().execute(async (tx) => {
    await sql`SET LOCAL session_replication_role = replica`.execute(tx);
    for (const table of ['outcome', 'advance', 'resolution'] as const) {
      await sql`ALTER TABLE ${sql.table(table)} DISABLE TRIGGER USER`.execute(tx);
      await sql`DELETE FROM ${sql.table(table)} WHERE node = 'oslo'`.execute(tx);
    }
  });
  await noticeSetBack(oslo.near, AbortSignal.timeout(8_000)).catch(() => {});
  expect(await oslo.state()).toBe('set-back');
});
