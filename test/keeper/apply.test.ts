/** `estate.yaml`: read strictly, applied whole or not at all, and twice changes nothing. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { grantsOf } from '../../src/access/access.ts';
import { tail } from '../../src/audit/audit.ts';
import { codeOf } from '../../src/base/errors.ts';
import { targets } from '../../src/estate/estate.ts';
import { users } from '../../src/identity/identity.ts';
import { applyEstate } from '../../src/keeper/apply.ts';
import { readEstate } from '../../src/keeper/estate-file.ts';
import { generateKeyPair } from '../../src/protocol/ssh/ssh.ts';
import { accountsOf } from '../../src/vault/vault.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

const actor = { kind: 'operator', name: 'test' } as const;
const keep = { actor, dryRun: false, prune: false };
let base: TestDatabase;
let text: string;

beforeAll(async () => {
  base = await testDatabase();
  const alice = (await generateKeyPair('ed25519', 'alice@laptop')).line;
  const host = (await generateKeyPair('ed25519')).line;
  text = `
policies:
  - { name: Short, copyOf: Standard, rules: { length: { min: 16, max: 20 } } }
schedules:
  - name: nights
    cron: '0 3 * * 0'
    zone: Europe/Berlin
    window: { start: '22:00', end: '04:00', weekdays: [sun, sat] }
  - { name: monthly, every: { days: 30 }, jitterMinutes: 60 }
management:
  - { policy: Short, schedule: nights, localFallback: false }
  - { policy: Standard, schedule: monthly, rotateOnCheckout: or-deny }
groups:
  - { name: admins, description: those who may everything }
users:
  - name: alice
    displayName: Alice
    roles: [administrator]
    groups: [admins]
    keys: ["${alice}"]
    expires: 2030-01-01
    sources: [192.0.2.0/24]
  - { name: bob }
targets:
  - name: web-01
    address: 192.0.2.1
    services:
      - { hostKeys: ["web-01 ${host}"] }
      - { name: alt, port: 2222, hostKeyPolicy: first-use }
  - { name: db-01, address: db-01.example }
targetGroups:
  - { name: all, targets: [web-01, db-01] }
accounts:
  - { name: root@web-01, policy: Short, connector: linux-chpasswd, admin: admin@web-01, rotateAfterSession: true }
  - { name: admin@web-01 }
  - { name: root@db-01 }
grants:
  - name: admins everywhere
    group: admins
    targetGroups: [all]
    frames:
      - zone: Europe/Berlin
        periods:
          - { weekdays: [mon, tue, wed, thu, fri], start: "08:00", end: "18:00" }
  - { name: root, group: admins, accounts: [root@web-01], subprotocols: [shell, sftp], recordContent: true }
`;
});
afterAll(async () => await base[Symbol.asyncDispose]());

async function count(): Promise<number[]> {
  const { db } = base;
  return [
    (await users(db)).length,
    (await targets(db)).length,
    (await accountsOf(db)).length,
    (await grantsOf(db)).length,
  ];
}

test('a dry run tells the truth and leaves nothing', async () => {
  const { changes } = await applyEstate(base.db, readEstate(text), { ...keep, dryRun: true });
  expect(changes).toHaveLength(16);
  expect(changes.every(({ change }) => change === 'created')).toBe(true);
  expect(await count()).toEqual([0, 0, 0, 0]);
  expect(await tail(base.db, { after: 0, limit: 10 })).toEqual([]);
});

test('it is applied once; the second time nothing changes and nothing is audited', async () => {
  await applyEstate(base.db, readEstate(text), keep);
  expect(await count()).toEqual([2, 2, 3, 2]);
  const events = await tail(base.db, { after: 0, limit: 1000 });
  expect(events.at(-1)).toMatchObject({ type: 'estate.applied', details: { created: 16, changed: 0, removed: 0 } });
  const again = await applyEstate(base.db, readEstate(text), keep);
  expect(again.changes.filter(({ change }) => change !== 'same')).toEqual([]);
  expect(again.unmentioned).toEqual([]);
  expect(await tail(base.db, { after: 0, limit: 1000 })).toHaveLength(events.length);
});

describe('a service of rdp', () => {
  const pin = 'AB:'.repeat(31) + 'AB';
  const withService = (service: string): string =>
    `targets:\n  - { name: win-01, address: 192.0.2.3, platform: windows, services: [${service}] }\n`;

  test('has port 3389, NLA, and what it says of certificates and its domain', () => {
    const [target] = readEstate(
      withService(`{ protocol: rdp, domain: CORP, security: tls, certificates: ['SHA256:${pin}'] }`),
    ).targets;
    expect(target?.services).toEqual([
      {
        name: 'rdp',
        protocol: 'rdp',
        port: 3389,
        hostKeys: [],
        certificates: [new Uint8Array(32).fill(0xab)],
        settings: { security: 'tls', domain: 'CORP' },
      },
    ]);
    expect(readEstate(withService('{ protocol: rdp }')).targets[0]?.services[0]?.settings).toEqual({});
  });

  test.each([
    ['{ protocol: rdp, security: tls, hostKeyPolicy: first-use }', /trusted unseen/],
    ['{ protocol: rdp, security: none }', /security/],
    ['{ protocol: rdp, hostKeys: [x] }', /certificates, not hostKeys/],
    ['{ protocol: rdp, tls: off }', /over TLS only/],
    ['{ protocol: rdp, certificates: [abc] }', /64 hex digits/],
    ['{ protocol: rdp, domain: "a b" }', /domain/],
    ['{ protocol: ssh, domain: CORP }', /domain is for services of rdp/],
    ['{ security: nla }', /security is for services of rdp/],
  ])('cannot be %s', (service, words) => {
    expect(() => readEstate(withService(service))).toThrow(words);
    expect(() => readEstate(withService(service))).toThrow(/line 2/);
  });

  test('and the conditions of a grant are read', () => {
    const text = 'grants: [{ name: g, group: g, subprotocols: [rdp], rdp: { depth: 32, idleMinutes: 5, keys: none } }]';
    expect(readEstate(text).grants[0]?.rdp).toEqual({ depth: 32, idleMinutes: 5, keys: 'none' });
    expect(() => readEstate(text.replace('32', '8'))).toThrow(/depth/);
    expect(() => readEstate(text.replace('idleMinutes', 'idle'))).toThrow(/unknown key/);
  });
});

test('a change names its fields', async () => {
  const changed = text
    .replace('192.0.2.1\n', '192.0.2.9\n')
    .replace('[shell, sftp]', '[shell]')
    .replace('groups: [admins]', 'groups: []');
  const { changes } = await applyEstate(base.db, readEstate(changed), { ...keep, dryRun: true });
  expect(changes.filter(({ change }) => change !== 'same')).toEqual([
    { object: 'user', name: 'alice', change: 'changed', fields: ['groups'] },
    { object: 'target', name: 'web-01', change: 'changed', fields: ['address'] },
    { object: 'grant', name: 'root', change: 'changed', fields: ['subprotocols'] },
  ]);
});

test('an error anywhere undoes everything', async () => {
  const before = await count();
  const broken = text
    .replace('- { name: bob }', '- { name: bob }\n  - { name: carol }')
    .replace('accounts: [root@web-01]', 'accounts: [root@nowhere]');
  await expect(applyEstate(base.db, readEstate(broken), keep)).rejects.toMatchObject({ code: 'access.grant-invalid' });
  expect(await count()).toEqual(before);
});

test('what the file does not mention is reported, and removed only when told to prune', async () => {
  const less = text
    .replace('  - { name: bob }\n', '')
    .replace('  - { name: root@db-01 }\n', '')
    .replace(/ {2}- \{ name: root, group.*\n/, '');
  const dry = await applyEstate(base.db, readEstate(less), { ...keep, dryRun: true });
  expect(dry.unmentioned).toEqual(['user bob', 'account root@db-01', 'grant root']);
  expect(dry.changes.filter(({ change }) => change === 'removed')).toEqual([]);
  const pruned = await applyEstate(base.db, readEstate(less), { ...keep, prune: true });
  expect(
    pruned.changes
      .filter(({ change }) => change !== 'same')
      .map(({ object, name, change }) => `${object} ${name} ${change}`),
  ).toEqual(['grant root removed', 'account root@db-01 removed', 'user bob removed']);
  expect(await count()).toEqual([1, 2, 2, 1]);
  expect(
    (await applyEstate(base.db, readEstate(less), { ...keep, prune: true })).changes.every(
      ({ change }) => change === 'same',
    ),
  ).toBe(true);
});

test('schedules and managements drift, change and go like everything else, and no schedule that is in use', async () => {
  const lines = text.split('\n').filter((line) => !line.includes('monthly'));
  const less = lines.join('\n').replace('0 3 * * 0', '0 2 * * 0');
  const dry = await applyEstate(base.db, readEstate(less), { ...keep, dryRun: true });
  expect(dry.unmentioned).toEqual(expect.arrayContaining(['schedule monthly', 'management Standard']));
  expect(dry.changes).toContainEqual({ object: 'schedule', name: 'nights', change: 'changed', fields: ['cron'] });
  const pruned = await applyEstate(base.db, readEstate(less), { ...keep, dryRun: true, prune: true });
  expect(pruned.changes.filter(({ change }) => change === 'removed')).toEqual([
    { object: 'management', name: 'Standard', change: 'removed' },
    { object: 'schedule', name: 'monthly', change: 'removed' },
  ]);
  const named = text.replace(/ {2}- \{ name: monthly.*\n/, '');
  await expect(applyEstate(base.db, readEstate(named), { ...keep, prune: true })).rejects.toMatchObject({
    code: 'rotation.schedule-in-use',
  });
});

test('nobody prunes the last administrator away', async () => {
  const prune = { ...keep, prune: true };
  await expect(applyEstate(base.db, readEstate('{}'), prune)).rejects.toMatchObject({
    code: 'identity.last-administrator',
  });
  expect(await count()).toEqual([1, 2, 2, 1]);
});

test.each<readonly [string, string, string, RegExp]>([
  [
    'an unknown key',
    'users:\n  - name: alice\n    nmae: x\n',
    'keeper.estate-invalid',
    /line 3, users\[0\]\.nmae: unknown key/,
  ],
  ['an unknown list', 'user: []\n', 'keeper.estate-invalid', /line 1, user: unknown key/],
  [
    'a wrong type',
    'targets:\n  - name: web-01\n    address: 5\n',
    'keeper.estate-invalid',
    /line 3, targets\[0\]\.address: must be string/,
  ],
  ['a missing key', 'grants:\n  - name: g\n', 'keeper.estate-invalid', /line 2, grants\[0\]: .*group/],
  [
    'an unknown role',
    'users:\n  - { name: a, roles: [root] }\n',
    'keeper.estate-invalid',
    /line 2, users\[0\]\.roles\[0\]/,
  ],
  [
    'a name twice',
    'groups:\n  - name: a\n  - name: a\n',
    'keeper.estate-invalid',
    /line 3, groups\[1\]\.name: declared twice/,
  ],
  ['a name that nobody can type', 'users:\n  - name: Al ice\n', 'keeper.estate-invalid', /line 2, users\[0\]\.name/],
  [
    'a date that is none',
    'users:\n  - { name: a, expires: 2026-13-01 }\n',
    'keeper.estate-invalid',
    /users\[0\]\.expires/,
  ],
  [
    'a host key that is none',
    'targets:\n  - { name: t, address: a, services: [{ hostKeys: [nonsense] }] }\n',
    'keeper.estate-invalid',
    /line 2, targets\[0\]: a host key/,
  ],
  ['the same key twice in YAML', 'users: []\nusers: []\n', 'keeper.estate-invalid', /unique/],
  [
    'a target name in capitals',
    'targets:\n  - { name: Web, address: a }\n',
    'keeper.estate-invalid',
    /line 2, targets\[0\]\.name/,
  ],
  [
    'an alias that multiplies',
    `a: &a [x, x]\n${'bcdefgh'
      .split('')
      .map((at, n) => `${at}: &${at} [${`*${'abcdefg'[n]},`.repeat(9)}]\n`)
      .join('')}`,
    'keeper.estate-invalid',
    /alias/,
  ],
  [
    'a zone that there is not',
    'schedules:\n  - name: s\n    every: { days: 30 }\n    zone: Mars/Olympus\n',
    'keeper.estate-invalid',
    /line 4, schedules\[0\]\.zone: there is no time zone Mars\/Olympus/,
  ],
  [
    'a cron expression that is none',
    'schedules:\n  - name: s\n    zone: UTC\n    cron: 0 25 * * *\n',
    'keeper.estate-invalid',
    /line 4, schedules\[0\]\.cron: .*hour: 25/,
  ],
  [
    'a cron expression without a zone',
    'schedules:\n  - name: s\n    cron: 0 3 * * 0\n',
    'keeper.estate-invalid',
    /line 3, schedules\[0\]\.cron: a cron expression needs a zone/,
  ],
  [
    'a window of no length',
    'schedules:\n  - name: s\n    every: { days: 1 }\n    zone: UTC\n    window:\n      start: "02:00"\n      end: "02:00"\n',
    'keeper.estate-invalid',
    /line 7, schedules\[0\]\.window\.end: a window of no length/,
  ],
  [
    'a window without a zone',
    'schedules:\n  - name: s\n    every: { days: 1 }\n    window: { start: "02:00", end: "03:00" }\n',
    'keeper.estate-invalid',
    /line 4, schedules\[0\]\.window: a window needs a zone/,
  ],
  [
    'an interval and a cron expression',
    'schedules:\n  - { name: s, zone: UTC, cron: 0 3 * * *, every: { days: 1 } }\n',
    'keeper.estate-invalid',
    /line 2, schedules\[0\]: every or cron, and not both/,
  ],
  [
    'a policy that is managed twice',
    'management:\n  - policy: a\n  - policy: a\n',
    'keeper.estate-invalid',
    /line 3, management\[1\]\.policy: declared twice/,
  ],
  [
    'a way of checking out that there is not',
    'management:\n  - { policy: a, rotateOnCheckout: maybe }\n',
    'keeper.estate-invalid',
    /line 2, management\[0\]\.rotateOnCheckout/,
  ],
  ['no YAML', 'users: [\n', 'keeper.estate-invalid', /./],
  ['a password', 'users:\n  - name: alice\n    password: hunter2\n', 'keeper.estate-secret', /line 3, key password/],
  [
    'a secret in settings',
    'accounts:\n  - name: root@t\n    settings:\n      token: hunter2\n',
    'keeper.estate-secret',
    /line 4, key token/,
  ],
  [
    'a private key anywhere',
    'groups:\n  - name: a\n    description: "-----BEGIN OPENSSH PRIVATE KEY-----"\n',
    'keeper.estate-secret',
    /line 3, a private key/,
  ],
])('%s is refused by line and path, and never repeated', (_, file, code, words) => {
  const refused = (): unknown => readEstate(file);
  expect(refused).toThrow(words);
  expect(refused).toThrow(expect.objectContaining({ code }));
  expect(refused).not.toThrow(/hunter2/);
});

test('whatever is in the file, it is an estate or refused with a code', () => {
  const word = fc.oneof(
    fc.constantFrom('users', 'targets', 'name', 'a', ':', '- ', '\n', '  ', '{', '}', '[', ']', '&a', '*a', '!!x', '"'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), (words) => {
      try {
        readEstate(words.join(''));
      } catch (error) {
        expect(codeOf(error)).toMatch(/^keeper\.estate-/);
      }
    }),
    { numRuns: 1000 },
  );
});
