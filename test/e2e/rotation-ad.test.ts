/** ad on a real domain controller: Samba's, with a delegated account, its lock-out and its grace hour. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { ad } from '../../src/rotation/connectors/ad.ts';
import type { Login, LoginCredential, Place, Work } from '../../src/rotation/connectors/connector.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import { fullMachines } from '../lab/machine.ts';
import { type DomainController, startDomainController } from '../lab/samba.ts';
import { conformance, type Undo, type Value } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';

const people = {
  app: { dn: 'CN=svc_app,OU=Services,DC=example,DC=test', first: 'Start.Pass-1' },
  /** May reset passwords in the unit and lift lock-outs there, and nothing else. */
  rotator: { dn: 'CN=rotator,CN=Users,DC=example,DC=test', first: 'Rotator.Pass-1' },
  /** May reset passwords in the unit only. */
  resetter: { dn: 'CN=resetter,CN=Users,DC=example,DC=test', first: 'Resetter.Pass-1' },
  plain: { dn: 'CN=plain,CN=Users,DC=example,DC=test', first: 'Plain.Pass-1' },
};

describe.runIf(fullMachines)('ad', () => {
  let dc: DomainController;
  beforeAll(async () => {
    dc = await startDomainController({ logLevel: 5 });
    const rules = ['--complexity=off', '--min-pwd-length=1', '--min-pwd-age=0', '--account-lockout-threshold=0'];
    await dc.tool('domain', 'passwordsettings', 'set', ...rules);
    await dc.ldif('dn: OU=Services,DC=example,DC=test\nchangetype: add\nobjectClass: organizationalUnit\n');
    for (const [key, { dn, first }] of Object.entries(people)) {
      const name = key === 'app' ? 'svc_app' : key;
      const upn = `userPrincipalName: ${name}.upn@example.test`;
      const state = `userAccountControl: 512\nunicodePwd:: ${quoted(first)}`;
      await dc.ldif(`dn: ${dn}\nchangetype: add\nobjectClass: user\nsAMAccountName: ${name}\n${upn}\n${state}\n`);
    }
    // What docs/rotation.md tells an administrator to give: "Reset Password", and writing lockoutTime.
    const [rotator, resetter] = [await sid('rotator'), await sid('resetter')];
    const reset = (who: string) => `(OA;CIIO;CR;00299570-246d-11d0-a768-00aa006e0529;${user};${who})`;
    const unlock = `(OA;CIIO;WP;28630ebf-41d5-11d1-a9c1-0000f80367c1;${user};${rotator})`;
    const sddl = `--sddl=${reset(rotator)}${unlock}${reset(resetter)}`;
    await dc.tool('dsacl', 'set', '--objectdn=OU=Services,DC=example,DC=test', sddl);
  });
  afterAll(async () => dc?.[Symbol.asyncDispose]());

  const connector = 'ad';
  const user = 'bf967aba-0de6-11d0-a285-00aa003049e2';
  const sid = async (name: string) => (await dc.read(`(sAMAccountName=${name})`, 'objectSid'))['objectSid'] ?? '';
  const state = () =>
    dc.read(
      '(sAMAccountName=svc_app)',
      'badPwdCount',
      'lockoutTime',
      'pwdLastSet',
      'msDS-User-Account-Control-Computed',
    );
  const lockedNow = async () => (Number((await state())['msDS-User-Account-Control-Computed']) & 0x10) !== 0;
  const set = (attribute: string, value: string, dn: string = people.app.dn) =>
    dc.ldif(`dn: ${dn}\nchangetype: modify\nreplace: ${attribute}\n${attribute}: ${value}\n`);
  const setPassword = async (text: string) => {
    await dc.ldif(`dn: ${people.app.dn}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: ${quoted(text)}\n`);
    await set('lockoutTime', '0');
  };
  const undo = (run: () => Promise<unknown>): Undo => ({ [Symbol.asyncDispose]: async () => void (await run()) });
  const value = (text: string): Value => {
    const secret = Secret.fromText(text);
    return { fresh: { kind: 'password', secret }, login: { kind: 'password', secret } };
  };
  const draw = async () => value(`Drawn-${randomBytes(9).toString('base64url')}`);
  const plant = async () => {
    const text = `Planted-${randomBytes(9).toString('base64url')}`;
    await setPassword(text);
    return value(text);
  };
  const place = (at: { address: string; port: number } = { address: dc.address, port: 636 }): Place => ({
    protocol: 'ldaps',
    ...at,
    hostKeys: [],
    tls: { kind: 'verify', serverName: dc.name, ca: dc.ca },
    settings: { realm: dc.realm, kerberosPort: 88 },
  });
  const login = (name: 'rotator' | 'resetter' | 'plain') => (): Login => ({
    user: name,
    credential: password(people[name].first),
  });
  const strikes = async () => {
    await set('lockoutThreshold', '3', dc.base);
    return {
      ...undo(async () => (await set('lockoutThreshold', '0', dc.base), set('lockoutTime', '0'))),
      locked: lockedNow,
    };
  };
  const lock = async () => {
    const guard = await strikes();
    for (const _ of [1, 2, 3]) await dc.kinit('svc_app', 'certainly-wrong');
    expect(await lockedNow()).toBe(true);
    return guard;
  };

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
    forbid: async () => {
      await set('minPwdLength', '200', dc.base);
      return undo(() => set('minPwdLength', '1', dc.base));
    },
    lock,
    expire: async () => {
      await set('pwdLastSet', '0');
      return undo(async () => {});
    },
    strikes,
    nasty: [`'";$(id)\`id\`\\`, ' leading and trailing ', '""', 'ümläut €', '%s\\n\t', '#!&|<>*?[]{}~,=+', '𝔘nicode\n'],
    settled: async () => void (await dc.kinit('nobody-here', 'x')),
    without: { lie: 'a domain controller that refuses after it has changed cannot be staged with a real one' },
  });

  const work = (by: Login, where = place(), settings = {}): Work => ({
    place: where,
    account: 'svc_app',
    settings,
    by: { mode: by.user === 'svc_app' ? 'self' : 'admin', login: by },
    tag: 'rot-ad',
    targetSeconds: 5,
  });
  const verify = (credential: LoginCredential, settings = {}, where = place(), account = 'svc_app') =>
    ask({
      connector,
      operation: 'verify',
      task: { place: where, account, settings },
      login: { user: account, credential },
    });
  const adminverify = async (values: readonly Value[], settings = {}, by = login('rotator')()) =>
    (
      await ask({
        connector,
        operation: 'adminverify',
        task: { place: place(), account: 'svc_app', settings },
        admin: by,
        candidates: values.map((one) => one.login),
        budget: 10,
      })
    ).each ?? [];
  const change = (
    { fresh }: Value,
    by = login('rotator')(),
    operation: 'change' | 'reconcile' = 'change',
    where = place(),
  ) => ask({ connector, operation, work: work(by, where), fresh });
  const precheck = (by: Login, what: Partial<Work> = {}): Promise<Answer> =>
    ask({ connector, operation: 'precheck', work: { ...work(by), ...what } });

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
      await set('lockOutObservationWindow', '-10000000', dc.base);
      await dc.kinit('svc_app', 'certainly-wrong');
      await set('badPasswordTime', '130000000000000000');
      const each = await adminverify(await Promise.all([1, 2, 3].map(draw)));
      expect(each.map((one) => one.class)).toEqual(['authentication', 'authentication', 'budget']);
      await set('lockOutObservationWindow', '-18000000000', dc.base);
      expect(await guard.locked()).toBe(false);
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
      const text = right.fresh.kind === 'password' ? right.fresh.secret.revealText() : '';
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
      expect(await byLdap()).toMatchObject({ outcome: 'accepted', class: 'none' });
      expect(await byLdap(password('wrong'))).toMatchObject({ outcome: 'rejected', class: 'authentication' });
      expect((await byLdap(right.login, 'nobody-here')).outcome).toBe('rejected');
      await set('pwdLastSet', '0');
      expect(await byLdap()).toMatchObject({ outcome: 'accepted', class: 'expired' });
      expect(await byLdap(password('wrong'))).toMatchObject({ outcome: 'rejected' });
      await set('pwdLastSet', '-1');
      await set('userAccountControl', '514');
      expect(await byLdap()).toMatchObject({
        outcome: 'unknown',
        class: 'locked',
        words: expect.stringContaining('disabled'),
      });
      await set('userAccountControl', '512');
      await set('accountExpires', '116444736000000001');
      expect(await byLdap()).toMatchObject({
        outcome: 'unknown',
        class: 'locked',
        words: expect.stringContaining('expired'),
      });
      await set('accountExpires', '0');
      await using _ = await lock();
      expect(await byLdap()).toMatchObject({ outcome: 'unknown', class: 'locked' });
    });

    test('a disabled account is found before a change, and is no answer to Kerberos either', async () => {
      const right = await plant();
      await set('userAccountControl', '514');
      const seen = await precheck(login('rotator')());
      const answer = await verify(right.login);
      await set('userAccountControl', '512');
      expect(seen).toMatchObject({ outcome: 'unsent', class: 'locked', words: 'svc_app: the account is disabled' });
      expect(answer).toMatchObject({ outcome: 'unknown', class: 'locked' });
    });

    test('a password that is expired by its age is proven, and a wrong one is not', async () => {
      const right = await plant();
      await set('maxPwdAge', '-10000000', dc.base);
      await set('pwdLastSet', '0');
      expect(await verify(right.login)).toMatchObject({ outcome: 'accepted', class: 'expired' });
      expect(await verify(password('wrong'))).toMatchObject({ outcome: 'rejected' });
      await set('maxPwdAge', '-36288000000000', dc.base);
      await plant();
    });

    test('too weak, used before and too young are told apart', async () => {
      const old = await plant();
      const self = { user: 'svc_app', credential: old.login };
      expect(await change(old, self)).toMatchObject({ outcome: 'failed', class: 'policy' });
      await set('minPwdLength', '40', dc.base);
      expect(await change(value('short'), self)).toMatchObject({ outcome: 'failed', class: 'policy' });
      await set('minPwdLength', '1', dc.base);
      await set('minPwdAge', '-864000000000', dc.base);
      const young = await change(await draw(), self);
      await set('minPwdAge', '0', dc.base);
      expect(young).toMatchObject({ outcome: 'failed', class: 'too-young' });
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
    const text = next.fresh.kind === 'password' ? next.fresh.secret.revealText() : '';
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

/** `unicodePwd` in LDIF. */
function quoted(text: string): string {
  return Buffer.from(`"${text}"`, 'utf16le').toString('base64');
}
