/** Which candidate a MariaDB or MySQL server keeps, compared here with what an administrator may read: no login is counted. */
import type { Login, LoginCredential, Task, VerifyAnswer } from './connector.ts';
import { faultOfMysql, openMysql } from './mysql-client.ts';
import { readRows, rowsQuery } from './mysql-rows.ts';
import { isStoredAs } from './mysql-secret.ts';
import { parseAccount, showAccount } from './wire/mysql-account.ts';
import type { AccountRow } from './wire/mysql-row.ts';

/** `each`: the answers. `budget`: it may not be read; so many refused logins are harmless, as the server says. */
export type Looked = { readonly each: readonly VerifyAnswer[] } | { readonly budget: number | undefined };

/** Undefined when the administrator did not get in. */
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
  try {
    const [, answer] = await session.query('SET NAMES utf8mb4', rowsQuery(session.server, user));
    const rows = readRows(session.server, task, answer ?? [], { host: '' });
    if ('unsupported' in rows || rows.meant.length === 0) return { budget: undefined };
    return { each: candidates.map((candidate) => compare(candidate, rows.meant)) };
  } catch (error) {
    signal.throwIfAborted();
    if (faultOfMysql(error).fault !== 'permission' || session.server.family !== 'mariadb') return { budget: undefined };
    const [limit] = await session.query('SELECT @@max_password_errors AS most');
    const most = Number(limit?.[0]?.['most']);
    return { budget: Number.isInteger(most) ? Math.max(0, most - 1) : undefined };
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
