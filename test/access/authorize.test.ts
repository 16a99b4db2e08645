/** May they: default deny, one answer for unknown and forbidden, and the end of what was allowed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Authorization, authorize, type Destination, explain } from '../../src/access/access.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declareTargets } from '../../src/estate/estate.ts';
import { setDisabled, type Identity } from '../../src/identity/identity.ts';
import { audited, counted, identityOf, operator } from '../identity/people.ts';
import { options, type Place, place } from './place.ts';

let room: Place;
let alice: Identity;
let bob: Identity;

beforeAll(async () => {
  room = await place();
  alice = await identityOf(room.context, 'alice');
  bob = await identityOf(room.context, 'bob');
});
afterAll(async () => await room[Symbol.asyncDispose]());

const now = Date.parse('2026-11-20T12:00:00Z');

async function ask(who: Identity, destination: Partial<Destination>, at = now): Promise<Authorization | object> {
  return await authorize(room.db, who, { target: 'web-01', protocol: 'ssh', ...destination }, at);
}

test('without a grant nothing is allowed', async () => {
  await room.grant();
  expect(await ask(alice, { account: 'root' })).toMatchObject({ refused: true, code: 'access.refused' });
});

test('what does not exist and what is forbidden get the same answer; the reason is in the audit trail', async () => {
  await room.grant({ name: 'g', group: 'admins', accounts: ['root@web-01'] });
  const answers = [
    await ask(alice, { account: 'deploy' }),
    await ask(alice, { account: 'nobody' }),
    await ask(alice, { target: 'db-01' }),
    await ask(alice, { target: 'no-such-target' }),
    await ask(alice, { target: 'web-01', service: 'no-such-service' }),
    await ask(bob, { account: 'root' }),
    await ask(bob, {}),
  ];
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  const reasons = (await audited(room.db, 'access.refused')).slice(-7).map((event) => event.details['reason']);
  expect(reasons).toEqual([
    'no grant allows it now',
    'no such account',
    'no grant allows it now',
    'no such target',
    'no such service',
    'no grant allows it now',
    'no grant allows it now',
  ]);
});

test('the audit trail names the grant that does not hold now, and why', async () => {
  const root = { group: 'admins', accounts: ['root@web-01'] };
  const night = { zone: 'UTC', periods: [{ from: '2020-01-01', to: '2020-01-02' }] };
  await room.grant(
    { ...root, name: 'old', expiresAt: new Date('2020-01-01T00:00:00Z') },
    { ...root, name: 'night', frames: [night] },
  );
  expect(await ask(alice, { account: 'root' })).toMatchObject({ refused: true, code: 'access.refused' });
  expect((await audited(room.db, 'access.refused')).at(-1)?.details['reason']).toBe(
    'no grant allows it now (night: outside its time frame, old: expired)',
  );
});

test('with one allowed account the account need not be named; with several only the allowed ones are listed', async () => {
  await room.grant({ name: 'g', group: 'admins', accounts: ['root@web-01'] });
  expect(await ask(alice, {})).toMatchObject({ account: { label: 'root@web-01' }, service: { port: 22 } });
  expect(await ask(alice, { service: 'alt' })).toMatchObject({
    account: { label: 'root@web-01' },
    service: { port: 2222 },
  });
  await room.grant({ name: 'g', group: 'admins', targets: ['web-01'] });
  expect(await ask(alice, {})).toMatchObject({ code: 'access.account-ambiguous', accounts: ['deploy', 'root'] });
});

test('a grant on a target group reaches its targets and no others', async () => {
  await room.grant({ name: 'g', group: 'users', targetGroups: ['databases'], subprotocols: ['sftp', 'scp-down'] });
  expect(await ask(bob, { target: 'db-01' })).toMatchObject({
    subprotocols: ['sftp', 'scp-down'],
    recordContent: false,
  });
  expect(await ask(bob, { target: 'web-01', account: 'root' })).toMatchObject({ refused: true });
});

test('time ends it: frame, expiry, and the earlier of both', async () => {
  const frames = [{ zone: 'UTC', periods: [{ start: '08:00', end: '18:00' }] }];
  const base = { name: 'g', group: 'admins', accounts: ['root@web-01'], frames };
  await room.grant(base);
  expect(await ask(alice, {})).toMatchObject({ until: new Date('2026-11-20T18:00:00Z') });
  expect(await ask(alice, {}, Date.parse('2026-11-20T18:00:00Z'))).toMatchObject({ code: 'access.refused' });
  await room.grant({ ...base, expiresAt: new Date('2026-11-20T15:00:00Z') });
  expect(await ask(alice, {})).toMatchObject({ until: new Date('2026-11-20T15:00:00Z') });
  await room.grant({ ...base, overtimable: true });
  expect(await ask(alice, {})).toMatchObject({ until: undefined });
  expect(await ask(alice, {}, Date.parse('2026-11-20T18:00:00Z'))).toMatchObject({ code: 'access.refused' });
  await room.grant({ ...base, validFrom: new Date(now + 1) });
  expect(await ask(alice, {})).toMatchObject({ code: 'access.refused' });
  expect(await ask(alice, {}, now + 1)).toMatchObject({ account: { name: 'root' } });
});

test('a disabled target, grant or user is no way in', async () => {
  const web = {
    name: 'web-01',
    platform: 'linux',
    address: '192.0.2.1',
    services: [
      { name: 'ssh', protocol: 'ssh', port: 22 },
      { name: 'alt', protocol: 'ssh', port: 2222 },
    ],
  } as const;
  await room.grant({ name: 'g', group: 'admins', accounts: ['root@web-01'] });
  await inTransaction(room.db, async (tx) => await declareTargets(tx, [{ ...web, disabled: true }], options));
  expect(await ask(alice, {})).toMatchObject({ code: 'access.refused' });
  await inTransaction(room.db, async (tx) => await declareTargets(tx, [web], options));
  expect(await ask(alice, {})).toMatchObject({ account: { name: 'root' } });
  await setDisabled(room.db, 'alice', true, operator);
  expect(await ask(alice, {})).toMatchObject({ code: 'access.refused' });
  await setDisabled(room.db, 'alice', false, operator);
  await room.grant({ name: 'g', group: 'admins', accounts: ['root@web-01'], disabled: true });
  expect(await ask(alice, {})).toMatchObject({ code: 'access.refused' });
});

test('an operator is told why', async () => {
  await room.grant({ name: 'nightly', group: 'admins', accounts: ['root@web-01'], expiresAt: new Date(now) });
  const why = async (user: string, target: string) => await explain(room.db, user, { target, protocol: 'ssh' }, now);
  expect(await why('alice', 'web-01')).toEqual({
    allowed: false,
    lines: [
      'deploy@web-01: grant nightly: other account',
      'deploy@web-01: refused',
      'root@web-01: grant nightly: expired',
      'root@web-01: refused',
    ],
  });
  expect((await why('carol', 'nowhere')).lines).toEqual(['there is no user carol', 'there is no target nowhere']);
});

test('whether a target exists is not told by how much the database is asked', async () => {
  const questions = async (target: string): Promise<number> => {
    const { db, asked } = counted(room.db);
    const wish: Destination = { target, account: 'nobody', protocol: 'ssh' };
    expect(await authorize(db, bob, wish, now)).toMatchObject({ refused: true, code: 'access.refused' });
    return asked();
  };
  expect(await questions('no-such-target')).toBe(await questions('web-01'));
});
