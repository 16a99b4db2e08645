/**
 * An Active Directory domain as its controller shows it: the base and realm, one account with its state, and how many
 * wrong passwords it still takes. Times are the controller's: the clock here has no say in what is locked there.
 */
import { Control, type BerWriter } from 'ldapts';
import type { Login, Place } from '../connector.ts';
import { type Directory, type Entry, isResult, textOf } from './directory.ts';
import { type Fault, isFault } from './faults.ts';
import { faultOfBind, faultOfResult } from './ad-results.ts';
import { integer, sequence } from './wire/der.ts';
import { baseOfRealm, realmOfBase } from './wire/names.ts';
import { mayResetPassword } from './wire/security-descriptor.ts';

export interface Domain {
  readonly base: string;
  /** In capitals. */
  readonly realm: string;
}

/** What the controller says to anybody, before a login. The declared realm goes before what it says. */
export async function domainOf(directory: Directory, place: Place): Promise<Domain | Fault> {
  const { realm: declared } = place.settings;
  if (typeof declared === 'string') return { base: baseOfRealm(declared), realm: declared.toUpperCase() };
  const root = await rootOf(directory, ['defaultNamingContext']);
  if (isFault(root)) return root;
  const base = textOf(root, 'defaultNamingContext') ?? '';
  const realm = realmOfBase(base);
  if (realm === undefined)
    return { fault: 'unsupported', words: 'the server names no domain: it is no domain controller, or say `realm`' };
  return { base, realm };
}

async function rootOf(directory: Directory, attributes: readonly string[]): Promise<Entry | Fault> {
  const found = await directory.search('', { scope: 'base' }, attributes);
  if (isFault(found)) return found;
  if (isResult(found)) return faultOfResult(found);
  return found[0] ?? { fault: 'unsupported', words: 'the server says nothing about itself' };
}

/** Logs in; undefined if that is done. A name without a domain is one of this domain. */
export async function logIn(directory: Directory, domain: Domain, login: Login): Promise<Fault | undefined> {
  const { user, credential } = login;
  if (credential.kind !== 'password') return { fault: 'unsupported', words: 'a directory takes passwords only' };
  const full = /[@\\=]/.test(user) ? user : `${user}@${domain.realm.toLowerCase()}`;
  const bound = await directory.bind(full, credential.secret);
  if (isFault(bound)) return bound;
  return bound.code === 0 ? undefined : faultOfBind(user, bound);
}

const attributes = [
  'userAccountControl',
  'lockoutTime',
  'badPwdCount',
  'badPasswordTime',
  'msDS-User-Account-Control-Computed',
  'msDS-ResultantPSO',
];

/** The one account of that login name (sAMAccountName, or a user principal name if it has an @). */
export async function findAccount(directory: Directory, domain: Domain, account: string): Promise<Entry | Fault> {
  const attribute = account.includes('@') ? 'userPrincipalName' : 'sAMAccountName';
  const all = [
    { attribute: 'objectClass', value: 'user' },
    { attribute, value: account },
  ];
  const found = await directory.search(domain.base, { scope: 'sub', all }, attributes);
  if (isFault(found)) return found;
  if (isResult(found)) return faultOfResult(found);
  const [entry, another] = found;
  if (entry === undefined)
    return { fault: 'missing', words: `${domain.realm} has no account ${account}, or does not show it` };
  if (another !== undefined)
    return { fault: 'unexpected', words: `${domain.realm} has more than one account ${account}` };
  return entry;
}

/** Why this account cannot log in whatever its password is; undefined if nothing of the kind is seen. */
export function hindrance(entry: Entry): { readonly locked: boolean; readonly words: string } | undefined {
  const control = Number(textOf(entry, 'userAccountControl') ?? 0);
  if ((control & 0x0002) !== 0) return { locked: false, words: 'the account is disabled' };
  const computed = textOf(entry, 'msDS-User-Account-Control-Computed');
  // Where the computed state is not shown, a lock-out that was never lifted counts as one that lasts.
  const locked =
    computed === undefined ? BigInt(textOf(entry, 'lockoutTime') ?? 0) > 0n : (Number(computed) & 0x0010) !== 0;
  return locked ? { locked, words: 'the account is locked' } : undefined;
}

/**
 * How many more refused logins can do no harm: one less than the lock-out leaves. Undefined: nothing is locked there.
 * What is not shown is not guessed: without the count none is tried, without the threshold one, if it would be the first.
 */
export async function attemptsLeft(
  directory: Directory,
  domain: Domain,
  entry: Entry,
): Promise<number | undefined | Fault> {
  const policy = await lockoutPolicy(directory, domain, entry);
  if (isFault(policy)) return policy;
  if (policy.threshold === 0) return undefined;
  const counted = textOf(entry, 'badPwdCount');
  if (counted === undefined) return 0;
  if (policy.threshold === undefined) return Number(counted) === 0 ? 1 : 0;
  const root = await rootOf(directory, ['currentTime']);
  if (isFault(root)) return root;
  const now = fileTime(textOf(root, 'currentTime'));
  const last = BigInt(textOf(entry, 'badPasswordTime') ?? 0);
  const forgotten = now !== undefined && policy.window !== undefined && last + policy.window < now;
  return Math.max(0, policy.threshold - (forgotten ? 0 : Number(counted)) - 1);
}

/** `window`: after which time misses are forgotten, in 100 ns. */
async function lockoutPolicy(
  directory: Directory,
  domain: Domain,
  entry: Entry,
): Promise<{ threshold: number | undefined; window: bigint | undefined } | Fault> {
  const own = textOf(entry, 'msDS-ResultantPSO');
  const [where, threshold, window] =
    own === undefined
      ? [domain.base, 'lockoutThreshold', 'lockOutObservationWindow']
      : [own, 'msDS-LockoutThreshold', 'msDS-LockoutObservationWindow'];
  const found = await directory.search(where, { scope: 'base' }, [threshold, window]);
  if (isFault(found)) return found;
  const [policy] = isResult(found) ? [] : found;
  const [limit, span] = policy === undefined ? [] : [textOf(policy, threshold), textOf(policy, window)];
  // Spans of time are stored as negative numbers.
  return {
    threshold: limit === undefined ? undefined : Number(limit),
    window: span === undefined ? undefined : -BigInt(span),
  };
}

/** Whether the person who is logged in may set this account's password; undefined if that is not shown. */
export async function mayReset(directory: Directory, entry: Entry): Promise<boolean | undefined | Fault> {
  const root = await rootOf(directory, ['tokenGroups']);
  if (isFault(root)) return root;
  const found = await directory.search(entry.dn, { scope: 'base' }, ['nTSecurityDescriptor'], [new AccessListOnly()]);
  if (isFault(found)) return found;
  const [descriptor] = isResult(found) ? [] : (found[0]?.values('nTSecurityDescriptor') ?? []);
  const own = root.values('tokenGroups');
  return descriptor === undefined || own.length === 0 ? undefined : mayResetPassword(descriptor, own);
}

/** Of a security descriptor, who may do what; its other parts take rights to read (MS-ADTS §3.1.1.3.4.1.11). */
class AccessListOnly extends Control {
  constructor() {
    super('1.2.840.113556.1.4.801', { critical: true });
  }

  override writeControl(writer: BerWriter): void {
    writer.writeBuffer(Buffer.from(sequence(integer(4))), 0x04);
  }
}

/** 100 ns since 1601 of `YYYYMMDDHHMMSS.0Z`. */
function fileTime(time: string | undefined): bigint | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(time ?? '');
  if (parts === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number);
  return (BigInt(Date.UTC(year, month - 1, day, hour, minute, second)) + 11_644_473_600_000n) * 10_000n;
}
