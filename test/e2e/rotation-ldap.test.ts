/** ldap on a real OpenLDAP server with its password policy. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Place } from '../../src/rotation/connectors/connector.ts';
import { ldap } from '../../src/rotation/connectors/ldap.ts';
import { fullMachines } from '../lab/machine.ts';
import type { LdapServer } from '../lab/slapd.ts';
import { conformance } from '../rotation/connectors/conformance.ts';
import { password } from '../rotation/connectors/machine.ts';
import { app, base, connector, draw, ldapStage, policy, startDirectory, textOf, value } from './ldap-stage.ts';

describe.runIf(fullMachines)('ldap', () => {
  let server: LdapServer;
  beforeAll(async () => {
    // Without a password anybody is let in as nobody, as some directories do by default.
    server = await startDirectory({ debug: 256 + 512 + 1, global: ['allow bind_anon_dn'] });
  });
  afterAll(async () => server?.[Symbol.asyncDispose]());

  const stage = ldapStage(() => server);
  const { set, during, plant, place, login, root, entry } = stage;
  const { strikes, lock, verify, adminverify, change, precheck, misses } = stage;

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
    forbid: () => during('pwdMinLength', '200', '1'),
    lock,
    expire: async () => {
      await set('pwdReset', 'TRUE', app);
      return { [Symbol.asyncDispose]: async () => {} };
    },
    strikes,
    nasty: [`'";$(id)\`id\`\\`, ' leading and trailing ', '""', 'ümläut €', '%s\\n\t', '#!&|<>*?[]{}~,=+', 'a{SSHA}\n'],
    settled: async () => void (await entry()),
    without: { lie: 'a directory that refuses after it has changed cannot be staged with a real one' },
  });

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

    test('reconciling lifts a lock for good, too', async () => {
      await plant();
      await set('pwdAccountLockedTime', '000001010000Z', app);
      expect(await precheck(login('rotator')())).toMatchObject({ outcome: 'unsent', class: 'locked' });
      const next = await draw();
      expect(await change(next, login('rotator')(), {}, 'reconcile')).toMatchObject({ outcome: 'confirmed' });
      expect(await verify(next)).toMatchObject({ outcome: 'accepted' });
    });
  });

  describe('the policy', () => {
    test('what it refuses is told with its reason', async () => {
      const old = await plant();
      const self = { user: 'app', credential: old.login };
      const failed = (kind: string, words: string) => ({
        outcome: 'failed',
        class: kind,
        words: expect.stringContaining(words),
      });
      {
        await using _ = await during('pwdMinLength', '40', '1');
        expect(await change(value('tiny-42'))).toMatchObject(failed('policy', 'too-short'));
      }
      {
        await using _ = await during('pwdMinAge', '86400', '0');
        expect(await change(await draw(), self)).toMatchObject(failed('too-young', 'too-young'));
      }
      {
        await using _ = await during('pwdAllowUserChange', 'FALSE', 'TRUE');
        expect(await change(await draw(), self)).toMatchObject(failed('permission', 'may-not-change'));
      }
      expect(await change(old, self)).toMatchObject(failed('policy', 'in-history'));
      expect(await verify(old)).toMatchObject({ outcome: 'accepted' });
    });

    test('the root of the directory sets what the policy forbids, and the check before says so', async () => {
      await plant();
      await using _ = await during('pwdMinLength', '40', '1');
      const seen = await precheck(root());
      expect(seen).toMatchObject({
        outcome: 'confirmed',
        words: expect.stringContaining('policy will not be applied'),
      });
      expect(await precheck(login('rotator')())).toMatchObject({ outcome: 'confirmed', words: '' });
      const short = value(`s-${randomBytes(3).toString('hex')}`);
      expect(await change(short, root())).toMatchObject({ outcome: 'confirmed' });
      expect(await verify(short)).toMatchObject({ outcome: 'accepted' });
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
      await using _ = await during('pwdMaxAge', '1000', '0');
      await set('pwdChangedTime', '20200101000000Z', app, true);
      expect(await verify(right)).toMatchObject({ outcome: 'accepted', class: 'expired' });
      expect(await verify(await draw())).toMatchObject({ outcome: 'rejected', class: 'authentication' });
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

  test('an empty value is no login, although the server would let anybody in as nobody', async () => {
    await plant();
    expect((await server.whoami(app, '')).code).toBe(0);
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
      await server.ldif(
        `dn: uid=a\\,b\\+c,ou=people,${base}\nchangetype: add\nobjectClass: account\nobjectClass: simpleSecurityObject\nuserPassword: Odd.Name-1\n`,
      );
      expect(await verify({ login: password('Odd.Name-1') }, pattern, place(), 'a,b+c')).toMatchObject({
        outcome: 'accepted',
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
    server = await startDirectory({
      global: ['moduleload argon2', 'moduleload pw-sha2'],
      database: ['ppolicy_use_lockout'],
    });
  });
  afterAll(async () => server?.[Symbol.asyncDispose]());

  const { set, login, verify, adminverify } = ldapStage(() => server);

  test('a right value on a locked account is unknown, by its own login too', async () => {
    await set('pwdMaxFailure', '2');
    for (const _ of [1, 2]) await server.whoami(app, 'certainly-wrong');
    const right = { login: password('App.Pass-1') };
    expect(await verify(right)).toMatchObject({ outcome: 'unknown', class: 'locked' });
  });

  const schemes = ['{SSHA}', '{SHA}', '{SMD5}', '{MD5}', '{SSHA256}', '{SSHA384}', '{SSHA512}', '{SHA512}', '{ARGON2}'];
  for (const scheme of schemes)
    test(`what ${scheme} keeps is compared`, async () => {
      const right = await draw();
      await set('userPassword', await server.hash(scheme, textOf(right)), app);
      const each = await adminverify([await draw(), right], login('rotator')());
      expect(each.map(({ answer, how }) => [answer, how])).toEqual([
        ['rejected', 'stored'],
        ['accepted', 'stored'],
      ]);
      expect((await server.whoami(app, textOf(right))).code).toBe(0);
    });
});
