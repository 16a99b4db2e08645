/** Which candidate a MariaDB or MySQL server keeps, compared here with what an administrator may read: no login is counted. */
import type { Login, LoginCredential, Task, VerifyAnswer } from './connector.ts';
import { faultOfMysql, type MysqlSession, openMysql } from './mysql-client.ts';
import { readRows, rowsQuery } from './mysql-rows.ts';
import { isStoredAs } from './mysql-secret.ts';
import { parseAccount, showAccount } from './wire/mysql-account.ts';
import type { AccountRow } from './wire/mysql-row.ts';

/** `each`: the answers. `free`: what is kept cannot be compared, and the server locks nobody for refused logins. */
export type Looked = { readonly each: readonly VerifyAnswer[] } | 'free';

/**
 * Undefined when the administrator did not get in. Where he may not read what is kept and the server may lock an account,
 * nothing is tried: how many refused logins it has counted is not shown, and the next one may be the last.
 */
export async function storedVerdicts(
  task: Task,
  admin: Login,
  candidates: readonly LoginCredential[],
  signal: AbortSignal,
): Promise<Looked | undefined> {
  const session = await openMysql(task.place, admin, 'sallyport', signal);
  if ('fault' in session) return undefined;
  using _ = session;
  const { user } = parseAccount(task.account);
  let why: Pick<VerifyAnswer, 'class' | 'words'> = { class: 'unsupported', words: '' };
  try {
    const [, answer] = await session.query('SET NAMES utf8mb4', rowsQuery(session.server, user));
    const rows = readRows(session.server, task, answer ?? [], { host: '' });
    if ('unsupported' in rows) why = { class: 'unsupported', words: rows.unsupported };
    else if (rows.meant.length === 0) why = { class: 'missing', words: `there is no account ${task.account}` };
    else return { each: candidates.map((candidate) => compare(candidate, rows.meant)) };
  } catch (error) {
    signal.throwIfAborted();
    const { fault, words } = faultOfMysql(error);
    why = { class: fault, words };
  }
  const lock = await lockOutOf(session, signal);
  if (lock === undefined) return 'free';
  const unknown = { answer: 'unknown', class: why.class, words: `${why.words}; not tried: ${lock}` } as const;
  return { each: candidates.map(() => unknown) };
}

/** MariaDB's `max_password_errors` when nobody is to be locked: the highest there is, and the default. */
const never = 4_294_967_295;

/** How the server may lock an account for refused logins; undefined where it does not. */
async function lockOutOf({ server, query }: MysqlSession, signal: AbortSignal): Promise<string | undefined> {
  if (server.family === 'mysql')
    // FAILED_LOGIN_ATTEMPTS came with 8.0; it stands in the row that cannot be used.
    return server.major < 8 ? undefined : 'whether the account has FAILED_LOGIN_ATTEMPTS is not known';
  try {
    const [limit] = await query('SELECT @@GLOBAL.max_password_errors AS most');
    const most = Number(limit?.[0]?.['most']);
    if (most >= never) return undefined;
    return `the server locks after ${most} refused logins (max_password_errors) and does not show how many there were`;
  } catch (error) {
    signal.throwIfAborted();
    // A server that has no such variable locks nobody.
    const { words, number } = faultOfMysql(error);
    return number === 1193 ? undefined : `it is not known whether the server locks accounts: ${words}`;
  }
}

function compare(candidate: LoginCredential, rows: readonly AccountRow[]): VerifyAnswer {
  const how = 'stored' as const;
  if (candidate.kind !== 'password')
    return { answer: 'rejected', class: 'unsupported', words: 'it is no password', how };
  const fits = rows.map((row) => fitsOne(row, candidate));
  if (fits.includes(undefined)) {
    const words = 'the server keeps the password in a form that is not known here';
    return { answer: 'unknown', class: 'unsupported', words, how };
  }
  const others = rows.filter((_, at) => fits[at] === false);
  if (others.length === rows.length)
    return { answer: 'rejected', class: 'authentication', words: 'it is not what the server keeps', how };
  if (others.length > 0) {
    const words = `another value is kept for ${others.map(showAccount).join(', ')}`;
    return { answer: 'unknown', class: 'unexpected', words, how };
  }
  const locked = rows.find((row) => row.locked);
  if (locked !== undefined)
    return { answer: 'accepted', class: 'locked', words: `${showAccount(locked)} is locked`, how };
  const expired = rows.find((row) => row.expired);
  if (expired === undefined) return { answer: 'accepted', class: 'none', words: '', how };
  return { answer: 'accepted', class: 'expired', words: `the password of ${showAccount(expired)} has expired`, how };
}

/** Any of an account's ways lets in. */
function fitsOne(row: AccountRow, candidate: LoginCredential & { readonly kind: 'password' }): boolean | undefined {
  const each = row.methods.map(({ plugin, stored }) => isStoredAs(plugin, stored, candidate.secret));
  if (each.includes(true)) return true;
  return each.every((one) => one === undefined) ? undefined : false;
}
