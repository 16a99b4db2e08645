/**
 * Passwords of accounts of MariaDB and MySQL, each a user and a host part (`app@%`). Only a hash is sent, made here for
 * the plugin that the account has, so that neither the general log nor the binary log ever holds a new password. No
 * statement is prepared: ALTER USER cannot be. A hash that has no known form is not made up: such accounts are refused.
 */
import { tryWithin } from './budget.ts';
import type { Connector, Login, Task, VerifyAnswer } from './connector.ts';
import { change, faultOfValue, fence, precheck } from './mysql-change.ts';
import { faultOfMysql, type MysqlFault, openMysql, textOf } from './mysql-client.ts';
import { allHosts } from './mysql-rows.ts';
import { storedVerdicts } from './mysql-stored.ts';
import { oneOf } from './parameters.ts';
import { faultOfAccount, hostMatches, isAccount, parseAccount, showAccount } from './wire/mysql-account.ts';

export const mysql: Connector = {
  name: 'mysql',
  title: 'passwords of MariaDB and MySQL accounts, by ALTER USER with a hash',
  kind: 'password',
  protocols: ['mysql'],
  capabilities: { modes: ['self', 'admin'], via: false, adminverify: 'stored', fence: 'sessions', sends: 'verifier' },
  forbidden: '\0',
  retires: false,
  refusalsMislead: true,
  parameters: {
    hosts: oneOf(
      'whether the accounts of this user on other hosts get the same password in the same step; one unless told',
      ['one', 'all'],
    ),
  },
  faultOfName: (account) => faultOfAccount(parseAccount(account)),
  faultOfValue,
  precheck,
  change,
  fence,
  verify: tryLogin,
  adminverify: async (task, admin, candidates, budget, signal) => {
    const stored = admin === undefined ? undefined : await storedVerdicts(task, admin, candidates, signal);
    if (stored !== undefined && stored !== 'free') return stored.each;
    return await tryWithin(budget, candidates, (credential) =>
      tryLogin(task, { user: task.account, credential }, signal),
    );
  },
};

/** A login, and the question whose it became: a more exact host part may have taken it, and then it proves nothing. */
async function tryLogin(task: Task, login: Login, signal: AbortSignal): Promise<VerifyAnswer> {
  const session = await openMysql(task.place, login, 'sallyport', signal);
  if ('fault' in session) return verdictOf(task, session);
  using _ = session;
  try {
    const [rows] = await session.query('SELECT CURRENT_USER() AS matched');
    const matched = parseAccount(textOf(rows?.[0]?.['matched']));
    const wanted = parseAccount(task.account);
    if (allHosts(task) ? matched.user === wanted.user : isAccount(matched, wanted))
      return { answer: 'accepted', class: 'none', words: '' };
    const words = `the login became ${showAccount(matched)} and proves nothing of ${showAccount(wanted)}`;
    return { answer: 'unknown', class: 'unsupported', words };
  } catch (error) {
    signal.throwIfAborted();
    return verdictOf(task, faultOfMysql(error));
  }
}

function verdictOf(task: Task, { fault, words, address }: MysqlFault): VerifyAnswer {
  // Only a right password is told that it has expired.
  if (fault === 'expired') return { answer: 'accepted', class: 'expired', words };
  if (fault !== 'authentication') return { answer: 'unknown', class: fault, words };
  const from = refusedFrom(words);
  const { host } = parseAccount(task.account);
  const client = from === undefined ? undefined : { host: from, ...(address === undefined ? {} : { address }) };
  if (client === undefined || allHosts(task) || hostMatches(host, client))
    return { answer: 'rejected', class: 'authentication', words };
  const unprovable = `this login comes from ${from}, and the account takes logins from ${host} only`;
  return { answer: 'unknown', class: 'unsupported', words: unprovable };
}

/** "Access denied for user 'app'@'10.0.0.7' (using password: YES)", in whatever language. */
function refusedFrom(words: string): string | undefined {
  return /'[^']{0,128}'@'([^']{1,255})'/.exec(words)?.[1];
}
