/** Who may do what: four roles against every route, compared with a table that a person has reviewed (P-41). */
import { Value } from 'typebox/value';
import { describe, expect, test } from 'vitest';
import { catalogue } from '../../src/audit/audit.ts';
import { type RouteName, rights, routes } from '../../src/contract/contract.ts';
import { mayDo, rights as identityRights, roles } from '../../src/identity/identity.ts';

const names = Object.keys(routes) as RouteName[];

/** Administrator, password administrator, password auditor, password user. A dot is a no. */
const reviewed: Readonly<Record<RouteName, string>> = {
  status: 'Y Y Y .',
  enrol: 'Y . . .',
  'estate.apply': 'Y . . .',
  'user.list': 'Y . Y .',
  'user.code': 'Y . . .',
  'user.password': 'Y . . .',
  'user.key': 'Y . . .',
  'user.totp': 'Y . . .',
  'user.unlock': 'Y . . .',
  'user.disable': 'Y . . .',
  'target.list': 'Y Y Y .',
  'target.scan': 'Y Y Y .',
  'target.trust': 'Y Y . .',
  'account.list': 'Y Y Y .',
  'account.store': 'Y Y . .',
  'access.explain': 'Y Y Y .',
  'connection-token.mint': 'Y Y . Y',
  'authority.show': 'Y Y Y .',
  'session.list': 'Y . Y .',
  'session.kill': 'Y . . .',
  'recording.list': 'Y . Y .',
  'recording.play': 'Y . Y .',
  'recording.draw': 'Y . Y .',
  'recording.verify': 'Y . Y .',
  'rotation.rotate': 'Y Y . .',
  'rotation.verify': 'Y Y . .',
  'rotation.reconcile': 'Y Y . .',
  'rotation.bulk': 'Y Y . .',
  'rotation.history': 'Y Y Y .',
  'connector.list': 'Y Y Y .',
  'schedule.list': 'Y Y Y .',
  'schedule.due': 'Y Y Y .',
  'event-source.list': 'Y Y Y .',
  'event-source.add': 'Y . . .',
  'event-source.remove': 'Y . . .',
  'conflict.list': 'Y Y Y .',
  'conflict.show': 'Y Y Y .',
  'conflict.resolve': 'Y Y . .',
  'conflict.force': 'Y Y . .',
  'conflict.decide': 'Y Y . .',
  'conflict.blank': 'Y Y . .',
  'conflict.discover': 'Y Y . .',
  'conflict.report': 'Y Y Y .',
  'node.init': 'Y . . .',
  'node.invite': 'Y . . .',
  'node.join': 'Y . . .',
  'node.leave': 'Y . . .',
  'node.heal': 'Y . . .',
  'node.status': 'Y . Y .',
  'node.quarantine': 'Y . Y .',
  'node.acknowledge': 'Y . . .',
  'audit.tail': 'Y . Y .',
  'audit.verify': 'Y . Y .',
};

/** The events that each changing route leaves behind, at least one of them. */
const leaves: Readonly<Partial<Record<RouteName, readonly string[]>>> = {
  'connection-token.mint': ['identity.token.minted'],
  enrol: ['identity.enrolment.enrolled'],
  'estate.apply': ['estate.applied'],
  'user.code': ['identity.enrolment.created'],
  'user.password': ['identity.password.changed'],
  'user.key': ['identity.key.added'],
  'user.totp': ['identity.totp.enrolled'],
  'user.unlock': ['identity.login.unlocked'],
  'user.disable': ['identity.user.disabled', 'identity.user.changed'],
  'target.trust': ['estate.hostkey.trusted'],
  'account.store': ['rotation.known-recorded'],
  'node.init': ['node.named'],
  'node.invite': ['node.invited'],
  'node.join': ['node.joined'],
  'node.leave': ['node.left', 'node.peer-left'],
  'node.heal': ['node.healed', 'node.peer-renewed'],
  'node.acknowledge': ['node.quarantine-acknowledged'],
  'session.kill': ['session.killed'],
  'rotation.rotate': ['rotation.started'],
  'rotation.verify': ['rotation.verified'],
  'rotation.reconcile': ['rotation.reconciled', 'rotation.verified'],
  'rotation.bulk': ['rotation.started', 'rotation.verified'],
  'event-source.add': ['rotation.event-source.created'],
  'event-source.remove': ['rotation.event-source.removed'],
  'conflict.resolve': ['rotation.resolved', 'rotation.alert'],
  'conflict.force': ['rotation.resolved'],
  'conflict.decide': ['rotation.resolved'],
  'conflict.blank': ['rotation.resolved'],
  'conflict.discover': ['rotation.discovered'],
};

test('identity and contract speak of the same rights', () => {
  expect([...identityRights]).toEqual([...rights]);
});

describe('a role may call what the reviewed table says', () => {
  test.each(names)('%s', (name) => {
    const may = roles.map((role) => (mayDo({ roles: [role] }, routes[name].right) ? 'Y' : '.')).join(' ');
    expect(may).toBe(reviewed[name]);
  });

  test('and the roles are these four', () => {
    expect(roles).toEqual(['administrator', 'password-administrator', 'password-auditor', 'password-user']);
  });

  test('nobody without a role may call anything, and two roles may what either may', () => {
    expect(rights.filter((right) => mayDo({ roles: [] }, right))).toEqual([]);
    const both = rights.filter((right) => mayDo({ roles: ['password-administrator', 'password-auditor'] }, right));
    expect(both).toEqual(
      rights.filter(
        (right) => mayDo({ roles: ['password-administrator'] }, right) || mayDo({ roles: ['password-auditor'] }, right),
      ),
    );
  });

  test('no route is for a right that does not exist, and no right is for nothing', () => {
    const used = new Set(names.map((name) => routes[name].right));
    expect([...used].toSorted()).toEqual([...rights].toSorted());
  });
});

test('every route that changes something names the event that it leaves, and the catalogue has it', () => {
  expect(Object.keys(leaves).toSorted()).toEqual(names.filter((name) => routes[name].changes).toSorted());
  for (const event of Object.values(leaves).flat()) expect(Object.keys(catalogue)).toContain(event);
});

test('auditors change nothing', () => {
  const changing = names.filter(
    (name) => routes[name].changes && mayDo({ roles: ['password-auditor'] }, routes[name].right),
  );
  expect(changing).toEqual([]);
});

test('no route takes a field that it does not name, and none takes nothing at all', () => {
  for (const name of names) {
    expect(Value.Check(routes[name].ask, null), name).toBe(false);
    expect(Value.Check(routes[name].ask, { surprise: 1 }), name).toBe(false);
  }
});

test('no answer has a field that is named like a secret', () => {
  const shown = names.flatMap(
    (name) => JSON.stringify(routes[name].answer).match(/"(password|secret|passphrase|privateKey)":/g) ?? [],
  );
  expect(shown).toEqual([]);
});
