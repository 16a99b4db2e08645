/**
 * Changing an account of MariaDB or MySQL: look, take the lock that bears the change's name, send one statement. A
 * fence finds the session by that lock. INVARIANT: the statement leaves us only after the answer that the lock is ours.
 */
import { isUtf8 } from 'node:buffer';
import type { Secret } from '../../base/secret.ts';
import type { AnswerClass, ChangeAnswer, NewCredential, Work } from './connector.ts';
import { faultOfMysql, type MysqlSession, openMysql, type Row, textOf } from './mysql-client.ts';
import { allHosts, readRows, type Rows, rowsQuery } from './mysql-rows.ts';
import { isPasswordPlugin, storedForm } from './mysql-secret.ts';
import { type ClientHost, isAccount, parseAccount, showAccount } from './wire/mysql-account.ts';
import { type AccountRow, pluginsShown } from './wire/mysql-row.ts';
import { alterStatement, ownStatement, withStored } from './wire/mysql-statement.ts';

const done: ChangeAnswer = { said: 'confirmed', class: 'none', words: '' };

export async function precheck(work: Work, signal: AbortSignal): Promise<ChangeAnswer> {
  return await onServer(work, signal, async (session) => {
    const plan = await planOf(session, work, undefined);
    if ('said' in plan) return plan;
    const missing = work.by.mode === 'admin' && !(await maySet(session));
    if (missing) return unsent('permission', `${work.by.login.user} lacks the CREATE USER privilege`);
    const { rows } = plan;
    const locked = rows?.meant.find((row) => row.locked);
    if (locked !== undefined) return unsent('locked', `${showAccount(locked)} is locked (ACCOUNT LOCK)`);
    return rows?.unprovable === undefined ? done : { ...done, class: 'unsupported', words: rows.unprovable };
  });
}

export async function change(work: Work, fresh: NewCredential, signal: AbortSignal): Promise<ChangeAnswer> {
  if (fresh.kind !== 'password') throw new TypeError('mysql sets passwords');
  const { secret } = fresh;
  const fault = faultOfValue(secret);
  if (fault !== undefined) return unsent('policy', fault);
  return await onServer(work, signal, async (session) => {
    const plan = await planOf(session, work, secret);
    if ('said' in plan) return plan;
    try {
      await session.query(plan.statement);
    } catch (error) {
      signal.throwIfAborted();
      return refusalOf(error, plan.rows?.meant.length ?? 1);
    }
    const { rows } = plan;
    if (rows === undefined || (rows.meant.length === 1 && rows.unprovable === undefined)) return done;
    return await readBack(session, work, rows);
  });
}

/**
 * Ends the session that holds the change's lock. While it holds it the statement may still land; once it does not,
 * the statement was never sent, or the session has ended.
 */
export async function fence(work: Work, signal: AbortSignal): Promise<ChangeAnswer> {
  return await onServer(work, signal, async (session) => {
    try {
      for (;;) {
        const [holder] = await session.query(`SELECT IS_USED_LOCK('${lockName(work)}') AS id`);
        const id = Number(holder?.[0]?.['id'] ?? 0);
        if (id === 0) return done;
        await session.query(`KILL ${id}`).catch((error: unknown) => {
          // Somebody, or itself, was faster.
          if (faultOfMysql(error).number !== 1094) throw error;
        });
        // The server waits, not we: a session needs a moment to end.
        await session.query('SELECT SLEEP(0.02)');
      }
    } catch (error) {
      signal.throwIfAborted();
      const { fault, words, number } = faultOfMysql(error);
      const kind = number === 1095 ? 'permission' : fault;
      return { said: 'uncertain', class: kind, words: `the session of ${work.tag} could not be ended: ${words}` };
    }
  });
}

/** Drivers send passwords as text that ends with a zero byte. */
export function faultOfValue(secret: Secret): string | undefined {
  const bytes = secret.reveal();
  if (bytes.length > 0 && !bytes.includes(0) && isUtf8(bytes)) return undefined;
  return 'a password of MySQL is text that is not empty and holds no zero byte';
}

interface Plan {
  readonly statement: string;
  /** What an administrator sees; undefined where an account changes itself. */
  readonly rows: Rows | undefined;
}

/** Looks, takes the lock if there is a secret to be set, and makes the statement. Nothing is changed yet. */
async function planOf(session: MysqlSession, work: Work, secret: Secret | undefined): Promise<Plan | ChangeAnswer> {
  const own = work.by.mode === 'self';
  const { user } = parseAccount(work.account);
  try {
    const [, , who, locks, answer] = await session.query(
      'SET NAMES utf8mb4',
      `SET SESSION ${limits(session, work)}`,
      'SELECT USER() AS client, CURRENT_USER() AS matched',
      // Waits for a session of the same change that was cut off a moment ago; the fence is for those that stay.
      secret === undefined ? 'SELECT 1 AS got' : `SELECT GET_LOCK('${lockName(work)}', 2) AS got`,
      own ? 'SHOW CREATE USER CURRENT_USER()' : rowsQuery(session.server, user),
    );
    if (Number(locks?.[0]?.['got'] ?? 0) !== 1)
      return unsent('unexpected', `another session is at work on ${work.tag}`);
    const { client, matched } = who?.[0] ?? {};
    return own
      ? ownPlan(session, work, textOf(matched), answer ?? [], secret)
      : adminPlan(session, work, clientOf(session, textOf(client)), answer ?? [], secret);
  } catch (error) {
    const { fault, words } = faultOfMysql(error);
    return unsent(fault, words);
  }
}

/** `lock_wait_timeout` alone does not end a wait for FLUSH TABLES WITH READ LOCK; MariaDB's `max_statement_time` does. */
function limits({ server }: MysqlSession, { targetSeconds }: Work): string {
  const seconds = Math.max(1, Math.floor(targetSeconds));
  const statement = server.family === 'mariadb' ? `, max_statement_time = ${seconds}` : '';
  return `sql_mode = '', lock_wait_timeout = ${seconds}${statement}`;
}

function adminPlan(
  session: MysqlSession,
  work: Work,
  client: ClientHost,
  answer: readonly Row[],
  secret: Secret | undefined,
): Plan | ChangeAnswer {
  const rows = readRows(session.server, work, answer, client);
  if ('unsupported' in rows) return unsent('unsupported', rows.unsupported);
  if (rows.meant.length === 0)
    return unsent('missing', `there is no account ${showAccount(parseAccount(work.account))}`);
  const able: AccountRow[] = [];
  for (const row of rows.meant) {
    const one = withStored(row, (plugin) => formFor(plugin, session, secret));
    if ('unsupported' in one) return unsent('unsupported', one.unsupported);
    able.push(one);
  }
  return { statement: alterStatement(session.server, able), rows: { ...rows, meant: able } };
}

function ownPlan(
  session: MysqlSession,
  work: Work,
  matched: string,
  answer: readonly Row[],
  secret: Secret | undefined,
): Plan | ChangeAnswer {
  if (session.server.family === 'mysql')
    return unsent('unsupported', 'on MySQL an account cannot set its own hash; give it an administrator account');
  if (allHosts(work)) return unsent('unsupported', 'all hosts of a user are changed by an administrator account only');
  const [met, wanted] = [parseAccount(matched), parseAccount(work.account)];
  if (!isAccount(met, wanted))
    return unsent(
      'unsupported',
      `a login from here becomes ${showAccount(met)} and cannot change ${showAccount(wanted)}`,
    );
  const plugins = pluginsShown(textOf(Object.values(answer[0] ?? {})[0]));
  const forms = plugins.map((plugin) => formFor(plugin, session, secret)).filter((form) => form !== undefined);
  const [form] = forms;
  if (form === undefined || forms.length !== 1)
    return unsent(
      'unsupported',
      `the account logs in by ${plugins.join(' or ') || 'nothing known'}, for which no hash can be made here`,
    );
  return { statement: ownStatement(session.server, form), rows: undefined };
}

/** Without a secret, for a check only, an empty form. MySQL has no ed25519 plugin of this kind. */
function formFor(plugin: string, { server }: MysqlSession, secret: Secret | undefined): string | undefined {
  if (!isPasswordPlugin(plugin) || (server.family === 'mysql' && plugin !== 'mysql_native_password')) return undefined;
  return secret === undefined ? '' : storedForm(plugin, secret);
}

/** `mng@db-client`: the host is what the server calls us. */
function clientOf({ address }: MysqlSession, client: string): ClientHost {
  const { host } = parseAccount(client);
  return { host, ...(address === undefined ? {} : { address }) };
}

/** Where no login can prove it, or several accounts were changed, what is stored is read again. */
async function readBack(session: MysqlSession, work: Work, rows: Rows): Promise<ChangeAnswer> {
  const { user } = parseAccount(work.account);
  try {
    const [answer] = await session.query(rowsQuery(session.server, user));
    const now = readRows(session.server, work, answer ?? [], { host: '' });
    const left =
      'unsupported' in now ? rows.meant : rows.meant.filter((row) => !now.meant.some((one) => sameMethods(one, row)));
    if (left.length > 0)
      return {
        said: 'uncertain',
        class: 'unexpected',
        words: `not changed all the same: ${left.map(showAccount).join(', ')}`,
      };
    return rows.unprovable === undefined ? done : { ...done, class: 'unsupported', words: rows.unprovable };
  } catch (error) {
    return { ...done, words: `it was acknowledged, and could not be read again: ${faultOfMysql(error).words}` };
  }
}

function sameMethods(a: AccountRow, b: AccountRow): boolean {
  const texts = [a, b].map((row) => JSON.stringify(row.methods));
  return isAccount(a, b) && texts[0] === texts[1];
}

/**
 * The same error, 1396, is said for an account that is not there and for a rule about passwords that refuses a hash. The
 * account was seen a moment ago, so it is the rule. Of several accounts some may have been changed before the error.
 */
function refusalOf(error: unknown, accounts: number): ChangeAnswer {
  const { fault, words, number } = faultOfMysql(error);
  if (number === 0 || fault === 'cut') return { said: 'uncertain', class: 'cut', words };
  const said = accounts > 1 ? 'uncertain' : 'failed';
  if (number === 1396 || (number === 1290 && /strict.password.validation/.test(words)))
    return {
      said,
      class: 'policy',
      words: `${words}: a plugin for password rules refuses every hash while strict_password_validation is ON`,
    };
  if (number === 1290) return { said, class: 'unsupported', words };
  return { said, class: fault, words };
}

/** CREATE USER, or UPDATE everywhere; a role that is set may bring it, and is believed. */
async function maySet(session: MysqlSession): Promise<boolean> {
  const mine = `CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')`;
  const [rows] = await session.query(
    `SELECT COUNT(*) AS granted, CURRENT_ROLE() AS role FROM information_schema.USER_PRIVILEGES
       WHERE GRANTEE = ${mine} AND PRIVILEGE_TYPE IN ('CREATE USER', 'UPDATE')`,
  );
  const { granted, role } = rows?.[0] ?? {};
  return Number(granted) > 0 || (typeof role === 'string' && role !== 'NONE');
}

async function onServer(
  work: Work,
  signal: AbortSignal,
  use: (session: MysqlSession) => Promise<ChangeAnswer>,
): Promise<ChangeAnswer> {
  const session = await openMysql(work.place, work.by.login, work.tag, signal);
  if ('fault' in session) return unsent(session.fault, session.words);
  using _ = session;
  try {
    return await use(session);
  } finally {
    signal.throwIfAborted();
  }
}

/** The tag, which is ours; anything else in it could not be a lock's name. */
function lockName({ tag }: Work): string {
  if (!/^[A-Za-z0-9-]{1,64}$/.test(tag)) throw new TypeError('a tag is letters, digits and dashes');
  return tag;
}

function unsent(kind: AnswerClass, words: string): ChangeAnswer {
  return { said: 'unsent', class: kind, words };
}
