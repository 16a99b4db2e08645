/**
 * Passwords of Active Directory accounts. Needs LDAPS (or LDAP with TLS) and Kerberos of a domain controller, and an
 * account with the right "Reset Password" on the organizational unit; no administrator of the domain.
 *
 * An administrator replaces `unicodePwd`; an account changes its own by naming the old value and the new one (MS-ADTS
 * §3.1.1.3.1.5). The value goes in quotes as UTF-16, over TLS only.
 *
 * Proof is Kerberos, not LDAP: for an hour after a change a domain controller lets the old password log in by LDAP too.
 */
import type { Secret } from '../../base/secret.ts';
import { tryWithin } from './budget.ts';
import type {
  ChangeAnswer,
  Connector,
  Login,
  LoginCredential,
  NewCredential,
  Place,
  Task,
  VerifyAnswer,
  Work,
} from './connector.ts';
import { changed, verified } from './directory/ad-results.ts';
import { type Directory, type Entry, openDirectory, type Replacement, textOf } from './directory/directory.ts';
import { attemptsLeft, type Domain, domainOf, findAccount, hindrance, logIn, mayReset } from './directory/domain.ts';
import { type Fault, isFault, unknown, unsent } from './directory/faults.ts';
import { provePassword } from './directory/kerberos.ts';
import { oneOf } from './parameters.ts';

export const ad: Connector = {
  name: 'ad',
  title: 'passwords of Active Directory accounts, by LDAPS with a delegated account, proven by Kerberos',
  kind: 'password',
  protocols: ['ldaps', 'ldap'],
  capabilities: { modes: ['self', 'admin'], via: false, adminverify: 'budget', fence: 'time', sends: 'value' },
  forbidden: '\0',
  retires: false,
  parameters: {
    verify: oneOf('what proves a password: Kerberos unless told; LDAP takes the old one for an hour too', [
      'kerberos',
      'ldaps',
    ]),
  },
  faultOfName,
  precheck: (work, signal) =>
    inDomain(work, signal, async (directory, domain) => {
      const entry = await findAccount(directory, domain, work.account);
      if (isFault(entry)) return unsent(entry);
      const hindered = hindrance(entry);
      if (hindered !== undefined)
        return { said: 'unsent', class: 'locked', words: `${work.account}: ${hindered.words}` };
      if (work.by.mode === 'self') return confirmed;
      const may = await mayReset(directory, entry);
      if (typeof may === 'object') return unsent(may);
      return may === false ? mayNot(work) : confirmed;
    }),
  change: (work, fresh, signal) =>
    inDomain(work, signal, async (directory, domain, sending) => {
      const entry = await findAccount(directory, domain, work.account);
      return isFault(entry) ? unsent(entry) : modify(directory, entry, replacements(work, fresh), sending);
    }),
  reconcile: (work, fresh, signal) =>
    inDomain(work, signal, async (directory, domain, sending) => {
      const entry = await findAccount(directory, domain, work.account);
      if (isFault(entry)) return unsent(entry);
      // In one operation, so that there is no new value behind a lock that stays.
      const locked = BigInt(textOf(entry, 'lockoutTime') ?? 0) > 0n;
      const unlock: Replacement = {
        attribute: 'lockoutTime',
        operation: 'replace',
        values: [new TextEncoder().encode('0')],
      };
      return modify(directory, entry, [...replacements(work, fresh), ...(locked ? [unlock] : [])], sending);
    }),
  verify: (task, login, signal) => verify(task, login, signal),
  adminverify: async (task, admin, candidates, budget, signal) => {
    const login = (credential: LoginCredential): Promise<VerifyAnswer> =>
      verify(task, { user: task.account, credential }, signal);
    if (admin === undefined) return tryWithin(budget, candidates, login);
    const left = await allowance(task, admin, budget, signal);
    return typeof left === 'number' ? tryWithin(left, candidates, login) : candidates.map(() => left);
  },
};

const confirmed: ChangeAnswer = { said: 'confirmed', class: 'none', words: '' };

/** What sAMAccountName and user principal names do not hold, and what our own writing of names would read as more. */
function faultOfName(account: string): string | undefined {
  return /^[^\p{Cc}"/\\[\]:;|=,+*?<>@]{1,64}(@[A-Za-z0-9.-]{1,255})?$/u.test(account) && account.trim() === account
    ? undefined
    : `${JSON.stringify(account)} is no login name of a domain`;
}

function mayNot({ by, account }: Work): ChangeAnswer {
  return {
    said: 'unsent',
    class: 'permission',
    words: `${by.login.user} has not the right "Reset Password" on ${account}`,
  };
}

/** Does something as whoever makes the change; what breaks before `sending` was certainly not sent. */
async function inDomain(
  { place, by }: Work,
  signal: AbortSignal,
  use: (directory: Directory, domain: Domain, sending: () => void) => Promise<ChangeAnswer>,
): Promise<ChangeAnswer> {
  const opened = await enter(place, by.login, signal);
  if (isFault(opened)) return unsent(opened);
  await using directory = opened.directory;
  let sent = false;
  const answer = await use(directory, opened.domain, () => {
    sent = true;
  });
  return answer.said === 'unsent' && sent ? { ...answer, said: 'uncertain' } : answer;
}

async function enter(
  place: Place,
  login: Login,
  signal: AbortSignal,
): Promise<{ readonly directory: Directory; readonly domain: Domain } | Fault> {
  const directory = await openDirectory(place, signal);
  if (isFault(directory)) return directory;
  const entered = await introduce(directory, place, login);
  if (!isFault(entered)) return { directory, domain: entered };
  await directory[Symbol.asyncDispose]();
  return entered;
}

async function introduce(directory: Directory, place: Place, login: Login): Promise<Domain | Fault> {
  const domain = await domainOf(directory, place);
  if (isFault(domain)) return domain;
  return (await logIn(directory, domain, login)) ?? domain;
}

async function modify(
  directory: Directory,
  entry: Entry,
  changes: readonly Replacement[],
  sending: () => void,
): Promise<ChangeAnswer> {
  sending();
  const result = await directory.modify(entry.dn, changes);
  return isFault(result) ? unsent(result) : changed(result);
}

/** By its own rights an account names the old value and the new one; by another's, the new one takes its place. */
function replacements({ by }: Work, fresh: NewCredential): readonly Replacement[] {
  const value = quoted(passwordOf(fresh));
  if (by.mode === 'admin') return [{ attribute: 'unicodePwd', operation: 'replace', values: [value] }];
  return [
    { attribute: 'unicodePwd', operation: 'delete', values: [quoted(passwordOf(by.login.credential))] },
    { attribute: 'unicodePwd', operation: 'add', values: [value] },
  ];
}

function passwordOf(credential: NewCredential | LoginCredential): Secret {
  if (credential.kind !== 'password') throw new TypeError('ad sets passwords');
  return credential.secret;
}

/** `unicodePwd`: the value in quotes, as UTF-16. Quotes inside stand for themselves. */
function quoted(secret: Secret): Uint8Array {
  if (secret.length === 0) throw new TypeError('an empty password is none');
  return Buffer.from(`"${secret.revealText()}"`, 'utf16le');
}

/**
 * A login as the account. The controller shows its certificate first, whatever the proof: Kerberos itself only proves the
 * server after it has seen something made of the password.
 */
async function verify({ place, settings }: Task, login: Login, signal: AbortSignal): Promise<VerifyAnswer> {
  const { user, credential } = login;
  if (credential.kind !== 'password')
    return unknown({ fault: 'unsupported', words: 'a directory takes passwords only' });
  const opened = await openDirectory(place, signal);
  if (isFault(opened)) return unknown(opened);
  await using directory = opened;
  const domain = await domainOf(directory, place);
  if (isFault(domain)) return unknown(domain);
  if (settings['verify'] === 'ldaps') {
    const name = user.includes('@') ? user : `${user}@${domain.realm.toLowerCase()}`;
    const result = await directory.bind(name, credential.secret);
    return isFault(result) ? unknown(result) : verified(user, result);
  }
  const port = typeof place.settings['kerberosPort'] === 'number' ? place.settings['kerberosPort'] : 88;
  return await provePassword({ host: place.address, port, realm: domain.realm }, user, credential.secret, signal);
}

/** How many refused logins the account takes without being locked, at most `budget`; or why none may be tried. */
async function allowance(
  task: Task,
  admin: Login,
  budget: number,
  signal: AbortSignal,
): Promise<number | VerifyAnswer> {
  const opened = await enter(task.place, admin, signal);
  if (isFault(opened)) return unknown(opened);
  await using directory = opened.directory;
  const entry = await findAccount(directory, opened.domain, task.account);
  if (isFault(entry)) return unknown(entry);
  const hindered = hindrance(entry);
  if (hindered !== undefined) return unknown({ fault: 'locked', words: `${task.account}: ${hindered.words}` });
  const left = await attemptsLeft(directory, opened.domain, entry);
  if (typeof left === 'object') return unknown(left);
  return left === undefined ? budget : Math.min(budget, left);
}
