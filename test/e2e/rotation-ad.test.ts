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
});

/** `unicodePwd` in LDIF. */
function quoted(text: string): string {
  return Buffer.from(`"${text}"`, 'utf16le').toString('base64');
}
