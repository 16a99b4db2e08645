/**
 * Passwords of entries in an LDAP directory, changed by the password modify operation (RFC 3062), so that the server
 * hashes the value and applies its policy. Needs LDAPS or StartTLS, and an administrator who may write `userPassword`
 * below some branch; the root of a directory stands above its policy, so it sets what the policy forbids.
 *
 * Proof is a bind on a connection of its own. Whoever may read `userPassword` compares instead, and nothing is counted.
 */
import type { Secret } from '../../base/secret.ts';
import { randomBytes } from 'node:crypto';
import { tryWithin } from './budget.ts';
import type {
  ChangeAnswer,
  Connector,
  Login,
  LoginCredential,
  NewCredential,
  Task,
  VerifyAnswer,
  Work,
} from './connector.ts';
import { attemptsLeft, isLocked, policyAttributes, policyOf } from './directory/account-policy.ts';
import { type Directory, type Entry, isResult, openDirectory, textOf } from './directory/directory.ts';
import { type Fault, isFault, unknown, unsent } from './directory/faults.ts';
import { changed, faultOfBind, faultOfResult, verified } from './directory/ldap-results.ts';
import { dnOf, findEntry, placeholder } from './directory/entries.ts';
import { isStored } from './directory/stored.ts';
import { text } from './parameters.ts';

export const ldap: Connector = {
  name: 'ldap',
  title: 'passwords of LDAP entries, by the password modify operation over TLS',
  kind: 'password',
  protocols: ['ldaps', 'ldap'],
  capabilities: { modes: ['self', 'admin'], via: false, adminverify: 'stored', fence: 'time', sends: 'value' },
  // A brace: at the beginning of a value it could be taken for the name of a hash.
  forbidden: '\0{',
  retires: false,
  parameters: {
    user_dn_pattern: text(
      `the entry of an account, with ${placeholder} for its name; searched for unless told`,
      `a distinguished name with ${placeholder} in it`,
      /^[^{}]*=\{account\}[^{}]*$/,
    ),
    search_base: text(
      'where entries are searched for; the only branch of the server unless told',
      'a distinguished name',
      /^.+=.+$/,
    ),
    user_attribute: text(
      'the attribute that holds the name of an account; uid unless told',
      'an attribute',
      /^[A-Za-z][A-Za-z0-9-]*$/,
    ),
    password_policy: text('the policy of entries that name none, for its lock-out', 'a distinguished name', /^.+=.+$/),
  },
  faultOfName: (account) =>
    /^[^\p{Cc}]{1,256}$/u.test(account) && account.trim() === account
      ? undefined
      : `${JSON.stringify(account)} is no name of an entry`,
  precheck: (work, signal) =>
    inDirectory(work, signal, async (directory, login) => {
      // It has just logged in; where it must change its password, it may not do anything else any more.
      if (work.by.mode === 'self') return confirmed;
      const entry = await findEntry(directory, work, policyAttributes);
      if (isFault(entry)) return unsent(entry);
      if (isLocked(entry, await policyOf(directory, entry, work), Date.now()))
        return { said: 'unsent', class: 'locked', words: `${work.account} is locked` };
      return (await mayNot(directory, entry, work)) ?? (await aboveRules(directory, login));
    }),
  change: (work, fresh, signal) => set(work, fresh, ['pwdReset'], signal),
  reconcile: (work, fresh, signal) => set(work, fresh, ['pwdReset', 'pwdAccountLockedTime'], signal),
  verify,
  adminverify: async (task, admin, candidates, budget, signal) => {
    const login = (credential: LoginCredential): Promise<VerifyAnswer> =>
      verify(task, { user: task.account, credential }, signal);
    if (admin === undefined) return tryWithin(budget, candidates, login);
    const opened = await enter(task, admin, signal);
    if (isFault(opened)) return candidates.map(() => unknown(opened));
    await using directory = opened.directory;
    const entry = await findEntry(directory, task, ['userPassword', ...policyAttributes]);
    if (isFault(entry)) return candidates.map(() => unknown(entry));
    const compared = candidates.map((candidate) => compare(entry, candidate));
    if (compared.every((one) => one !== undefined)) return compared;
    const policy = await policyOf(directory, entry, task);
    if (isLocked(entry, policy, Date.now()))
      return candidates.map(() => unknown({ fault: 'locked', words: `${task.account} is locked` }));
    return await tryWithin(attemptsLeft(entry, policy, budget), candidates, login);
  },
};

const confirmed: ChangeAnswer = { said: 'confirmed', class: 'none', words: '' };

/** Sets the value; by an administrator's hands also lifts the marks that would keep it from being used. */
async function set(
  work: Work,
  fresh: NewCredential,
  marks: readonly string[],
  signal: AbortSignal,
): Promise<ChangeAnswer> {
  const value = passwordOf(fresh);
  if (looksHashed(value))
    return { said: 'unsent', class: 'policy', words: 'a value that begins with a brace could be stored as a hash' };
  return inDirectory(work, signal, async (directory, login, sending) => {
    const self = work.by.mode === 'self';
    const entry = self ? { dn: login } : await findEntry(directory, work, ['1.1']);
    if (isFault(entry)) return unsent(entry);
    sending();
    const old = self ? passwordOf(work.by.login.credential) : undefined;
    const result = await directory.setPassword(entry.dn, old, value);
    if (isFault(result)) return unsent(result);
    return result.code !== 0 || self ? changed(result) : await lift(directory, entry.dn, marks);
  });
}

/** Servers take such a value for one that is hashed already, and then nobody knows the password (RFC 2307 §5.3). */
function looksHashed(value: Secret): boolean {
  return value.reveal()[0] === 0x7b;
}

/** `pwdReset` makes a new value good for one thing only, to be changed again; a lock-out makes it good for nothing. */
async function lift(directory: Directory, dn: string, marks: readonly string[]): Promise<ChangeAnswer> {
  const found = await directory.search(dn, { scope: 'base' }, marks);
  const [entry] = isFault(found) || isResult(found) ? [] : found;
  for (const attribute of marks) {
    const value = entry === undefined ? undefined : textOf(entry, attribute);
    if (value === undefined || value === 'FALSE') continue;
    const lifted = await directory.modify(dn, [{ attribute, operation: 'delete', values: [] }]);
    if (!isFault(lifted) && lifted.code === 0) continue;
    const kind = attribute === 'pwdReset' ? 'expired' : 'locked';
    return {
      said: 'confirmed',
      class: kind,
      words: `it is set, and ${attribute} could not be taken away: ${lifted.words}`,
    };
  }
  return confirmed;
}

/** A bind, on a connection of its own. */
async function verify(task: Task, { user, credential }: Login, signal: AbortSignal): Promise<VerifyAnswer> {
  if (credential.kind !== 'password')
    return unknown({ fault: 'unsupported', words: 'a directory takes passwords only' });
  const opened = await openDirectory(task.place, signal);
  if (isFault(opened)) return unknown(opened);
  await using directory = opened;
  const dn = await dnOf(directory, task, user);
  if (isFault(dn)) return unknown(dn);
  const result = await directory.bind(dn.dn, credential.secret);
  return isFault(result) ? unknown(result) : verified(user, result);
}

/** The answer of what is stored; undefined if it cannot be read or is not known here. */
function compare(entry: Entry, candidate: LoginCredential): VerifyAnswer | undefined {
  const same = isStored(passwordOf(candidate), entry.values('userPassword'));
  if (same === undefined) return undefined;
  return same
    ? { answer: 'accepted', class: 'none', words: '', how: 'stored' }
    : { answer: 'rejected', class: 'authentication', words: 'it is not the stored one', how: 'stored' };
}

/**
 * Whether the administrator lacks the right to write this entry's password, found out without changing anything: asked to
 * take away a value that nobody has, a server refuses for want of the right before it looks for the value.
 */
async function mayNot(directory: Directory, entry: Entry, { by, account }: Work): Promise<ChangeAnswer | undefined> {
  const nothing = [{ attribute: 'userPassword', operation: 'delete', values: [randomBytes(32)] }] as const;
  const result = await directory.modify(entry.dn, nothing);
  if (isFault(result)) return unsent(result);
  if (changed(result).class !== 'permission' || result.policy?.complaint !== undefined) return undefined;
  return { said: 'unsent', class: 'permission', words: `${by.login.user} may not write the password of ${account}` };
}

/** A login that is no entry is the directory's root: nothing it does is held against the policy. */
async function aboveRules(directory: Directory, login: string): Promise<ChangeAnswer> {
  const found = await directory.search(login, { scope: 'base' }, ['objectClass']);
  const missing = isResult(found) && faultOfResult(found).fault === 'missing';
  return missing
    ? { ...confirmed, words: `${login} is no entry of the directory: its policy will not be applied` }
    : confirmed;
}

/** Does something as whoever makes the change; what breaks before `sending` was certainly not sent. */
async function inDirectory(
  work: Work,
  signal: AbortSignal,
  use: (directory: Directory, login: string, sending: () => void) => Promise<ChangeAnswer>,
): Promise<ChangeAnswer> {
  const opened = await enter(work, work.by.login, signal);
  if (isFault(opened)) return unsent(opened);
  await using directory = opened.directory;
  let sent = false;
  const answer = await use(directory, opened.dn, () => {
    sent = true;
  });
  return answer.said === 'unsent' && sent ? { ...answer, said: 'uncertain' } : answer;
}

async function enter(
  task: Task,
  { user, credential }: Login,
  signal: AbortSignal,
): Promise<{ readonly directory: Directory; readonly dn: string } | Fault> {
  const directory = await openDirectory(task.place, signal);
  if (isFault(directory)) return directory;
  const dn = await dnOf(directory, task, user);
  const bound = isFault(dn) ? dn : await directory.bind(dn.dn, passwordOf(credential));
  if (!isFault(dn) && !isFault(bound) && bound.code === 0) return { directory, dn: dn.dn };
  await directory[Symbol.asyncDispose]();
  return isFault(bound) ? bound : faultOfBind(user, bound);
}

function passwordOf(credential: NewCredential | LoginCredential): Secret {
  if (credential.kind !== 'password') throw new TypeError('ldap sets passwords');
  return credential.secret;
}
