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
const passwords = { rotator: 'Rotator.Pass-1', resetter: 'Resetter.Pass-1', plain: 'Plain.Pass-1' };

/** What docs/rotation.md tells an administrator to give. The rotator also reads what is stored; the resetter does not. */
const access = [
  `access to dn.subtree="ou=people,${base}" attrs=userPassword by dn.base="uid=rotator,ou=services,${base}" write by dn.base="uid=resetter,ou=services,${base}" =w by self =xw by anonymous auth`,
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
});
