/**
 * The door of the database room: connections, transactions, notifications, migrations. It knows no table of any room
 * and refuses a server on another machine whose certificate is not verified. Jobs and our own PostgreSQL have doors of
 * their own (`jobs.ts`, `embedded.ts`), so that who needs neither loads neither.
 */
import { randomInt } from 'node:crypto';
import { type IsolationLevel, Kysely, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import { codeOf, wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { clientConfig } from './dsn.ts';
import { DbError } from './errors.ts';
import type { Tables } from './tables.ts';

export { listen, type Listening } from './listen.ts';
export { migrate, type Migrated } from './migrate.ts';
export { openPeer, type PeerAddress } from './peer.ts';
export { appRole, ownerRole } from './roles.ts';

/** A pool of connections. `destroy()` closes it; `await using` works too. */
export type Db = Kysely<Tables>;
/** One open transaction. Functions that write take `Db | Tx`. */
export type Tx = Transaction<Tables>;

export interface DatabaseOptions {
  /** Most connections at a time; 10 unless told. */
  readonly max?: number;
  readonly applicationName?: string;
}

/**
 * Opens a pool and proves that the server answers. Throws `db.url-invalid`, `db.remote-without-tls` or
 * `db.unreachable`. Values: bigint is a number, bytea a Buffer, timestamptz a Date, numeric and date text (`dsn.ts`).
 */
export async function openDatabase(url: string, options: DatabaseOptions, log: Log): Promise<Db> {
  const pool = new pg.Pool({ ...clientConfig(url, options.applicationName), max: options.max ?? 10 });
  // An idle connection that dies is replaced by the pool; without a listener its error would end the process.
  pool.on('error', (error) => log.warn({ code: codeOf(error) }, `a database connection was lost: ${wordsOf(error)}`));
  try {
    (await pool.connect()).release();
  } catch (error) {
    await pool.end();
    throw new DbError('db.unreachable', wordsOf(error), { cause: error });
  }
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}

export interface TransactionOptions {
  /** `read committed` unless told; the audit trail needs no more, and rows that must not move are locked `for update`. */
  readonly isolation?: IsolationLevel;
  /** How often a transaction that lost against another is run in all; 5 unless told. */
  readonly attempts?: number;
}

/** Work that waits for the end of its transaction, so that what it locks is locked for the shortest time. */
const endings = new WeakMap<Tx, (() => Promise<void>)[]>();

/**
 * Runs `fn` in a transaction and commits it. Given a Tx, `fn` becomes part of that one. A transaction that the server
 * ended for another's sake (40001, 40P01) is run again from the start, so `fn` touches nothing but the database.
 */
export async function inTransaction<T>(
  db: Db | Tx,
  fn: (tx: Tx) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  if (isTransaction(db)) return fn(db);
  const attempts = options.attempts ?? 5;
  for (let attempt = 1; ; attempt++) {
    try {
      return await db
        .transaction()
        .setIsolationLevel(options.isolation ?? 'read committed')
        .execute(async (tx) => {
          const last: (() => Promise<void>)[] = [];
          endings.set(tx, last);
          const result = await fn(tx);
          endings.delete(tx);
          for (const ending of last) await ending();
          return result;
        });
    } catch (error) {
      if (attempt >= attempts || !lostAgainstAnother(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, randomInt(1, 10 * 2 ** attempt)));
    }
  }
}

/**
 * Runs `ending` just before the transaction commits, in the order of the calls; at once when `db` is no transaction
 * of `inTransaction`. Its failure fails the transaction.
 */
export async function beforeCommit(db: Db | Tx, ending: () => Promise<void>): Promise<void> {
  const waiting = isTransaction(db) ? endings.get(db) : undefined;
  if (waiting === undefined) await ending();
  else waiting.push(ending);
}

function isTransaction(db: Db | Tx): db is Tx {
  return db.isTransaction;
}

/** 40001 serialization failure, 40P01 deadlock: the server's own words for "try again". */
function lostAgainstAnother(error: unknown): boolean {
  return codeOf(error) === '40001' || codeOf(error) === '40P01';
}
