/**
 * A directory as an administrator would set it up for the ldap connector, and what its tests do there: OpenLDAP with its
 * password policy, an account, and people with more or less right over it.
 */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { Login, Place, VerifyAnswer, Work } from '../../src/rotation/connectors/connector.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import { type LdapServer, type LdapServerOptions, startLdapServer } from '../lab/slapd.ts';
import type { Undo, Value } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';

export const base = 'dc=example,dc=test';
export const app = `uid=app,ou=people,${base}`;
export const policy = `cn=default,ou=policies,${base}`;
export const passwords = {
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

export const connector = 'ldap';
export const value = (text: string): Value => {
  const secret = Secret.fromText(text);
  return { fresh: { kind: 'password', secret }, login: { kind: 'password', secret } };
};
export const draw = async (): Promise<Value> => value(`Drawn-${randomBytes(9).toString('base64url')}`);
const undo = (run: () => Promise<unknown>): Undo => ({ [Symbol.asyncDispose]: async () => void (await run()) });

export function textOf({ fresh }: Value): string {
  return fresh.kind === 'password' ? fresh.secret.revealText() : '';
}

/** The server with its entries. */
export async function startDirectory(options: Omit<LdapServerOptions, 'access'>): Promise<LdapServer> {
  const server = await startLdapServer({ ...options, access });
  await server.ldif(entries);
  return server;
}

export interface LdapStage {
  /** One attribute of the policy, or of another entry. */
  readonly set: (attribute: string, text: string, dn?: string, relax?: boolean) => Promise<void>;
  /** Another value for an attribute of the policy, as long as it is held. */
  readonly during: (attribute: string, now: string, afterwards: string) => Promise<Undo>;
  /** A new value, put in place by the root; the account is not locked then, and need not change it. */
  readonly plant: () => Promise<Value>;
  /** The place of the server, or of a wire in front of it. */
  readonly place: (at?: { readonly address: string; readonly port: number }) => Place;
  readonly login: (user: keyof typeof passwords) => () => Login;
  readonly root: () => Login;
  /** All that the server keeps of the account. */
  readonly entry: () => Promise<Readonly<Record<string, string>>>;
  /** A lock-out after three misses, as long as it is held. */
  readonly strikes: () => Promise<Undo & { readonly locked: () => Promise<boolean> }>;
  /** As `strikes`, with the three misses. */
  readonly lock: () => Promise<Undo & { readonly locked: () => Promise<boolean> }>;
  readonly work: (by: Login, settings?: Work['settings'], where?: Place) => Work;
  readonly verify: (
    value: Pick<Value, 'login'>,
    settings?: Work['settings'],
    where?: Place,
    account?: string,
  ) => Promise<Answer>;
  readonly adminverify: (
    values: readonly Value[],
    by: Login,
    settings?: Work['settings'],
  ) => Promise<readonly VerifyAnswer[]>;
  readonly change: (
    value: Pick<Value, 'fresh'>,
    by?: Login,
    what?: Partial<Work>,
    how?: 'change' | 'reconcile',
  ) => Promise<Answer>;
  readonly precheck: (by: Login, settings?: Work['settings']) => Promise<Answer>;
  /** So many refused logins. */
  readonly misses: (count: number) => Promise<void>;
}

/** What tests do with it, once it has started. */
export function ldapStage(the: () => LdapServer): LdapStage {
  const set = (attribute: string, text: string, dn = policy, relax = false) =>
    the().ldif(`dn: ${dn}\nchangetype: modify\nreplace: ${attribute}\n${attribute}: ${text}\n`, { relax });
  /** Another value for an attribute of the policy as long as it is held. */
  const during = async (attribute: string, now: string, afterwards: string) => {
    await set(attribute, now);
    return undo(() => set(attribute, afterwards));
  };
  const plant = async () => {
    const text = `Planted-${randomBytes(9).toString('base64url')}`;
    await set('userPassword', text, app);
    await the().ldif(`dn: ${app}\nchangetype: modify\ndelete: pwdReset\n`);
    return value(text);
  };
  const place = (at = { address: the().address, port: the().ports.ldaps }): Place => ({
    protocol: 'ldaps',
    ...at,
    hostKeys: [],
    tls: { kind: 'verify', serverName: the().name, ca: the().ca },
    settings: {},
  });
  const login = (user: keyof typeof passwords) => (): Login => ({ user, credential: password(passwords[user]) });
  const root = (): Login => ({ user: the().root.dn, credential: password(the().root.password) });
  const entry = () => the().read(app, '*', '+');
  const lockedNow = async () => (await entry())['pwdAccountLockedTime'] !== undefined;
  const unlock = async () => {
    await set('pwdMaxFailure', '0');
    if (await lockedNow()) await the().ldif(`dn: ${app}\nchangetype: modify\ndelete: pwdAccountLockedTime\n`);
  };
  const strikes = async () => {
    await set('pwdMaxFailure', '3');
    return { ...undo(unlock), locked: lockedNow };
  };
  const lock = async () => {
    const guard = await strikes();
    for (const _ of [1, 2, 3]) await the().whoami(app, 'certainly-wrong');
    expect(await lockedNow()).toBe(true);
    return guard;
  };

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
  const adminverify = async (values: readonly Value[], by: Login, settings = {}): Promise<readonly VerifyAnswer[]> =>
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
    for (let n = 0; n < count; n++) await the().whoami(app, `certainly-wrong-${n}`);
  };

  return {
    set,
    during,
    plant,
    place,
    login,
    root,
    entry,
    strikes,
    lock,
    work,
    verify,
    adminverify,
    change,
    precheck,
    misses,
  };
}
