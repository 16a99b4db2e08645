/** Desktops: which words a grant may have, what a token restricts, when one may be made, and when it is taken back. */
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type Authorization,
  authorize,
  type Destination,
  endRevoked,
  endSession,
  isSubprotocol,
  killSession,
  killsWaiting,
  mayOpen,
  openSession,
  type RdpConditions,
  type SessionRecord,
  sessionsInProgress,
  sessionsToEnd,
} from '../../src/access/access.ts';
import { termsOf } from '../../src/access/plan/rdp-terms.ts';
import { isRefusal } from '../../src/base/errors.ts';
import type { GateId } from '../../src/base/ids.ts';
import type { Secret } from '../../src/base/secret.ts';
import { beginLogin, type Identity, mintToken, setDisabled, submitFactor } from '../../src/identity/identity.ts';
import { audited, identityOf, operator } from '../identity/people.ts';
import { desktops, type Place } from './place.ts';

let room: Place;
let alice: Identity;
const now = Date.parse('2026-11-20T12:00:00Z');
const from = '192.0.2.10';
const admins = { group: 'admins', targets: ['win-01'] };

beforeAll(async () => {
  room = await desktops();
  room.clock.set(now);
  alice = await identityOf(room.context, 'alice');
});
afterAll(async () => await room[Symbol.asyncDispose]());
beforeEach(async () => void (await room.db.deleteFrom('connection_token').execute()));

const ask = async (who: Identity, destination: Partial<Destination>): Promise<Authorization | object> =>
  await authorize(room.db, who, { protocol: 'rdp', ...destination }, now);

/** Logs in with a token for one account and service of win-01. */
async function withToken(account = 'admin', service = 'rdp', source?: string): Promise<Identity> {
  return await login(await minted(account, service, source));
}

async function minted(account = 'admin', service = 'rdp', source?: string): Promise<Secret> {
  const { db, vault } = room;
  const allowed = await mayOpen(
    db,
    'alice',
    { target: 'win-01', account, service, protocol: 'rdp' },
    from,
    now,
    operator,
  );
  if (isRefusal(allowed)) throw new Error(allowed.reason);
  const words = { userName: 'alice', label: allowed.account.label, serviceName: service, minutes: 10 };
  const place = { target: allowed.target.id, account: allowed.account.id, service: allowed.service.id };
  const bound = source === undefined ? {} : { source };
  const answer = await mintToken(db, vault, { user: allowed.user.id, ...words, ...place, ...bound }, now, operator);
  if (isRefusal(answer)) throw new Error(answer.reason);
  return answer.token;
}

async function login(token: Secret): Promise<Identity> {
  const begun = beginLogin(room.context, { user: 'alice', address: from, protocol: 'rdp' });
  const verdict = await submitFactor(begun, { kind: 'token', token });
  if (verdict.kind !== 'accepted') throw new Error('the token was not taken');
  return verdict.identity;
}

describe('the words of a grant', () => {
  test.each([
    'rdp',
    'clipboard-up',
    'clipboard-files-down',
    'drives-read',
    'display-control',
    'dynamic:Microsoft::Windows::RDS::DisplayControl',
    'static:rdpsnd',
  ])('%s is one', async (word) => {
    expect(isSubprotocol(word)).toBe(true);
    await room.grant({ name: 'g', ...admins, subprotocols: [...new Set(['rdp', word])] });
    expect(await ask(alice, { target: 'win-01', account: 'admin' })).toMatchObject({
      subprotocols: [...new Set(['rdp', word])],
    });
  });

  test.each([
    'desktop',
    'RDP',
    'clipboard',
    'static:',
    'static:toolongname',
    'static:MS_T120',
    'dynamic:',
    'dynamic:a b',
    'dynamic:é',
  ])('%s is none', async (word) => {
    await expect(room.grant({ name: 'g', ...admins, subprotocols: ['rdp', word] })).rejects.toMatchObject({
      code: 'access.grant-invalid',
    });
  });

  test.each(['desktop', 'a b', '', 'static:toolongname', 'rdp rdp'])('the database refuses %j too', async (word) => {
    await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'] });
    await expect(
      sql`update access_grant set subprotocols = ${sql.val(['rdp', word])}`.execute(room.db),
    ).rejects.toThrow(/access_grant_subprotocols_known/);
  });

  test('without rdp open no desktop, whatever else they are', async () => {
    await room.grant(
      { name: 'all of ssh', ...admins },
      { name: 'extras', ...admins, subprotocols: ['clipboard-up', 'drives'] },
    );
    expect(await ask(alice, { target: 'win-01', account: 'admin' })).toMatchObject({ code: 'access.refused' });
    await room.grant(
      { name: 'extras', ...admins, subprotocols: ['clipboard-up', 'drives'] },
      { name: 'plain', ...admins, subprotocols: ['rdp', 'audio-out'] },
    );
    expect(await ask(alice, { target: 'win-01', account: 'admin' })).toMatchObject({
      subprotocols: ['rdp', 'audio-out'],
    });
  });

  test('of a desktop open no shell', async () => {
    await room.grant({ name: 'g', group: 'admins', targets: ['web-01'], subprotocols: ['rdp', 'clipboard-up'] });
    const ssh = await authorize(room.db, alice, { target: 'web-01', account: 'root', protocol: 'ssh' }, now);
    expect(ssh).toMatchObject({ code: 'access.refused' });
  });
});

describe('the conditions of a desktop', () => {
  test('come from the grants that allow it, the widest of them; what is recorded is the most of them', async () => {
    await room.grant(
      {
        name: 'narrow',
        ...admins,
        subprotocols: ['rdp'],
        rdp: { depth: 16, maxWidth: 800, maxHeight: 600, idleMinutes: 5, application: 'notepad.exe', keys: 'all' },
      },
      { name: 'other group', group: 'users', targets: ['win-01'], subprotocols: ['rdp'], rdp: {} },
    );
    expect(await ask(alice, { target: 'win-01', account: 'admin' })).toMatchObject({
      rdp: { depth: 16, maxWidth: 800, maxHeight: 600, idleMinutes: 5, application: 'notepad.exe', keys: 'all' },
    });
    const narrow = { depth: 16, maxWidth: 800, maxHeight: 600, idleMinutes: 5, application: 'a', keys: 'all' } as const;
    expect(termsOf([narrow, { maxWidth: 1024, depth: 32, idleMinutes: 10, application: 'b', keys: 'none' }])).toEqual({
      depth: 32,
      maxWidth: 1024,
      maxHeight: undefined,
      idleMinutes: 10,
      application: 'a',
      keys: 'all',
    });
    expect(termsOf([narrow, {}])).toMatchObject({ depth: 24, idleMinutes: undefined, application: undefined });
    expect(termsOf([{}])).toMatchObject({ depth: 24, keys: 'masked' });
    expect(termsOf([{ keys: 'none' }])).toMatchObject({ keys: 'none' });
  });

  test.each([
    { depth: 8 },
    { maxWidth: 10 },
    { idleMinutes: 0 },
    { keys: 'some' },
    { application: 'a\nb' },
    { more: 1 },
  ])('%j are none', async (rdp) => {
    const grant = { name: 'g', ...admins, subprotocols: ['rdp'], rdp: rdp as never };
    await expect(room.grant(grant)).rejects.toMatchObject({ code: 'access.grant-invalid' });
  });

  test('that are the same change nothing, in whatever order they are written', async () => {
    await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'], rdp: { depth: 24, idleMinutes: 5 } });
    const before = await audited(room.db, 'access.grant.changed');
    await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'], rdp: { idleMinutes: 5, depth: 24 } });
    expect(await audited(room.db, 'access.grant.changed')).toHaveLength(before.length);
  });
});

describe('a login with a connection token', () => {
  beforeEach(async () => await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'] }));

  test('goes to the place of its token, named or not', async () => {
    const place = { target: { name: 'win-01' }, account: { name: 'admin' }, service: { name: 'rdp' } };
    expect(await ask(await withToken(), {})).toMatchObject(place);
    expect(await ask(await withToken(), { target: 'WIN-01' })).toMatchObject(place);
    expect(await ask(await withToken(), { target: 'win-01', account: 'admin', service: 'rdp' })).toMatchObject(place);
    expect(await ask(await withToken('svc', 'rdp-tls'), {})).toMatchObject({
      account: { name: 'svc' },
      service: { name: 'rdp-tls' },
    });
  });

  test('goes nowhere else, in the usual words', async () => {
    await room.grant({
      name: 'g',
      group: 'admins',
      targets: ['win-01', 'web-01', 'db-01'],
      subprotocols: ['rdp', 'shell'],
    });
    const usual = await ask(alice, { target: 'no-such-target' });
    const elsewhere: Partial<Destination>[] = [
      { target: 'win-01', account: 'svc' },
      { target: 'win-01', service: 'rdp-tls' },
      { target: 'web-01' },
      { target: 'db-01', protocol: 'ssh' },
      { protocol: 'ssh' },
    ];
    for (const destination of elsewhere) expect(await ask(await withToken(), destination)).toEqual(usual);
    const reasons = (await audited(room.db, 'access.refused')).slice(-2).map((event) => event.details['reason']);
    expect(reasons).toEqual(['the connection token is for another place', 'the connection token is for another place']);
  });

  test('needs the right when it is used, and not only when it was made', async () => {
    const identity = await withToken();
    await room.grant();
    expect(await ask(identity, {})).toMatchObject({ code: 'access.refused' });
  });

  test('leaves its token in the row of its session', async () => {
    const identity = await withToken();
    const authorization = (await ask(identity, {})) as Authorization;
    const { id } = await openSession(room.db, authorization, { gate: 'g1' as GateId }, now);
    const row = await room.db.selectFrom('session').selectAll().where('id', '=', id).executeTakeFirst();
    expect(row).toMatchObject({ protocol: 'rdp', connection_token_id: identity.token?.id });
    await room.db.updateTable('session').set({ state: 'ended', ended_at: new Date(), outcome: 'x' }).execute();
  });

  test('without a token and without a target there is nowhere to go', async () => {
    expect(await ask(alice, {})).toMatchObject({ code: 'access.refused' });
  });
});

describe('the session of a token', () => {
  const gate = 'g1' as GateId;
  const tokens = async () => await room.db.selectFrom('connection_token').select('id').execute();
  beforeEach(async () => await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'] }));
  afterEach(async () => {
    for (const { id } of await sessionsInProgress(room.db)) await endSession(room.db, id, { outcome: 'closed' }, now);
  });

  async function open(identity: Identity): Promise<SessionRecord> {
    return await openSession(room.db, (await ask(identity, {})) as Authorization, { gate }, now);
  }

  test('is one at a time: its client that comes back ends the one before', async () => {
    const token = await minted();
    const first = await open(await login(token));
    expect(await killsWaiting(room.db)).toEqual([]);
    const second = await open(await login(token));
    const reason = 'the same client came back';
    expect(await killsWaiting(room.db)).toEqual([{ session: first.id, gate, reason }]);
    expect((await audited(room.db, 'session.killed')).at(-1)).toMatchObject({
      actor: { kind: 'user', name: 'alice' },
      about: { session: first.id },
      details: { reason },
    });
    // The one that goes takes nothing from the one that came.
    await endSession(room.db, first.id, { outcome: 'killed' }, now);
    const third = await open(await login(token));
    expect(await killsWaiting(room.db)).toEqual([{ session: second.id, gate, reason }]);
    expect(third.killReason).toBeUndefined();
  });

  test('is one also when two clients come at once', async () => {
    const token = await minted();
    const identities = [await login(token), await login(token)];
    await Promise.all(identities.map(open));
    expect(await sessionsInProgress(room.db)).toHaveLength(2);
    expect(await killsWaiting(room.db)).toHaveLength(1);
  });

  test('does not come back once it was killed, and its token is on record as taken back', async () => {
    const token = await minted();
    const session = await open(await login(token));
    const already = await login(token);
    expect(await killSession(room.db, session.id, 'enough', operator)).toBe(true);
    await expect(login(token)).rejects.toThrow('was not taken');
    expect(await tokens()).toEqual([]);
    expect((await audited(room.db, 'identity.token.revoked')).at(-1)).toMatchObject({
      actor: operator,
      details: { user: 'alice', reason: 'its session was killed' },
    });
    // Nor by a login that had got in before.
    await expect(open(already)).rejects.toMatchObject({ code: 'access.session-ended' });
    expect(await killSession(room.db, session.id, 'again', operator)).toBe(true);
  });

  test('does not come back by a right that was withdrawn and given again', async () => {
    const token = await minted();
    await login(token);
    await endRevoked(room.db, now);
    expect(await tokens()).toHaveLength(1);
    await room.grant();
    await endRevoked(room.db, now);
    await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'] });
    await expect(login(token)).rejects.toThrow('was not taken');
  });
});

describe('a desktop that runs', () => {
  const had = { depth: 24, idleMinutes: 30, maxWidth: 1920, maxHeight: 1080, keys: 'masked' } as const;
  const under = async (rdp: RdpConditions) => await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'], rdp });
  afterEach(async () => {
    for (const { id } of await sessionsInProgress(room.db)) await endSession(room.db, id, { outcome: 'closed' }, now);
  });

  test.each<[string, RdpConditions, RdpConditions]>([
    ['a shorter idle time', had, { ...had, idleMinutes: 29 }],
    ['an idle time where there was none', { keys: 'none' }, { keys: 'none', idleMinutes: 1440 }],
    ['fewer colours', had, { ...had, depth: 16 }],
    ['a narrower screen', had, { ...had, maxWidth: 1919 }],
    ['a lower screen', had, { ...had, maxHeight: 1079 }],
    ['one application', had, { ...had, application: 'notepad.exe' }],
    ['another application', { ...had, application: 'notepad.exe' }, { ...had, application: 'calc.exe' }],
    ['all keys on record', had, { ...had, keys: 'all' }],
    ['keys on record', { ...had, keys: 'none' }, had],
  ])('ends when its grant comes to say %s', async (_, before, after) => {
    await under(before);
    const token = await minted();
    const authorization = (await ask(await login(token), {})) as Authorization;
    const { id, gate } = await openSession(room.db, authorization, { gate: 'g1' as GateId }, now);
    expect(await sessionsToEnd(room.db, now)).toEqual([]);
    await under(after);
    const reason = 'the conditions here became stricter';
    expect(await sessionsToEnd(room.db, now)).toEqual([{ session: id, gate, reason }]);
    // One that begins now is as they say.
    await endSession(room.db, id, { outcome: 'killed' }, now);
    const anew = (await ask(alice, { target: 'win-01', account: 'admin', service: 'rdp' })) as Authorization;
    await openSession(room.db, anew, { gate }, now);
    expect(await sessionsToEnd(room.db, now)).toEqual([]);
  });

  test('stays when its grant comes to say more', async () => {
    const narrow = { depth: 16, idleMinutes: 5, maxWidth: 800, maxHeight: 600, application: 'a', keys: 'all' } as const;
    await under(narrow);
    const authorization = (await ask(await withToken(), {})) as Authorization;
    await openSession(room.db, authorization, { gate: 'g1' as GateId }, now);
    await under({ depth: 32, keys: 'masked' });
    expect(await sessionsToEnd(room.db, now)).toEqual([]);
  });
});

describe('a token may be made', () => {
  const may = async (user: string, destination: Partial<Destination> = {}, at = now, address?: string) =>
    await mayOpen(room.db, user, { target: 'win-01', protocol: 'rdp', ...destination }, address, at, operator);

  test('for whoever may go there now, and for nobody else, in the same words', async () => {
    await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'] });
    expect(await may('alice', { account: 'admin' })).toMatchObject({ account: { name: 'admin' } });
    const refused = await may('bob', { account: 'admin' });
    expect(refused).toMatchObject({ code: 'access.refused' });
    expect(await may('nobody-of-that-name', { account: 'admin' })).toEqual(refused);
    expect(await may('alice', { target: 'no-such-target' })).toEqual(refused);
    expect(await may('alice', { account: 'no-such-account' })).toEqual(refused);
    expect(await may('alice', { target: 'web-01' })).toEqual(refused);
    expect((await audited(room.db, 'access.refused')).at(-1)).toMatchObject({ actor: operator });
    expect(await may('alice')).toMatchObject({ code: 'access.account-ambiguous', accounts: ['admin', 'svc'] });
  });

  test('not outside the hours of the grant, nor before the password was changed', async () => {
    const frames = [{ zone: 'UTC', periods: [{ start: '08:00', end: '13:00' }] }];
    await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'], frames });
    expect(isRefusal(await may('alice', { account: 'admin' }))).toBe(false);
    expect(await may('alice', { account: 'admin' }, now + 3_600_000)).toMatchObject({ code: 'access.refused' });
    await room.db.updateTable('users').set({ must_change: true }).where('name', '=', 'alice').execute();
    expect(await may('alice', { account: 'admin' })).toMatchObject({ code: 'access.password-change-needed' });
    await room.db
      .updateTable('users')
      .set({ must_change: false, sources: ['10.0.0.0/8'] })
      .where('name', '=', 'alice')
      .execute();
    expect(await may('alice', { account: 'admin' }, now, from)).toMatchObject({ code: 'access.refused' });
    expect(isRefusal(await may('alice', { account: 'admin' }, now, '10.1.2.3'))).toBe(false);
    await room.db.updateTable('users').set({ sources: [] }).where('name', '=', 'alice').execute();
  });
});

describe('a token is taken back', () => {
  async function unused(): Promise<void> {
    const allowed = await mayOpen(
      room.db,
      'alice',
      { target: 'win-01', account: 'admin', protocol: 'rdp' },
      from,
      now,
      operator,
    );
    if (isRefusal(allowed)) throw new Error(allowed.reason);
    const { user, target, account, service } = allowed;
    const place = { target: target.id, account: account.id, service: service.id };
    const words = { userName: 'alice', label: account.label, serviceName: 'rdp', minutes: 10 };
    await mintToken(room.db, room.vault, { user: user.id, ...place, ...words }, now, operator);
  }
  const left = async () => await room.db.selectFrom('connection_token').select('id').execute();

  test.each<[string, () => Promise<unknown>]>([
    ['its grant goes', async () => await room.grant()],
    ['its grant loses the word', async () => await room.grant({ name: 'g', ...admins, subprotocols: ['shell'] })],
    ['its user is disabled', async () => await setDisabled(room.db, 'alice', true, operator)],
  ])('when %s', async (_, happens) => {
    await setDisabled(room.db, 'alice', false, operator);
    await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'] });
    await unused();
    await endRevoked(room.db, now);
    expect(await left()).toHaveLength(1);
    await happens();
    await endRevoked(room.db, now);
    expect(await left()).toEqual([]);
    expect((await audited(room.db, 'identity.token.revoked')).at(-1)?.details).toMatchObject({ user: 'alice' });
    await setDisabled(room.db, 'alice', false, operator);
  });

  test('by nobody while all of that stands; a day later it is removed', async () => {
    await room.grant({ name: 'g', ...admins, subprotocols: ['rdp'] });
    await unused();
    await endRevoked(room.db, now + 24 * 60 * 60_000 - 1);
    expect(await left()).toHaveLength(1);
    await endRevoked(room.db, now + 24 * 60 * 60_000);
    expect(await left()).toEqual([]);
  });
});
