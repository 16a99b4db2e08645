/**
 * Which accounts a server has for a user, read with an administrator's rights: the account meant, its namesakes, and the
 * anonymous ones, because a login from here may become any of them. Says when a login cannot prove the account's password.
 */
import { utf8, hex } from '../../base/bytes.ts';
import type { Task } from './connector.ts';
import { type Row, textOf } from './mysql-client.ts';
import {
  type ClientHost,
  faultOfAccount,
  isAccount,
  matching,
  type MysqlAccount,
  parseAccount,
  showAccount,
} from './wire/mysql-account.ts';
import { type AccountRow, parsePriv, type Server } from './wire/mysql-row.ts';

export interface Rows {
  /** Those whose password is meant: one, or all of the user's. */
  readonly meant: readonly AccountRow[];
  /** Why a login from here proves nothing about one of them; undefined when it does. */
  readonly unprovable: string | undefined;
}

/** The statement that reads them. The name goes in as hex, which means the same in every mode. */
export function rowsQuery(server: Server, user: string): string {
  const names = `(x'${hex(utf8(user))}', '')`;
  return server.family === 'mariadb'
    ? `SELECT User AS user, Host AS host, Priv AS priv FROM mysql.global_priv WHERE User IN ${names} LIMIT 1000`
    : `SELECT User AS user, Host AS host, plugin, authentication_string, account_locked, password_expired, ssl_type
         FROM mysql.user WHERE User IN ${names} LIMIT 1000`;
}

/** Reads the answer; words when it holds something that cannot be handled. */
export function readRows(
  server: Server,
  task: Task,
  answer: readonly Row[],
  client: ClientHost,
): Rows | { readonly unsupported: string } {
  const wanted = parseAccount(task.account);
  const all: AccountRow[] = [];
  for (const row of answer) {
    const account = { user: textOf(row['user']), host: textOf(row['host']) };
    const parsed = server.family === 'mariadb' ? parsePriv(account, textOf(row['priv'])) : fromColumns(account, row);
    if (parsed === 'role') continue;
    if (parsed === undefined)
      return { unsupported: `what the server keeps of ${showAccount(account)} has no known form` };
    all.push(parsed);
  }
  const meant = all.filter((row) => (allHosts(task) ? row.user === wanted.user : isAccount(row, wanted)));
  const odd = meant.map(faultOfAccount).find((fault) => fault !== undefined);
  if (odd !== undefined) return { unsupported: odd };
  return { meant, unprovable: unprovableOf(task, meant, all, client) };
}

function unprovableOf(
  task: Task,
  meant: readonly AccountRow[],
  all: readonly AccountRow[],
  client: ClientHost,
): string | undefined {
  const { user } = parseAccount(task.account);
  const met = matching(all, user, client);
  if (met === undefined) return `no account of ${user} takes a login from ${client.host}`;
  if (!meant.includes(met))
    return `a login from ${client.host} becomes ${showAccount(met)} and proves nothing of ${showAccount(parseAccount(task.account))}`;
  if (met.needs === 'client-certificate')
    return `${showAccount(met)} asks for a certificate of the client's besides its password`;
  if (met.needs === 'tls' && task.place.tls.kind === 'off')
    return `${showAccount(met)} asks for TLS, and the service is declared without`;
  return undefined;
}

/** All accounts of the user get the same password, in one step. */
export function allHosts(task: Task): boolean {
  return task.settings['hosts'] === 'all';
}

function fromColumns(account: MysqlAccount, row: Row): AccountRow {
  const ssl = textOf(row['ssl_type']);
  return {
    ...account,
    methods: [{ plugin: textOf(row['plugin']), stored: textOf(row['authentication_string']) }],
    locked: row['account_locked'] === 'Y',
    expired: row['password_expired'] === 'Y',
    needs: ssl === '' ? 'nothing' : ssl === 'ANY' ? 'tls' : 'client-certificate',
  };
}
