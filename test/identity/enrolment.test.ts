/** No default password: the first administrator and everybody after comes in by a code that works once. */
import { expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import {
  declareUsers,
  enrol,
  ensureEnrolment,
  inviteUser,
  mayDo,
  type Right,
  rightsOf,
  roles,
  setDisabled,
} from '../../src/identity/identity.ts';
import { weakness } from '../../src/identity/password.ts';
import { goodPassword, operator, people, person, tryPassword } from './people.ts';

const secret = (text: string): Secret => Secret.fromText(text);

test('the first start gives a code; with it the first administrator is made, once', async () => {
  await using room = await people();
  const { db, clock } = room;
  const stale = await ensureEnrolment(db, clock.now());
  const open = await ensureEnrolment(db, clock.now());
  if (stale === undefined || open === undefined) throw new Error('no code');
  const code = open.code.revealText();
  expect(code).toMatch(/^([0-9a-z]{6}-){3}[0-9a-z]{6}$/);
  const take = async (text: string, name: string, password = goodPassword): Promise<string> => {
    const answer = await enrol(db, { code: secret(text), name, password: secret(password) }, clock.now());
    return 'refused' in answer ? answer.code : `${answer.name}: ${answer.roles.join()}`;
  };
  expect(await take('000000-000000-000000-000000', 'root')).toBe('identity.code-wrong');
  expect(await take(stale.code.revealText(), 'root')).toBe('identity.code-wrong');
  expect(await take(code, 'root', 'short')).toBe('identity.password-weak');
  expect(await take(code, 'no spaces', goodPassword)).toBe('identity.user-invalid');
  // Two at once, in capitals and without dashes: one of them.
  const both = await Promise.all([take(code.toUpperCase().replaceAll('-', ''), 'Root'), take(code, 'other')]);
  expect(both.filter((answer) => answer === 'identity.code-wrong')).toHaveLength(1);
  expect(both.filter((answer) => answer.endsWith(': administrator'))).toHaveLength(1);
  expect(await take(code, 'third')).toBe('identity.code-wrong');
  expect(await ensureEnrolment(db, clock.now())).toBeUndefined();
  const stored = JSON.stringify(await db.selectFrom('user_enrolment').selectAll().execute());
  expect(stored).not.toContain(code);
});

test('a later user enrols with a code of his own, which expires and is for nobody else', async () => {
  await using room = await people();
  const { db, clock, context } = room;
  await person(db, 'alice', {}, null);
  await person(db, 'bob', {}, null);
  const { code, expiresAt } = await inviteUser(db, 'alice', clock.now(), operator);
  const take = async (name: string): Promise<string> => {
    const answer = await enrol(db, { code, name, password: secret(goodPassword) }, clock.now());
    return 'refused' in answer ? answer.code : answer.name;
  };
  expect(await take('bob')).toBe('identity.code-wrong');
  clock.set(expiresAt.getTime());
  expect(await take('alice')).toBe('identity.code-wrong');
  clock.set(expiresAt.getTime() - 1);
  expect(await take('alice')).toBe('alice');
  expect(await take('alice')).toBe('identity.code-wrong');
  expect((await tryPassword(context, 'alice', goodPassword)).kind).toBe('accepted');
});

test('the last administrator can be neither disabled nor demoted nor removed', async () => {
  await using room = await people();
  const { db } = room;
  await person(db, 'ada', { roles: ['administrator'] }, null);
  await person(db, 'eve', { roles: ['administrator'] }, null);
  const declare = async (names: string[], admins: string[], prune: boolean): Promise<unknown> =>
    await inTransaction(db, async (tx) => {
      const desired = names.map((name) => ({
        name,
        groups: [],
        roles: admins.includes(name) ? (['administrator'] as const) : [],
      }));
      return await declareUsers(tx, desired, { actor: operator, prune });
    });
  // Both disable the other at the same moment.
  const answers = await Promise.all([setDisabled(db, 'ada', true, operator), setDisabled(db, 'eve', true, operator)]);
  expect(answers.filter((answer) => answer === undefined)).toHaveLength(1);
  expect(answers.find((answer) => answer !== undefined)).toMatchObject({ code: 'identity.last-administrator' });
  await expect(declare(['ada', 'eve'], [], false)).rejects.toMatchObject({ code: 'identity.last-administrator' });
  await expect(declare([], [], true)).rejects.toMatchObject({ code: 'identity.last-administrator' });
  await declare(['ada', 'eve'], ['ada', 'eve'], false);
  expect(await setDisabled(db, 'ada', true, operator)).toBeUndefined();
});

test('roles allow what the reviewed table says, and none of them to see a secret', () => {
  const all = Object.keys({
    'status.view': 1,
    'estate.change': 1,
    'estate.view': 1,
    'user.change': 1,
    'user.view': 1,
    'credential.store': 1,
    'hostkey.trust': 1,
    'token.mint': 1,
    'session.view': 1,
    'session.kill': 1,
    'recording.view': 1,
    'rotation.run': 1,
    'rotation.view': 1,
    'conflict.decide': 1,
    'node.change': 1,
    'node.view': 1,
    'audit.view': 1,
  } satisfies Record<Right, 1>) as Right[];
  const table = roles.map((role) => [role, all.map((right) => (mayDo({ roles: [role] }, right) ? 'x' : '-')).join('')]);
  expect(table).toEqual([
    ['administrator', 'xxxxxxxxxxxxxxxxx'],
    ['password-administrator', 'x-x--xxx---xxx---'],
    ['password-auditor', 'x-x-x---x-x-x--xx'],
    ['password-user', '-------x---------'],
  ]);
  expect(
    Object.values(rightsOf)
      .flat()
      .filter((right) => /reveal|open|read/.test(right)),
  ).toEqual([]);
  expect(mayDo({ roles: [] }, 'status.view')).toBe(false);
});

test.each<readonly [string, string, boolean]>([
  ['elevenchars', 'alice', true],
  ['twelve chars', 'alice', false],
  ['alice.example', 'alice', true],
  ['alice@corp.example12', 'alice@corp.example', true],
  ['correcthorsebatterystaple', 'alice', true],
  ['Password12345', 'alice', true],
  ['passwordpassword', 'alice', true],
  ['qwertyuiop1234', 'alice', true],
  ['aaaaaaaaaaaaaa', 'alice', true],
  ['abababababababab', 'alice', true],
  ['seven geese over Ulm', 'alice', false],
  ['ein längerer Satz', 'al', false],
  ['x'.repeat(2000), 'alice', true],
])('%.30s is too weak for %s: %s', (text, name, weak) => {
  expect(weakness(Secret.fromText(text), name) !== undefined).toBe(weak);
});
