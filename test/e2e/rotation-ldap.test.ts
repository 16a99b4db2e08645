/** ldap on a real OpenLDAP server with its password policy. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { ldap } from '../../src/rotation/connectors/ldap.ts';
import type { Login, Place, Work } from '../../src/rotation/connectors/connector.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import { fullMachines } from '../lab/machine.ts';
import { type LdapServer, startLdapServer } from '../lab/slapd.ts';
import { conformance, type Undo, type Value } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';

const base = 'dc=example,dc=test';
const app = `uid=app,ou=people,${base}`;
const policy = `cn=default,ou=policies,${base}`;
const passwords = {
  rotator: 'Rotator.Pass-1',
  resetter: 'Resetter.Pass-1',
  manager: 'Manager.Pass-1',
  plain: 'Plain.Pass-1',
};

/**
 * What docs/rotation.md tells an administrator to give. The rotator also reads what is stored; the resetter does not. The
 * manager's right makes OpenLDAP mark what it sets as to be changed, and it may not take the mark away.
 */
const access = [
  `access to dn.subtree="ou=people,${base}" attrs=userPassword by dn.base="uid=rotator,ou=services,${base}" write by dn.base="uid=resetter,ou=services,${base}" =w by dn.base="uid=manager,ou=services,${base}" manage by self =xw by anonymous auth`,
  'access to attrs=userPassword by anonymous auth',
  `access to attrs=pwdReset,pwdAccountLockedTime by dn.base="uid=rotator,ou=services,${base}" write by * read`,
  'access to * by * read',
];

const entries = `dn: ${base}
objectClass: organization
objectClass: dcObject
dc: example
o: example

${['people', 'services', 'policies'].map((unit) => `dn: ou=${unit},${base}\nobjectClass: organizationalUnit\n`).join('\n')}
dn: ${policy}
objectClass: organizationalRole
objectClass: pwdPolicy
pwdAttribute: userPassword
pwdCheckQuality: 2
pwdMinLength: 1
pwdInHistory: 2
pwdLockout: TRUE
pwdMaxFailure: 0
pwdMustChange: TRUE
pwdAllowUserChange: TRUE

${Object.entries(passwords)
  .map(([uid, text]) => person(`uid=${uid},ou=${uid === 'plain' ? 'people' : 'services'},${base}`, text))
  .join('\n')}
${person(app, 'App.Pass-1')}`.replaceAll(/^(dn: .*)$/gm, '$1\nchangetype: add');

function person(dn: string, text: string): string {
  return `dn: ${dn}\nobjectClass: account\nobjectClass: simpleSecurityObject\nuserPassword: ${text}\n`;
}

const connector = 'ldap';
const value = (text: string): Value => {
  const secret = Secret.fromText(text);
  return { fresh: { kind: 'password', secret }, login: { kind: 'password', secret } };
};
const draw = async () => value(`Drawn-${randomBytes(9).toString('base64url')}`);
const undo = (run: () => Promise<unknown>): Undo => ({ [Symbol.asyncDispose]: async () => void (await run()) });

describe.runIf(fullMachines)('ldap', () => {
  let server: LdapServer;
  beforeAll(async () => {
    server = await startLdapServer({ access, debug: 256 + 512 + 1 });
    await server.ldif(entries);
  });
  afterAll(async () => server?.[Symbol.asyncDispose]());

  const set = (attribute: string, text: string, dn = policy, relax = false) =>
    server.ldif(`dn: ${dn}\nchangetype: modify\nreplace: ${attribute}\n${attribute}: ${text}\n`, { relax });
  const plant = async () => {
    const text = `Planted-${randomBytes(9).toString('base64url')}`;
    await set('userPassword', text, app);
    await server.ldif(`dn: ${app}\nchangetype: modify\ndelete: pwdReset\n`);
    return value(text);
  };
  const place = (at = { address: server.address, port: server.ports.ldaps }): Place => ({
    protocol: 'ldaps',
    ...at,
    hostKeys: [],
    tls: { kind: 'verify', serverName: server.name, ca: server.ca },
    settings: {},
  });
  const login = (user: keyof typeof passwords) => (): Login => ({ user, credential: password(passwords[user]) });
  const root = (): Login => ({ user: server.root.dn, credential: password(server.root.password) });
  const entry = () => server.read(app, '*', '+');
  const lockedNow = async () => (await entry())['pwdAccountLockedTime'] !== undefined;
  const unlock = async () => {
    await set('pwdMaxFailure', '0');
    if (await lockedNow()) await server.ldif(`dn: ${app}\nchangetype: modify\ndelete: pwdAccountLockedTime\n`);
  };
  const strikes = async () => {
    await set('pwdMaxFailure', '3');
    return { ...undo(unlock), locked: lockedNow };
  };
  const lock = async () => {
    const guard = await strikes();
    for (const _ of [1, 2, 3]) await server.whoami(app, 'certainly-wrong');
    expect(await lockedNow()).toBe(true);
    return guard;
  };

  conformance({
    connector,
    account: 'app',
    place,
    impostor: (trusted) => ({ ...trusted, tls: { kind: 'verify', serverName: 'other.example.test', ca: server.ca } }),
    admins: {
      'somebody who may write the password': login('resetter'),
      'somebody who may also read it': login('rotator'),
      'the root of the directory': root,
    },
    powerless: login('plain'),
    draw,
    plant,
    forbid: async () => {
      await set('pwdMinLength', '200');
      return undo(() => set('pwdMinLength', '1'));
    },
    lock,
    expire: async () => {
      await set('pwdReset', 'TRUE', app);
      return undo(async () => {});
    },
    strikes,
    nasty: [`'";$(id)\`id\`\\`, ' leading and trailing ', '""', 'ümläut €', '%s\\n\t', '#!&|<>*?[]{}~,=+', 'a{SSHA}\n'],
    settled: async () => void (await entry()),
    without: { lie: 'a directory that refuses after it has changed cannot be staged with a real one' },
  });

  const work = (by: Login, settings = {}, where = place()): Work => ({
    place: where,
    account: 'app',
    settings,
    by: { mode: by.user === 'app' ? 'self' : 'admin', login: by },
    tag: 'rot-ldap',
    targetSeconds: 5,
  });
  const verify = ({ login: credential }: Pick<Value, 'login'>, settings = {}, where = place(), account = 'app') =>
    ask({
      connector,
      operation: 'verify',
      task: { place: where, account, settings },
      login: { user: account, credential },
    });
  const adminverify = async (values: readonly Value[], by: Login, settings = {}) =>
    (
      await ask({
        connector,
        operation: 'adminverify',
        task: { place: place(), account: 'app', settings },
        admin: by,
        candidates: values.map((one) => one.login),
        budget: 3,
      })
    ).each ?? [];
  const change = (
    { fresh }: Pick<Value, 'fresh'>,
    by = login('rotator')(),
    what: Partial<Work> = {},
    operation: 'change' | 'reconcile' = 'change',
  ) => ask({ connector, operation, work: { ...work(by), ...what }, fresh });
  const precheck = (by: Login, settings = {}): Promise<Answer> =>
    ask({ connector, operation: 'precheck', work: work(by, settings) });
  const misses = async (count: number) => {
    for (let n = 0; n < count; n++) await server.whoami(app, `certainly-wrong-${n}`);
  };

  describe('the lock-out', () => {
    test('a locked account answers the right value like a wrong one, so it is the administrator who says locked', async () => {
      const right = await plant();
      await using _ = await lock();
      expect((await server.whoami(app, 'anything')).stderr).toBe((await server.whoami(app, textOf(right))).stderr);
      expect(await precheck(login('resetter')())).toMatchObject({ outcome: 'unsent', class: 'locked' });
      const each = await adminverify([await draw(), right], login('resetter')());
      expect(each.map((one) => [one.answer, one.class])).toEqual([
        ['unknown', 'locked'],
        ['unknown', 'locked'],
      ]);
    });

    test('whoever may read what is stored finds the right value behind five wrong ones, and nothing is counted', async () => {
      const right = await plant();
      await using _ = await strikes();
      const before = await entry();
      const wrong = await Promise.all([1, 2, 3, 4, 5].map(draw));
      const each = await adminverify([...wrong, right], login('rotator')());
      expect(each.map((one) => one.answer)).toEqual([...Array<string>(5).fill('rejected'), 'accepted']);
      expect(each.every((one) => one.how === 'stored')).toBe(true);
      expect(await entry()).toEqual(before);
    });

    test('it finds the right value of a locked account too', async () => {
      const right = await plant();
      await using _ = await lock();
      const each = await adminverify([await draw(), right], login('rotator')());
      expect(each.map((one) => one.answer)).toEqual(['rejected', 'accepted']);
    });

    for (const [earlier, tried] of [
      [0, 2],
      [1, 1],
      [2, 0],
    ] as const)
      test(`whoever may not read it tries ${tried} wrong values after ${earlier} misses of 3, and no more`, async () => {
        const right = await plant();
        await using guard = await strikes();
        await misses(earlier);
        const wrong = await Promise.all([1, 2, 3, 4, 5].map(draw));
        const each = await adminverify(wrong, login('resetter')(), { password_policy: policy });
        expect(each.filter((one) => one.answer === 'rejected')).toHaveLength(tried);
        expect(each.filter((one) => one.class === 'budget')).toHaveLength(5 - tried);
        expect(await guard.locked()).toBe(false);
        expect(await verify(right)).toMatchObject({ outcome: 'accepted' });
      });

    test('reconciling lifts it', async () => {
      await plant();
      await using guard = await lock();
      const next = await draw();
      expect(await change(next, login('rotator')(), {}, 'reconcile')).toMatchObject({
        outcome: 'confirmed',
        class: 'none',
      });
      expect(await guard.locked()).toBe(false);
      expect(await verify(next)).toMatchObject({ outcome: 'accepted', class: 'none' });
    });
  });

  describe('the policy', () => {
    test('what it refuses is told with its reason', async () => {
      const old = await plant();
      const self = { user: 'app', credential: old.login };
      await set('pwdMinLength', '40');
      const short = await change(value('tiny-42'));
      await set('pwdMinLength', '1');
      expect(short).toMatchObject({ outcome: 'failed', class: 'policy', words: expect.stringContaining('too-short') });
      await set('pwdMinAge', '86400');
      const young = await change(await draw(), self);
      await set('pwdMinAge', '0');
      expect(young).toMatchObject({ outcome: 'failed', class: 'too-young' });
      const used = await change(old, self);
      expect(used).toMatchObject({ outcome: 'failed', class: 'policy', words: expect.stringContaining('in-history') });
      await set('pwdAllowUserChange', 'FALSE');
      const denied = await change(await draw(), self);
      await set('pwdAllowUserChange', 'TRUE');
      expect(denied).toMatchObject({ outcome: 'failed', class: 'permission' });
      expect(await verify(old)).toMatchObject({ outcome: 'accepted' });
    });

    test('the root of the directory sets what the policy forbids, and the check before says so', async () => {
      await plant();
      await set('pwdMinLength', '40');
      const seen = await precheck(root());
      const short = value(`s-${randomBytes(3).toString('hex')}`);
      const answer = await change(short, root());
      await set('pwdMinLength', '1');
      expect(seen).toMatchObject({
        outcome: 'confirmed',
        words: expect.stringContaining('policy will not be applied'),
      });
      expect(answer).toMatchObject({ outcome: 'confirmed' });
      expect(await precheck(login('rotator')())).toMatchObject({ outcome: 'confirmed', words: '' });
    });

    test('a value set by an administrator may be used at once: the mark that it must be changed is lifted', async () => {
      await plant();
      const next = await draw();
      await set('pwdReset', 'TRUE', app);
      expect(await change(next)).toMatchObject({ outcome: 'confirmed', class: 'none' });
      expect((await entry())['pwdReset']).toBeUndefined();
      expect(await verify(next)).toMatchObject({ outcome: 'accepted', class: 'none' });
      const another = await draw();
      expect(await change(another, root())).toMatchObject({ outcome: 'confirmed', class: 'none' });
      expect(await verify(another)).toMatchObject({ outcome: 'accepted', class: 'none' });
    });

    test('whoever may not lift the mark says that it is still there', async () => {
      await plant();
      const next = await draw();
      const answer = await change(next, login('manager')());
      expect(answer).toMatchObject({
        outcome: 'confirmed',
        class: 'expired',
        words: expect.stringContaining('pwdReset'),
      });
      expect(await verify(next)).toMatchObject({ outcome: 'accepted', class: 'expired' });
      await plant();
    });

    test('an account whose value must be changed changes it by itself', async () => {
      const old = await plant();
      await set('pwdReset', 'TRUE', app);
      const self = { user: 'app', credential: old.login };
      const next = await draw();
      expect(await precheck(self)).toMatchObject({ outcome: 'confirmed' });
      expect(await change(next, self)).toMatchObject({ outcome: 'confirmed' });
      expect(await verify(next)).toMatchObject({ outcome: 'accepted', class: 'none' });
    });

    test('of an expired value it is told that it was right, of a wrong one it is not', async () => {
      const right = await plant();
      await set('pwdMaxAge', '1000');
      await set('pwdChangedTime', '20200101000000Z', app, true);
      const [good, bad] = [await verify(right), await verify(await draw())];
      await set('pwdMaxAge', '0');
      expect(good).toMatchObject({ outcome: 'accepted', class: 'expired' });
      expect(bad).toMatchObject({ outcome: 'rejected', class: 'authentication' });
    });
  });

  test('the check before a change changes nothing, whoever makes it', async () => {
    await plant();
    await using _ = await strikes();
    const before = await entry();
    for (const by of [login('rotator'), login('resetter'), login('plain'), root]) await precheck(by());
    expect(await entry()).toEqual(before);
  });

  test('an account that changes itself by a wrong value is told so', async () => {
    const old = await plant();
    const wrong = { user: 'app', credential: (await draw()).login };
    expect(await change(await draw(), wrong)).toMatchObject({ outcome: 'unsent', class: 'authentication' });
    expect(await verify(old)).toMatchObject({ outcome: 'accepted' });
  });

  test('an empty value is no login: the server would let anybody in as nobody', async () => {
    await plant();
    const empty = { login: password('') };
    expect(await verify(empty)).toMatchObject({ outcome: 'unknown' });
    const each = await adminverify([{ ...(await draw()), ...empty }], login('resetter')());
    expect(each.map((one) => one.answer)).not.toContain('accepted');
  });

  test('a value that looks like a hash is never sent: it would be stored as one', async () => {
    const old = await plant();
    expect(await change(value('{SSHA}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=='))).toMatchObject({
      outcome: 'unsent',
      class: 'policy',
    });
    expect(await verify(old)).toMatchObject({ outcome: 'accepted' });
  });

  describe('the way there', () => {
    const plain = (): Place => ({ ...place({ address: server.address, port: server.ports.ldap }), protocol: 'ldap' });

    test('LDAP is turned into TLS before anything is said', async () => {
      await plant();
      const next = await draw();
      expect(await change(next, login('rotator')(), { place: plain() })).toMatchObject({ outcome: 'confirmed' });
      expect(await verify(next, {}, plain())).toMatchObject({ outcome: 'accepted' });
      const impostor: Place = { ...plain(), tls: { kind: 'verify', ca: server.ca, serverName: 'other.example.test' } };
      expect(await verify(next, {}, impostor)).toMatchObject({ outcome: 'unknown', class: 'certificate' });
    });

    test('without TLS nothing is said at all', async () => {
      const old = await plant();
      const open: Place = { ...plain(), tls: { kind: 'off' } };
      expect(await change(await draw(), login('rotator')(), { place: open })).toMatchObject({
        outcome: 'unsent',
        class: 'unsupported',
      });
      expect(await verify(old, {}, open)).toMatchObject({ outcome: 'unknown', class: 'unsupported' });
    });

    test('an entry is found by a pattern, by a search below a branch, or by its own name', async () => {
      const right = await plant();
      const pattern = { user_dn_pattern: `uid={account},ou=people,${base}` };
      for (const [settings, account] of [
        [pattern, 'app'],
        [{ search_base: `ou=people,${base}`, user_attribute: 'entryDN' }, app],
        [{ search_base: `ou=people,${base}` }, 'app'],
        [{}, app],
      ] as const)
        expect(await verify(right, settings, place(), account), JSON.stringify(settings)).toMatchObject({
          outcome: 'accepted',
        });
      expect(await verify(right, { search_base: `ou=services,${base}` })).toMatchObject({
        outcome: 'unknown',
        class: 'missing',
      });
      // A name cannot lead out of its place in the pattern, nor match more than itself.
      for (const name of ['app,ou=people', '*', 'ap*', 'x)(uid=*'])
        expect((await verify(right, pattern, place(), name)).outcome, name).not.toBe('accepted');
      for (const name of ['*', 'ap*', 'x)(uid:=*'])
        expect((await verify(right, {}, place(), name)).class, name).toBe('missing');
    });
  });

  test('names and settings that fit nothing are refused', () => {
    for (const name of ['', ' app', 'a\nb', 'x'.repeat(300)]) expect(ldap.faultOfName(name), name).toContain('no name');
    for (const name of ['app', app, 'Müller', 'a b']) expect(ldap.faultOfName(name), name).toBeUndefined();
    const pattern = ldap.parameters['user_dn_pattern'];
    for (const wrong of ['uid=app', '{account}', 5, 'uid={account},cn={account}'])
      expect(pattern?.fault(wrong)).toContain('is a');
    expect(pattern?.fault('uid={account},dc=x')).toBeUndefined();
  });

  test('the server, telling what it does, wrote no value into its log', async () => {
    await plant();
    const next = await draw();
    await change(next);
    await verify(next);
    await change(await draw(), { user: 'app', credential: next.login });
    const log = server.log();
    expect(log).toContain('PASSMOD');
    for (const form of [textOf(next), Buffer.from(textOf(next)).toString('base64')])
      expect(log.includes(form)).toBe(false);
  });
});

describe.runIf(fullMachines)('ldap where the server tells a lock-out, and keeps other hashes', () => {
  let server: LdapServer;
  beforeAll(async () => {
    server = await startLdapServer({
      access,
      global: ['moduleload argon2', 'moduleload pw-sha2'],
      database: ['ppolicy_use_lockout'],
    });
    await server.ldif(entries);
  });
  afterAll(async () => server?.[Symbol.asyncDispose]());

  const task = () => ({
    place: {
      protocol: 'ldaps',
      address: server.address,
      port: server.ports.ldaps,
      hostKeys: [],
      tls: { kind: 'verify', serverName: server.name, ca: server.ca },
      settings: {},
    } satisfies Place,
    account: 'app',
    settings: {},
  });
  const set = (attribute: string, text: string, dn: string) =>
    server.ldif(`dn: ${dn}\nchangetype: modify\nreplace: ${attribute}\n${attribute}: ${text}\n`);

  test('a right value on a locked account is unknown, by its own login too', async () => {
    await set('pwdMaxFailure', '2', policy);
    for (const _ of [1, 2]) await server.whoami(app, 'certainly-wrong');
    const credential = password('App.Pass-1');
    expect(
      await ask({ connector, operation: 'verify', task: task(), login: { user: 'app', credential } }),
    ).toMatchObject({
      outcome: 'unknown',
      class: 'locked',
    });
  });

  for (const scheme of [
    '{SSHA}',
    '{SHA}',
    '{SMD5}',
    '{MD5}',
    '{SSHA256}',
    '{SSHA384}',
    '{SSHA512}',
    '{SHA512}',
    '{ARGON2}',
  ])
    test(`what ${scheme} keeps is compared`, async () => {
      const right = await draw();
      await server.ldif(
        `dn: ${app}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${await server.hash(scheme, textOf(right))}\n`,
      );
      const answer = await ask({
        connector,
        operation: 'adminverify',
        task: task(),
        admin: { user: 'rotator', credential: password(passwords.rotator) },
        candidates: [(await draw()).login, right.login],
        budget: 1,
      });
      expect(answer.each?.map(({ answer: one, how }) => [one, how])).toEqual([
        ['rejected', 'stored'],
        ['accepted', 'stored'],
      ]);
      expect((await server.whoami(app, textOf(right))).code).toBe(0);
    });
});

function textOf({ fresh }: Value): string {
  return fresh.kind === 'password' ? fresh.secret.revealText() : '';
}
