/** ad on a real domain controller: Samba's, with a delegated account, its lock-out and its grace hour. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ad } from '../../src/rotation/connectors/ad.ts';
import type { Login, Place } from '../../src/rotation/connectors/connector.ts';
import { fullMachines } from '../lab/machine.ts';
import type { DomainController } from '../lab/samba.ts';
import { conformance } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';
import { adStage, connector, draw, people, quoted, startDomain, textOf, value } from './ad-stage.ts';

describe.runIf(fullMachines)('ad', () => {
  let dc: DomainController;
  beforeAll(async () => {
    dc = await startDomain();
  });
  afterAll(async () => dc?.[Symbol.asyncDispose]());

  const stage = adStage(() => dc);
  const { set, during, state, plant, place, login } = stage;
  const { strikes, lock, work, verify, adminverify, change, precheck } = stage;

  conformance({
    connector,
    account: 'svc_app',
    place,
    impostor: (trusted) => ({ ...trusted, tls: { kind: 'verify', serverName: 'dc2.example.test', ca: dc.ca } }),
    admins: {
      'a delegated account': login('rotator'),
      'an administrator of the domain': () => ({
        user: dc.administrator.name,
        credential: password(dc.administrator.password),
      }),
    },
    powerless: login('plain'),
    draw,
    plant,
    forbid: () => during('minPwdLength', '200', '1', dc.base),
    lock,
    expire: async () => {
      await set('pwdLastSet', '0');
      return { [Symbol.asyncDispose]: async () => {} };
    },
    strikes,
    nasty: [`'";$(id)\`id\`\\`, ' leading and trailing ', '""', 'ümläut €', '%s\\n\t', '#!&|<>*?[]{}~,=+', '𝔘nicode\n'],
    settled: async () => void (await dc.kinit('nobody-here', 'x')),
    without: { lie: 'a domain controller that refuses after it has changed cannot be staged with a real one' },
  });

  describe('the hour in which two passwords work', () => {
    test('LDAP takes the old one and the new one, so that nothing can be told: exactly one is never found', async () => {
      const old = await plant();
      const next = await draw();
      expect(await change(next)).toMatchObject({ outcome: 'confirmed' });
      const each = await adminverify([next, old, await draw()], { verify: 'ldaps' });
      expect(each.map((one) => one.answer)).toEqual(['accepted', 'accepted', 'rejected']);
      expect(await verify(old.login, { verify: 'ldaps' })).toMatchObject({ outcome: 'accepted' });
    });

    test('Kerberos tells them apart: exactly one is accepted', async () => {
      const old = await plant();
      const next = await draw();
      expect(await change(next)).toMatchObject({ outcome: 'confirmed' });
      const each = await adminverify([next, old, await draw()]);
      expect(each.map((one) => one.answer)).toEqual(['accepted', 'rejected', 'rejected']);
    });

    test('an account that logs in by its old password cannot change itself by it', async () => {
      const old = await plant();
      const next = await draw();
      expect(await change(next)).toMatchObject({ outcome: 'confirmed' });
      const self = { user: 'svc_app', credential: old.login };
      expect(await change(await draw(), self)).toMatchObject({ outcome: 'failed', class: 'authentication' });
      expect(await verify(next.login)).toMatchObject({ outcome: 'accepted' });
    });
  });

  describe('the lock-out', () => {
    for (const [misses, tried] of [
      [0, 2],
      [1, 1],
      [2, 0],
    ] as const)
      test(`after ${misses} misses of 3 it tries ${tried} wrong values and no more`, async () => {
        const right = await plant();
        await using guard = await strikes();
        for (let n = 0; n < misses; n++) await dc.kinit('svc_app', 'certainly-wrong');
        const wrong = await Promise.all([1, 2, 3, 4, 5].map(draw));
        const each = await adminverify(wrong);
        expect(each.filter((one) => one.answer === 'rejected')).toHaveLength(tried);
        expect(each.filter((one) => one.class === 'budget')).toHaveLength(5 - tried);
        expect(await guard.locked()).toBe(false);
        expect(Number((await state())['badPwdCount'])).toBe(2);
        expect(await verify(right.login)).toMatchObject({ outcome: 'accepted' });
      });

    test('misses that the controller has forgotten do not count', async () => {
      await plant();
      await using guard = await strikes();
      await using _ = await during('lockOutObservationWindow', '-10000000', '-18000000000', dc.base);
      await dc.kinit('svc_app', 'certainly-wrong');
      await set('badPasswordTime', '130000000000000000');
      const each = await adminverify(await Promise.all([1, 2, 3].map(draw)));
      expect(each.map((one) => one.class)).toEqual(['authentication', 'authentication', 'budget']);
      expect(await guard.locked()).toBe(false);
    });

    test('a policy of the account itself counts, and where the administrator may not read it, one miss is all', async () => {
      await plant();
      const pso = (...argv: string[]) => dc.tool('domain', 'passwordsettings', 'pso', ...argv);
      const lenient = ['--min-pwd-length=1', '--complexity=off', '--min-pwd-age=0', '--max-pwd-age=0'];
      await pso('create', 'strict', '10', '--account-lockout-threshold=3', '--history-length=2', ...lenient);
      await using _ = { [Symbol.asyncDispose]: async () => void (await pso('delete', 'strict')) };
      await pso('apply', 'strict', 'svc_app');
      const classes = async (by: Login) =>
        (await adminverify(await Promise.all([1, 2, 3].map(draw)), {}, by)).map((one) => one.class);
      expect(await classes(login('rotator')())).toEqual(['authentication', 'budget', 'budget']);
      expect(await classes(login('rotator')())).toEqual(['budget', 'budget', 'budget']);
      const { name, password: own } = dc.administrator;
      await plant();
      const above = { user: name, credential: password(own) };
      expect(await classes(above)).toEqual(['authentication', 'authentication', 'budget']);
      expect((await state())['msDS-User-Account-Control-Computed']).toBe('0');
    });

    test('reconciling lifts it, together with the new value', async () => {
      await plant();
      await using guard = await lock();
      const next = await draw();
      expect(await change(next, login('rotator')(), 'reconcile')).toMatchObject({ outcome: 'confirmed' });
      expect(await guard.locked()).toBe(false);
      expect(await verify(next.login)).toMatchObject({ outcome: 'accepted' });
    });

    test('whoever may not lift it changes nothing by reconciling', async () => {
      const old = await plant();
      {
        await using _ = await lock();
        const answer = await change(await draw(), login('resetter')(), 'reconcile');
        expect(answer).toMatchObject({ outcome: 'failed', class: 'permission' });
      }
      expect(await verify(old.login)).toMatchObject({ outcome: 'accepted' });
    });

    test('kinit and we agree on a right, a wrong and a locked password', async () => {
      const right = await plant();
      const text = textOf(right);
      await using guard = await strikes();
      expect((await dc.kinit('svc_app', text)).code).toBe(0);
      expect(await verify(right.login)).toMatchObject({ outcome: 'accepted' });
      expect((await dc.kinit('svc_app', 'certainly-wrong')).stderr).toContain('Password incorrect');
      expect(await verify(password('certainly-wrong'))).toMatchObject({ outcome: 'rejected', class: 'authentication' });
      await dc.kinit('svc_app', 'certainly-wrong');
      expect(await guard.locked()).toBe(true);
      expect((await dc.kinit('svc_app', text)).stderr).toContain('revoked');
      expect(await verify(right.login)).toMatchObject({ outcome: 'unknown', class: 'locked' });
    });
  });

  describe('rights', () => {
    test('the delegated account is no administrator: outside its unit it has no right', async () => {
      const { rotator, plain } = people;
      expect((await dc.read('(sAMAccountName=rotator)', 'memberOf'))['memberOf']).toBeUndefined();
      const outside = { account: 'plain' };
      expect(await precheck(login('rotator')(), outside)).toMatchObject({ outcome: 'unsent', class: 'permission' });
      const what = { ...work(login('rotator')()), ...outside };
      const { fresh } = await draw();
      expect(await ask({ connector, operation: 'change', work: what, fresh })).toMatchObject({
        outcome: 'failed',
        class: 'permission',
      });
      expect(await verify(password(plain.first), {}, place(), 'plain')).toMatchObject({ outcome: 'accepted' });
      expect(await verify(password(rotator.first), {}, place(), 'rotator')).toMatchObject({ outcome: 'accepted' });
    });

    test('an unprotected port is refused before anything is said', async () => {
      const plainPort: Place = { ...place({ address: dc.address, port: 389 }), protocol: 'ldap', tls: { kind: 'off' } };
      const refused = { class: 'unsupported', words: expect.stringContaining('without TLS') };
      const old = await plant();
      expect(await change(await draw(), login('rotator')(), 'change', plainPort)).toMatchObject({
        ...refused,
        outcome: 'unsent',
      });
      expect(await verify(old.login, {}, plainPort)).toMatchObject({ ...refused, outcome: 'unknown' });
    });

    test('the usual port serves, once StartTLS has protected it', async () => {
      const started: Place = { ...place({ address: dc.address, port: 389 }), protocol: 'ldap' };
      await plant();
      const next = await draw();
      expect(await change(next, login('rotator')(), 'change', started)).toMatchObject({ outcome: 'confirmed' });
      expect(await verify(next.login, {}, started)).toMatchObject({ outcome: 'accepted' });
      const impostor: Place = { ...started, tls: { kind: 'verify', ca: dc.ca, serverName: 'dc2.example.test' } };
      expect(await verify(next.login, {}, impostor)).toMatchObject({ outcome: 'unknown', class: 'certificate' });
    });

    test('a certificate of an unknown authority is not trusted', async () => {
      const { login: right } = await plant();
      const where: Place = { ...place(), tls: { kind: 'verify', serverName: dc.name } };
      expect(await verify(right, {}, where)).toMatchObject({ outcome: 'unknown', class: 'certificate' });
    });
  });

  describe('what the controller says, in our classes', () => {
    test('by LDAP: wrong, must change, disabled, locked, expired, unknown', async () => {
      const right = await plant();
      const byLdap = (credential = right.login, account = 'svc_app') =>
        verify(credential, { verify: 'ldaps' }, place(), account);
      const hindered = (words: string) => ({
        outcome: 'unknown',
        class: 'locked',
        words: expect.stringContaining(words),
      });
      expect(await byLdap()).toMatchObject({ outcome: 'accepted', class: 'none' });
      expect(await byLdap(password('wrong'))).toMatchObject({ outcome: 'rejected', class: 'authentication' });
      expect((await byLdap(right.login, 'nobody-here')).outcome).toBe('rejected');
      {
        await using _ = await during('pwdLastSet', '0', '-1');
        expect(await byLdap()).toMatchObject({ outcome: 'accepted', class: 'expired' });
        expect(await byLdap(password('wrong'))).toMatchObject({ outcome: 'rejected' });
      }
      {
        await using _ = await during('userAccountControl', '514', '512');
        expect(await byLdap()).toMatchObject(hindered('disabled'));
      }
      {
        await using _ = await during('accountExpires', '116444736000000001', '0');
        expect(await byLdap()).toMatchObject(hindered('expired'));
      }
      await using _ = await lock();
      expect(await byLdap()).toMatchObject(hindered('locked'));
    });

    test('a disabled account is found before a change, and is no answer to Kerberos either', async () => {
      const right = await plant();
      await using _ = await during('userAccountControl', '514', '512');
      expect(await precheck(login('rotator')())).toMatchObject({
        outcome: 'unsent',
        class: 'locked',
        words: 'svc_app: the account is disabled',
      });
      expect(await verify(right.login)).toMatchObject({ outcome: 'unknown', class: 'locked' });
    });

    test('a password that is expired by its age is proven, and a wrong one is not', async () => {
      const right = await plant();
      // In the year 2012: the domain's passwords are good for 42 days.
      const long = '130000000000000000';
      await dc.raw(`dn: ${people.app.dn}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: ${long}\n`);
      expect(await verify(right.login)).toMatchObject({ outcome: 'accepted', class: 'expired' });
      expect(await verify(right.login, { verify: 'ldaps' })).toMatchObject({ outcome: 'accepted', class: 'expired' });
      expect(await verify(password('wrong'))).toMatchObject({ outcome: 'rejected' });
    });

    test('too weak, used before and too young are told apart', async () => {
      const old = await plant();
      const self = { user: 'svc_app', credential: old.login };
      expect(await change(old, self)).toMatchObject({ outcome: 'failed', class: 'policy' });
      {
        await using _ = await during('minPwdLength', '40', '1', dc.base);
        expect(await change(value('tiny-42'), self)).toMatchObject({ outcome: 'failed', class: 'policy' });
      }
      {
        await using _ = await during('minPwdAge', '-864000000000', '0', dc.base);
        expect(await change(await draw(), self)).toMatchObject({ outcome: 'failed', class: 'too-young' });
      }
      expect(await verify(old.login)).toMatchObject({ outcome: 'accepted' });
    });

    test('an account may be named by its user principal name', async () => {
      const old = await plant();
      const next = await draw();
      const account = 'app.upn@example.test';
      await set('userPrincipalName', account);
      expect(await precheck(login('rotator')(), { account })).toMatchObject({ outcome: 'confirmed' });
      const { fresh } = next;
      const what = { ...work(login('rotator')()), account };
      expect(await ask({ connector, operation: 'change', work: what, fresh })).toMatchObject({ outcome: 'confirmed' });
      expect(await verify(next.login, {}, place(), account)).toMatchObject({ outcome: 'accepted' });
      expect(await verify(old.login, {}, place(), account)).toMatchObject({ outcome: 'rejected' });
    });

    test('the realm is asked of the controller where it is not declared', async () => {
      const right = await plant();
      const where = { ...place(), settings: {} };
      expect(await verify(right.login, {}, where)).toMatchObject({ outcome: 'accepted' });
      expect(await precheck(login('rotator')(), { place: where })).toMatchObject({ outcome: 'confirmed' });
    });
  });

  test('names that are no login names are refused', () => {
    for (const name of [
      '',
      ' app',
      'a\nb',
      'DOM\\app',
      'a*',
      'CN=app,DC=example',
      'a@b@c',
      'a"b',
      'x'.repeat(70),
      'a(\0)',
    ])
      expect(ad.faultOfName(name), name).toContain('no login name');
    for (const name of ['svc_app', 'Müller', 'web01$', 'app@example.test', 'a b', "o'neill", '(app)'])
      expect(ad.faultOfName(name), name).toBeUndefined();
  });

  test('the controller, debugging at level 5, wrote no value into its log', async () => {
    await plant();
    const next = await draw();
    const text = textOf(next);
    await change(next);
    await verify(next.login);
    await change(await draw(), { user: 'svc_app', credential: next.login });
    const log = dc.log();
    expect(log).toContain('svc_app');
    const forms = [
      text,
      quoted(text),
      Buffer.from(text, 'utf16le').toString('hex'),
      Buffer.from(text).toString('base64'),
    ];
    for (const form of forms) expect(log.toLowerCase().includes(form.toLowerCase()), form.slice(0, 4)).toBe(false);
  });
});
