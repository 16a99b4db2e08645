/** Sessions in time: one authorization opens one, ending is once, and what withdraws the right ends them. */
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  type Authorization,
  authorize,
  endRevoked,
  endSession,
  killSession,
  killsWaiting,
  openSession,
  sessionById,
  sessionKill,
  sessionLive,
  sessionsInProgress,
  sessionsToEnd,
  type SessionRecord,
} from '../../src/access/access.ts';
import type { GateId } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { silent } from '../../src/base/log.ts';
import { listen } from '../../src/db/db.ts';
import { accessChanged, type Identity, setDisabled } from '../../src/identity/identity.ts';
import { audited, identityOf, operator, person } from '../identity/people.ts';
import { type Place, place } from './place.ts';

let room: Place;
let alice: Identity;
const gate = newId<GateId>();
const now = Date.parse('2026-11-20T12:00:00Z');
const base = { name: 'g', group: 'admins', accounts: ['root@web-01'] };

beforeAll(async () => {
  room = await place();
  alice = await identityOf(room.context, 'alice');
});
afterAll(async () => await room[Symbol.asyncDispose]());
beforeEach(async () => {
  for (const session of await sessionsInProgress(room.db))
    await endSession(room.db, session.id, { outcome: 'closed' }, now);
  await person(room.db, 'alice', { groups: ['admins'] }, null);
  await room.grant(base);
});

async function authorization(): Promise<Authorization> {
  const answer = await authorize(room.db, alice, { target: 'web-01', account: 'root', protocol: 'ssh' }, now);
  if ('refused' in answer) throw new Error(answer.code);
  return answer;
}

async function running(): Promise<SessionRecord> {
  const session = await openSession(room.db, await authorization(), { gate }, now);
  await sessionLive(room.db, session.id, now + 1);
  return session;
}

test('a session goes from opening to live to ended, once each', async () => {
  const session = await openSession(room.db, await authorization(), { gate }, now);
  expect(session).toMatchObject({
    state: 'opening',
    user: 'alice',
    account: 'root',
    target: 'web-01',
    gate,
    peerAddress: '192.0.2.10',
  });
  await sessionLive(room.db, session.id, now + 1);
  await expect(sessionLive(room.db, session.id, now + 1)).rejects.toMatchObject({ code: 'access.session-ended' });
  const both = await Promise.all([
    endSession(room.db, session.id, { outcome: 'closed' }, now + 5000),
    endSession(room.db, session.id, { outcome: 'killed' }, now + 6000),
  ]);
  expect(both.filter(Boolean)).toHaveLength(1);
  expect(await sessionById(room.db, session.id)).toMatchObject({ state: 'ended', liveAt: new Date(now + 1) });
  expect((await audited(room.db, 'session.ended')).filter((event) => event.about.session === session.id)).toHaveLength(
    1,
  );
});

test('one authorization opens one session', async () => {
  const once = await authorization();
  const answers = await Promise.allSettled([
    openSession(room.db, once, { gate }, now),
    openSession(room.db, once, { gate }, now),
  ]);
  expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const refused = answers.find((answer) => answer.status === 'rejected');
  expect(refused?.reason).toMatchObject({ code: 'access.authorization-used' });
  expect(await sessionsInProgress(room.db, gate)).toHaveLength(1);
});

test('the database itself refuses to revive or skip a state', async () => {
  const session = await running();
  const set = async (text: string): Promise<unknown> =>
    await sql.raw(`update session set ${text} where id = '${session.id}'`).execute(room.db);
  await expect(set(`state = 'opening'`)).rejects.toThrow(/session_transition_allowed/);
  await expect(set(`state = 'ended'`)).rejects.toThrow(/session_ended_has_outcome/);
  await endSession(room.db, session.id, { outcome: 'closed' }, now);
  await expect(set(`state = 'live', ended_at = null, outcome = null`)).rejects.toThrow(/has ended/);
  await expect(set(`outcome = 'other'`)).rejects.toThrow(/has ended/);
});

test('a kill reaches whoever listens, is remembered, and does nothing to what has ended', async () => {
  const session = await running();
  const heard = Promise.withResolvers<string>();
  const stop = new AbortController();
  const listening = { onEvent: (_: string, payload: string) => heard.resolve(payload), onReconnected: () => {} };
  await listen(room.url, [sessionKill], listening, silent, stop.signal);
  expect(await killSession(room.db, session.id, 'enough', operator)).toBe(true);
  expect(JSON.parse(await heard.promise)).toEqual({ session: session.id, gate, reason: 'enough' });
  stop.abort();
  expect(await killsWaiting(room.db)).toEqual([{ session: session.id, gate, reason: 'enough' }]);
  await endSession(room.db, session.id, { outcome: 'killed' }, now);
  expect(await killSession(room.db, session.id, 'again', operator)).toBe(false);
  expect(await killsWaiting(room.db)).toEqual([]);
});

test.each<readonly [string, () => Promise<unknown>, string]>([
  ['the grant is removed', async () => await room.grant(), 'the right to be here was withdrawn'],
  [
    'the user leaves the group',
    async () => await person(room.db, 'alice', { groups: ['users'] }, null),
    'the right to be here was withdrawn',
  ],
  ['the user is disabled', async () => await setDisabled(room.db, 'alice', true, operator), 'the user was disabled'],
  [
    'the grant gives less',
    async () => await room.grant({ ...base, subprotocols: ['sftp'] }),
    'the rights here were reduced',
  ],
  [
    'the grant expires',
    async () => await room.grant({ ...base, expiresAt: new Date(now + 10) }),
    'the right to be here was withdrawn',
  ],
])('a running session ends when %s', async (_, withdraw, reason) => {
  const session = await running();
  expect(await sessionsToEnd(room.db, now + 10)).toEqual([]);
  await withdraw();
  expect(await sessionsToEnd(room.db, now + 10)).toEqual([{ session: session.id, gate, reason }]);
  expect(await endRevoked(room.db, now + 10)).toBe(1);
  expect(await sessionById(room.db, session.id)).toMatchObject({ state: 'live', killReason: reason });
});

test('a withdrawn right is announced when it is committed', async () => {
  const heard = Promise.withResolvers<string>();
  const stop = new AbortController();
  await listen(
    room.url,
    [accessChanged],
    { onEvent: (channel) => heard.resolve(channel), onReconnected: () => {} },
    silent,
    stop.signal,
  );
  await room.grant();
  expect(await heard.promise).toBe(accessChanged);
  stop.abort();
});

test('the end of a time frame ends a session, unless it may go on', async () => {
  const frames = [{ zone: 'UTC', periods: [{ start: '08:00', end: '18:00' }] }];
  const evening = Date.parse('2026-11-20T18:00:00Z');
  await room.grant({ ...base, frames });
  const cut = await running();
  expect(await sessionsToEnd(room.db, evening - 1)).toEqual([]);
  expect(await sessionsToEnd(room.db, evening)).toMatchObject([{ session: cut.id }]);
  await endSession(room.db, cut.id, { outcome: 'expired' }, evening);
  await room.grant({ ...base, frames, overtimable: true });
  await running();
  expect(await sessionsToEnd(room.db, evening + 1)).toEqual([]);
});
