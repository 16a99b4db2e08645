/**
 * A domain as an administrator would set it up for the ad connector, and what its tests do there: Samba's domain
 * controller, an account in a unit, and people with more or less right over the unit.
 */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { Login, LoginCredential, Place, VerifyAnswer, Work } from '../../src/rotation/connectors/connector.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import { type DomainController, startDomainController } from '../lab/samba.ts';
import type { Undo, Value } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';

export const connector = 'ad';
export const people = {
  app: { dn: 'CN=svc_app,OU=Services,DC=example,DC=test', first: 'Start.Pass-1' },
  /** May reset passwords in the unit and lift lock-outs there, and nothing else. */
  rotator: { dn: 'CN=rotator,CN=Users,DC=example,DC=test', first: 'Rotator.Pass-1' },
  /** May reset passwords in the unit only. */
  resetter: { dn: 'CN=resetter,CN=Users,DC=example,DC=test', first: 'Resetter.Pass-1' },
  plain: { dn: 'CN=plain,CN=Users,DC=example,DC=test', first: 'Plain.Pass-1' },
};

/** The class of users, to which the rights in the unit apply. */
const user = 'bf967aba-0de6-11d0-a285-00aa003049e2';

export const value = (text: string): Value => {
  const secret = Secret.fromText(text);
  return { fresh: { kind: 'password', secret }, login: { kind: 'password', secret } };
};
export const draw = async (): Promise<Value> => value(`Drawn-${randomBytes(9).toString('base64url')}`);

export function textOf({ fresh }: Value): string {
  return fresh.kind === 'password' ? fresh.secret.revealText() : '';
}

/** `unicodePwd` in LDIF. */
export function quoted(text: string): string {
  return Buffer.from(`"${text}"`, 'utf16le').toString('base64');
}

/** The controller with its accounts and rights; nobody is locked out until a test says so. */
export async function startDomain(): Promise<DomainController> {
  const dc = await startDomainController({ logLevel: 5 });
  const sid = async (name: string) => (await dc.read(`(sAMAccountName=${name})`, 'objectSid'))['objectSid'] ?? '';
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
  return dc;
}

export interface AdStage {
  /** One attribute of the account, or of another entry. */
  readonly set: (attribute: string, value: string, dn?: string) => Promise<void>;
  /** Another value for an attribute, as long as it is held. */
  readonly during: (attribute: string, now: string, afterwards: string, dn?: string) => Promise<Undo>;
  /** What the controller keeps of the account's misses and state. */
  readonly state: () => Promise<Readonly<Record<string, string>>>;
  /** A new value, put in place behind the server's back; the account is not locked then. */
  readonly plant: () => Promise<Value>;
  /** The place of the server, or of a wire in front of it. */
  readonly place: (at?: { readonly address: string; readonly port: number }) => Place;
  readonly login: (name: 'rotator' | 'resetter' | 'plain') => () => Login;
  /** A lock-out after three misses, as long as it is held. */
  readonly strikes: () => Promise<Undo & { readonly locked: () => Promise<boolean> }>;
  /** As `strikes`, with the three misses. */
  readonly lock: () => Promise<Undo & { readonly locked: () => Promise<boolean> }>;
  readonly work: (by: Login, where?: Place, settings?: Work['settings']) => Work;
  readonly verify: (
    credential: LoginCredential,
    settings?: Work['settings'],
    where?: Place,
    account?: string,
  ) => Promise<Answer>;
  readonly adminverify: (
    values: readonly Value[],
    settings?: Work['settings'],
    by?: Login,
  ) => Promise<readonly VerifyAnswer[]>;
  readonly change: (value: Value, by?: Login, operation?: 'change' | 'reconcile', where?: Place) => Promise<Answer>;
  readonly precheck: (by: Login, what?: Partial<Work>) => Promise<Answer>;
}

/** What tests do with it, once it has started. */
export function adStage(the: () => DomainController): AdStage {
  const state = () =>
    the().read(
      '(sAMAccountName=svc_app)',
      'badPwdCount',
      'lockoutTime',
      'pwdLastSet',
      'msDS-User-Account-Control-Computed',
    );
  const lockedNow = async () => (Number((await state())['msDS-User-Account-Control-Computed']) & 0x10) !== 0;
  const set = (attribute: string, value: string, dn: string = people.app.dn) =>
    the().ldif(`dn: ${dn}\nchangetype: modify\nreplace: ${attribute}\n${attribute}: ${value}\n`);
  const setPassword = async (text: string) => {
    await the().ldif(`dn: ${people.app.dn}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: ${quoted(text)}\n`);
    await set('lockoutTime', '0');
  };
  const undo = (run: () => Promise<unknown>): Undo => ({ [Symbol.asyncDispose]: async () => void (await run()) });
  /** Another value for an attribute as long as it is held. */
  const during = async (attribute: string, now: string, afterwards: string, dn: string = people.app.dn) => {
    await set(attribute, now, dn);
    return undo(() => set(attribute, afterwards, dn));
  };
  const plant = async () => {
    const text = `Planted-${randomBytes(9).toString('base64url')}`;
    await setPassword(text);
    return value(text);
  };
  const place = (at: { address: string; port: number } = { address: the().address, port: 636 }): Place => ({
    protocol: 'ldaps',
    ...at,
    hostKeys: [],
    tls: { kind: 'verify', serverName: the().name, ca: the().ca },
    settings: { realm: the().realm, kerberosPort: 88 },
  });
  const login = (name: 'rotator' | 'resetter' | 'plain') => (): Login => ({
    user: name,
    credential: password(people[name].first),
  });
  const strikes = async () => {
    await set('lockoutThreshold', '3', the().base);
    return {
      ...undo(async () => (await set('lockoutThreshold', '0', the().base), set('lockoutTime', '0'))),
      locked: lockedNow,
    };
  };
  const lock = async () => {
    const guard = await strikes();
    for (const _ of [1, 2, 3]) await the().kinit('svc_app', 'certainly-wrong');
    expect(await lockedNow()).toBe(true);
    return guard;
  };

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
  const adminverify = async (
    values: readonly Value[],
    settings = {},
    by = login('rotator')(),
  ): Promise<readonly VerifyAnswer[]> =>
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

  return { set, during, state, plant, place, login, strikes, lock, work, verify, adminverify, change, precheck };
}
