/** A node goes: what only some have heard of it reaches the others, it gets in no more, and it is not taken back by an old letter. */
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { AccountId } from '../../src/base/ids.ts';
import { invite, join as joinBy } from '../../src/rotation/nodes/joining.ts';
import { sealLetter } from '../../src/rotation/nodes/letters.ts';
import { keepCard } from '../../src/rotation/nodes/mesh.ts';
import { cardOf, peerNames, withPeer } from '../../src/rotation/nodes/neighbourhood.ts';
import { cardForOthers } from '../../src/rotation/nodes/own-card.ts';
import { forget, leave } from '../../src/rotation/nodes/parting.ts';
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
  await oslo.join(paris);
  await lima.join(paris);
  await street.calm(all);
}, 120_000);
afterAll(async () => await street?.[Symbol.asyncDispose]());

const giveUp = (at: House, peer: string): Promise<void> =>
  forget(at.near, at.node.name, peer, 'it was given up', actor);
/** Whether one gets into another's database by the card that it has of it. */
async function getsIn(from: House, to: string): Promise<boolean> {
  using card = await cardOf(from.near, to);
  return (await withPeer(from.near, card, async () => true)) === true;
}
const slotsFor = async (at: House, peer: string): Promise<number> =>
  (await sql`SELECT FROM pg_replication_slots WHERE slot_name LIKE ${`sallyport_${peer}%`}`.execute(at.near.admin)).rows
    .length;
async function doubts(at: House): Promise<readonly string[]> {
  const rows = await at.near.db.selectFrom('node_peer').select('name').where('doubt', '=', true).execute();
  return rows.map(({ name }) => name);
}

test('what only one has heard of a node that is given up reaches the others', async () => {
  await street.stage.wire('lima', 'paris', false);
  const sigkey = await lima.node.rotate(app, (await lima.node.fold(app)).root);
  await street.stage.arrived('lima', 'oslo');
  await giveUp(paris, 'lima');
  await giveUp(oslo, 'lima');
  // Until everything is fetched nothing is decided without the others.
  expect([await doubts(paris), await doubts(oslo)]).toEqual([['oslo'], ['paris']]);
  await street.calm(['paris', 'oslo']);
  for (let rounds = 0; rounds < 5 && (await doubts(paris)).length > 0; rounds++) await paris.round();
  for (let rounds = 0; rounds < 5 && (await doubts(oslo)).length > 0; rounds++) await oslo.round();
  const known = await paris.node.db
    .selectFrom('randomization')
    .select('sigkey')
    .where('sigkey', '=', sigkey)
    .executeTakeFirst();
  expect(known?.sigkey).toBe(sigkey);
});

test('it gets in no more, nobody reads at its place, and the remaining ones get in by new passwords', async () => {
  expect(await getsIn(lima, 'paris')).toBe(false);
  expect(await getsIn(lima, 'oslo')).toBe(false);
  expect([await slotsFor(paris, 'lima'), await slotsFor(oslo, 'lima')]).toEqual([0, 0]);
  for (const [from, to] of [
    [paris, oslo],
    [oslo, paris],
  ] as const) {
    await to.round();
    await from.round();
    expect(await getsIn(from, to.node.name)).toBe(true);
  }
  await paris.node.rotate(app, (await paris.node.fold(app)).root);
  await street.stage.arrived('paris', 'oslo');
});

async function knock(at: House, card: string, invited?: number): Promise<void> {
  const letter = { kind: 'join', from: 'lima', to: at.node.name, at: Date.now(), card } as const;
  const sealed = await sealLetter(lima.near.vault, invited === undefined ? letter : { ...letter, invited });
  await sql`INSERT INTO node_knock (letter) VALUES (${sealed})`.execute(at.near.admin);
}

test('its letters are not believed until it is invited again, and then it is one of them again', async () => {
  await knock(paris, await cardForOthers(lima.near));
  await paris.round();
  expect(await peerNames(paris.near)).toEqual(['oslo']);
  expect(paris.warnings).toContainEqual(expect.stringMatching(/lima was forgotten/));
  await lima.join(paris);
  await street.calm(all);
  for (const house of [paris, oslo]) expect(await peerNames(house.near)).toContain('lima');
});

test('a letter that is sent again is not read again', async () => {
  const { letter_at: last } = await paris.near.db
    .selectFrom('node_peer')
    .select('letter_at')
    .where('name', '=', 'lima')
    .executeTakeFirstOrThrow();
  const sealed = await sealLetter(lima.near.vault, { kind: 'leave', from: 'lima', to: 'paris', at: last });
  await sql`INSERT INTO node_knock (letter) VALUES (${sealed})`.execute(paris.near.admin);
  await paris.round();
  expect(await peerNames(paris.near)).toContain('lima');
});

test('a peer whose database is older than this node’s password is told of it again', async () => {
  using stale = await cardOf(oslo.near, 'paris');
  using password = Secret.fromText('p'.repeat(43));
  await keepCard(oslo.near.admin, oslo.near.vault, { ...stale, password });
  expect(await getsIn(oslo, 'paris')).toBe(false);
  await paris.round();
  await paris.round();
  await oslo.round();
  expect(await getsIn(oslo, 'paris')).toBe(true);
});

test('an invitation is good for a day; then the password in it is another one', async () => {
  using invitation = await invite(paris.near, actor);
  const tomorrow = Date.now() + 25 * 3_600_000;
  const late = { ...lima.near, clock: { ...lima.near.clock, now: () => tomorrow } };
  expect(await joinBy(late, invitation.reveal(), actor, never)).toMatchObject({ code: 'nodes.invitation-expired' });
  await sql`UPDATE ledger_node SET invites_until = 1`.execute(paris.near.admin);
  await paris.round();
  expect(await joinBy(lima.near, invitation.reveal(), actor, never)).toMatchObject({ code: 'nodes.unreachable' });
  for (const house of [oslo, lima]) {
    await house.round();
    expect(await getsIn(house, 'paris')).toBe(true);
  }
});

test('who leaves says who has not confirmed what it said, and ends every place at its own log', async () => {
  await street.stage.wire('lima', 'oslo', false);
  await lima.node.rotate(app, (await lima.node.fold(app)).root);
  expect(await leave(lima.near, actor)).toMatchObject({ peers: ['oslo', 'paris'], untold: [], behind: ['oslo'] });
  const slots = await sql`SELECT FROM pg_replication_slots`.execute(lima.near.admin);
  expect(slots.rows).toEqual([]);
  expect(await getsIn(paris, 'lima').catch(() => false)).toBe(false);
});
