/**
 * Passwords of PostgreSQL roles. Only the SCRAM-SHA-256 verifier is sent, computed here with a salt of its own, so that
 * the server, its log and its statistics never hold a new password; every server from version 10 takes it, whatever its
 * `password_encryption` says. A name goes into SQL as a quoted identifier; nothing else of ours does but the verifier.
 */
import { randomBytes } from 'node:crypto';
import { utf8 } from '../../base/bytes.ts';
import { codeOf, wordsOf } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { tryWithin } from './budget.ts';
import type {
  AnswerClass,
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
import { openPostgres, type PostgresFault, type PostgresSession } from './postgres-client.ts';
import { borrowPostgres } from './postgres-sessions.ts';
import { faultOfPassword, isStored, scramVerifier } from './postgres-secret.ts';
import { preconditions } from './postgres-precheck.ts';

export const postgres: Connector = {
  name: 'postgres',
  title: 'passwords of PostgreSQL roles, by ALTER ROLE with a SCRAM verifier',
  kind: 'password',
  protocols: ['postgres'],
  capabilities: { modes: ['self', 'admin'], via: false, adminverify: 'stored', fence: 'sessions', sends: 'verifier' },
  forbidden: '\0',
  retires: false,
  refusalsMislead: true,
  parameters: {},
  faultOfName: roleNameFault,
  faultOfValue: faultOfPassword,
  precheck: (work, signal) => onServer(work, 'sallyport', signal, (session) => preconditions(session, work)),
  change: (work, fresh, signal) => {
    const secret = valueOf(fresh);
    const fault = faultOfPassword(secret);
    if (fault !== undefined) return Promise.resolve({ said: 'unsent', class: 'policy', words: fault });
    const verifier = scramVerifier(secret, randomBytes(16));
    return onServer(work, work.tag, signal, async (session) => {
      try {
        await session.query(`ALTER ROLE ${quoteName(work.account)} PASSWORD '${verifier}'`);
        return { said: 'confirmed', class: 'none', words: '' };
      } catch (error) {
        signal.throwIfAborted();
        return refusalOf(error);
      }
    });
  },
  fence,
  verify: (task, login, signal) => tryLogin(task, login, signal),
  adminverify: async (task, admin, candidates, budget, signal) => {
    const known = admin === undefined ? undefined : await storedOf(task, admin, signal);
    const logins = (): Promise<readonly VerifyAnswer[]> =>
      tryWithin(budget, candidates, (credential) => tryLogin(task, { user: task.account, credential }, signal));
    if (known === undefined) return await logins();
    const { password, state } = known;
    if (password === undefined) {
      // A login is no answer where the right value is refused too.
      if (state.class === 'expired') return candidates.map(() => ({ ...state, answer: 'unknown' }));
      return await logins();
    }
    return candidates.map((candidate) => compare(candidate, task.account, password, state));
  },
};

/** Longer names are cut by the server without an error, and would then be somebody else's. */
export function roleNameFault(account: string): string | undefined {
  const length = utf8(account).length;
  if (length > 0 && length <= 63 && !/\p{Cc}/u.test(account)) return undefined;
  return `${JSON.stringify(account)} is no name of a PostgreSQL role: 1 to 63 bytes without control characters`;
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function valueOf(fresh: NewCredential): Secret {
  if (fresh.kind !== 'password') throw new TypeError('postgres sets passwords');
  return fresh.secret;
}

/** The database that a login enters. Every cluster has `postgres` unless somebody removed it. */
function databaseOf(place: Place): string {
  const { database } = place.settings;
  return typeof database === 'string' && database !== '' ? database : 'postgres';
}

async function onServer(
  work: Work,
  name: string,
  signal: AbortSignal,
  use: (session: PostgresSession) => Promise<ChangeAnswer>,
): Promise<ChangeAnswer> {
  const { place, targetSeconds: seconds } = work;
  const open = work.by.mode === 'admin' ? borrowPostgres : openPostgres;
  const session = await open(place, work.by.login, { name, database: databaseOf(place), seconds }, signal);
  if ('fault' in session) return { said: 'unsent', class: session.fault, words: session.words };
  using _ = session;
  return await use(session);
}

/**
 * The statement is a transaction of its own: an error means that nothing was changed. Unless the session ended with it:
 * then the commit may have been made already (57P…, for instance while it waited for a standby).
 */
function refusalOf(error: unknown): ChangeAnswer {
  const code = codeOf(error);
  const words = wordsOf(error);
  if (!/^[0-9A-Z]{5}$/.test(code) || /^(57P|08|58|XX)/.test(code))
    return { said: 'uncertain', class: 'cut', words: `the connection ended before the answer: ${words}` };
  return { said: 'failed', class: refusals[code] ?? 'unexpected', words };
}

const refusals: Readonly<Record<string, AnswerClass>> = {
  '42501': 'permission',
  '42704': 'missing',
  // What a check_password_hook says (passwordcheck, credcheck).
  '22023': 'policy',
  '28P01': 'policy',
  // statement_timeout, lock_timeout
  '57014': 'timeout',
  '55P03': 'timeout',
  // A standby, or a session that may only read.
  '25006': 'unsupported',
};

/** Ends every session of this change. Its backend shows the tag before it can have been sent the statement. */
async function fence(work: Work, signal: AbortSignal): Promise<ChangeAnswer> {
  const ended = `SELECT count(*) FILTER (WHERE pg_catalog.pg_terminate_backend(pid))::int AS told, count(*)::int AS found
    FROM pg_catalog.pg_stat_activity WHERE application_name = $1 AND pid <> pg_catalog.pg_backend_pid()`;
  return await onServer(work, `${work.tag} fence`, signal, async (session) => {
    try {
      for (;;) {
        const [row] = await session.query<{ told: number; found: number }>(ended, [work.tag]);
        if (row === undefined || row.found === 0) return { said: 'confirmed', class: 'none', words: '' };
        // The server waits, not we: a backend needs a moment to end.
        await session.query('SELECT pg_catalog.pg_sleep(0.02)');
      }
    } catch (error) {
      signal.throwIfAborted();
      const code = codeOf(error);
      const words = `sessions of ${work.tag} could not be ended: ${wordsOf(error)}`;
      return { said: 'uncertain', class: code === '42501' ? 'permission' : 'unexpected', words };
    }
  });
}

/** A login over SCRAM. Whatever the server says after it was content with the password, the password is right. */
async function tryLogin(task: Task, login: Login, signal: AbortSignal): Promise<VerifyAnswer> {
  const { place } = task;
  const session = await openPostgres(place, login, { name: 'sallyport', database: databaseOf(place) }, signal);
  if ('fault' in session) return verdictOf(session);
  using _ = session;
  if (session.proven) return { answer: 'accepted', class: 'none', words: '' };
  const words =
    'the server lets this role in without its password (trust in pg_hba.conf), so that a login proves nothing';
  return { answer: 'unknown', class: 'unsupported', words };
}

function verdictOf({ fault, words, proven, rejected }: PostgresFault): VerifyAnswer {
  if (proven && fault !== 'locked' && fault !== 'cut') return { answer: 'accepted', class: 'none', words };
  return { answer: rejected ? 'rejected' : 'unknown', class: fault, words };
}

interface Stored {
  /** Null: the role has no password. Undefined: the administrator may not read it. */
  readonly password: string | null | undefined;
  readonly state: { readonly class: AnswerClass; readonly words: string };
}

/** What the server keeps; undefined when it could not be asked. */
async function storedOf(task: Task, admin: Login, signal: AbortSignal): Promise<Stored | undefined> {
  const { place } = task;
  const session = await borrowPostgres(place, admin, { name: 'sallyport', database: databaseOf(place) }, signal);
  if ('fault' in session) return undefined;
  using _ = session;
  interface Row {
    password?: string | null;
    locked: boolean;
    expired: boolean;
  }
  const columns = 'NOT rolcanlogin AS locked, coalesce(rolvaliduntil < now(), false) AS expired';
  const read = async (what: string, from: string): Promise<Row | undefined> => {
    const rows = await session.query<Row>(`SELECT ${what} FROM pg_catalog.${from} WHERE rolname = $1`, [task.account]);
    return rows[0];
  };
  try {
    const row = await read(`rolpassword AS password, ${columns}`, 'pg_authid').catch((error: unknown) => {
      if (codeOf(error) !== '42501') throw error;
      return read(columns, 'pg_roles');
    });
    return row === undefined ? undefined : { password: row.password, state: stateOf(row) };
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

function stateOf({ locked, expired }: { locked: boolean; expired: boolean }): Stored['state'] {
  if (locked) return { class: 'locked', words: 'the role may not log in (NOLOGIN)' };
  if (expired) return { class: 'expired', words: 'the password of the role is past its VALID UNTIL' };
  return { class: 'none', words: '' };
}

function compare(
  candidate: LoginCredential,
  role: string,
  password: string | null,
  state: Stored['state'],
): VerifyAnswer {
  const same = candidate.kind === 'password' && password !== null && isStored(candidate.secret, role, password);
  if (same === undefined) {
    const words = 'the server keeps the password in a form that is not known here';
    return { answer: 'unknown', class: 'unsupported', words, how: 'stored' };
  }
  if (same) return { answer: 'accepted', ...state, how: 'stored' };
  return { answer: 'rejected', class: 'authentication', words: 'it is not what the server keeps', how: 'stored' };
}
