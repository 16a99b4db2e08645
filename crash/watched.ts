/**
 * Everything that goes from rotation to the world, seen from outside: each question, each transaction, each single write.
 * What happens is counted by name for the task on whose behalf it happens; at its stop a task waits for ever, so that
 * killing the process then kills it exactly there. Something without a name is told as an unlisted point.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  PostgresDialect,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import pg from 'pg';
import type { Db } from '../src/db/db.ts';
import { clientConfig } from '../src/db/dsn.ts';
import type { Tables } from '../src/db/tables.ts';
import type { RunConnector } from '../src/rotation/connectors/run.ts';
import type { At, Commit, Point, Question } from '../src/rotation/points.ts';
import type { Stop } from './messages.ts';
import { type Happened, isCommit, isQuestion, isWrite, type Name, type Small, smallWriteOf } from './points.ts';

/** What a task's watcher tells. */
export interface Listener {
  readonly reached: () => void;
  readonly unlisted: (what: string) => void;
  /** Resolves when the question may begin, or its answer may be used. */
  readonly question: (question: Question, occurrence: number, phase: 'begin' | 'end') => Promise<void>;
}

/** One task under watch. */
export class Watch {
  readonly happened: Happened[] = [];
  readonly #counts = new Map<Name, number>();
  readonly #stop: Stop | undefined;
  readonly #listener: Listener;
  /** Which commit is being made, and whether its transaction has begun; the same for a question. */
  #commit: { readonly name: Commit; begun: boolean } | undefined;
  #question: { readonly name: Question; begun: boolean } | undefined;

  constructor(stop: Stop | undefined, listener: Listener) {
    this.#stop = stop;
    this.#listener = listener;
  }

  /** The product's own points. */
  async point(point: Point): Promise<void> {
    const [side = '', ...rest] = point.split(' ');
    const name = rest.join(' ');
    if (side === 'before' && isCommit(name)) {
      this.#commit = { name, begun: false };
      await this.#begins(name);
    } else if (side === 'before' && isQuestion(name)) {
      this.#question = { name, begun: false };
      await this.#begins(name);
    } else if (side === 'after' && isCommit(name) && this.#commit?.name === name) {
      if (!this.#commit.begun) this.#listener.unlisted(`${name} without a transaction`);
      this.#commit = undefined;
      await this.#passes('after', name);
    } else if (side === 'after' && isQuestion(name) && this.#question?.name === name) {
      if (!this.#question.begun) this.#listener.unlisted(`${name} without a question`);
      this.#question = undefined;
      await this.#passes('after', name);
    } else this.#listener.unlisted(point);
  }

  /** A question of the product goes to its connector. */
  async asks(operation: string, ask: () => ReturnType<RunConnector>): ReturnType<RunConnector> {
    const { name, begun } = this.#question ?? {};
    if (name !== operation || begun === true || this.#question === undefined) {
      this.#listener.unlisted(`the question ${operation}`);
      return await ask();
    }
    this.#question.begun = true;
    const occurrence = this.#counts.get(name) ?? 0;
    await this.#listener.question(name, occurrence, 'begin');
    const answer = await ask();
    await this.#listener.question(name, occurrence, 'end');
    return answer;
  }

  /** A statement that leaves something behind: its name if it stands for itself, undefined where a commit covers it. */
  async writes(statement: string): Promise<Small | undefined> {
    if (this.#commit !== undefined) {
      this.#commit.begun = true;
      return undefined;
    }
    const name = smallWriteOf(statement);
    if (name === undefined) this.#listener.unlisted(statement.slice(0, 200));
    else await this.#begins(name);
    return name;
  }

  async wrote(name: Small): Promise<void> {
    await this.#passes('after', name);
  }

  /** The end of a transaction, before it is durable. */
  async commits(): Promise<void> {
    if (this.#commit === undefined) return;
    this.#commit.begun = true;
    await this.#passes('within', this.#commit.name);
  }

  async #begins(name: Name): Promise<void> {
    const occurrence = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, occurrence);
    this.happened.push({ name, occurrence });
    await this.#passes('before', name);
  }

  async #passes(side: 'before' | 'within' | 'after', name: Name): Promise<void> {
    const { where, occurrence } = this.#stop ?? {};
    if (where?.kind !== 'at' || where.name !== name || where.side !== side) return;
    if (occurrence !== this.#counts.get(name)) return;
    this.#listener.reached();
    await new Promise<never>(() => {});
  }
}

const watches = new AsyncLocalStorage<Watch>();

/** Does something under watch. What it does later, by timers or other promises of its own, counts too. */
export function watched<T>(watch: Watch, work: () => Promise<T>): Promise<T> {
  return watches.run(watch, work);
}

export const watchedAt: At = (point) => watches.getStore()?.point(point);

export function watchedRunner(run: RunConnector): RunConnector {
  return (job, limits, signal) => {
    const watch = watches.getStore();
    return watch === undefined ? run(job, limits, signal) : watch.asks(job.operation, () => run(job, limits, signal));
  };
}

/** A pool as `openDatabase` makes one, under watch. */
export function watchedDatabase(url: string, connections: number): Db {
  const pool = new pg.Pool({ ...clientConfig(url), max: connections });
  pool.on('error', () => {});
  const inner = new PostgresDialect({ pool });
  const dialect: Dialect = {
    createAdapter: () => inner.createAdapter(),
    createIntrospector: (db) => inner.createIntrospector(db),
    createQueryCompiler: () => inner.createQueryCompiler(),
    createDriver: () => watchedDriver(inner.createDriver()),
  };
  return new Kysely<Tables>({ dialect });
}

class WatchedConnection implements DatabaseConnection {
  readonly inner: DatabaseConnection;
  /** The transaction that is open, and the write in it that stands for itself. */
  transaction: { written: Small | undefined } | undefined;

  constructor(inner: DatabaseConnection) {
    this.inner = inner;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const watch = watches.getStore();
    if (watch === undefined || !isWrite(query.sql)) return await this.inner.executeQuery<R>(query);
    const name = await watch.writes(query.sql);
    const result = await this.inner.executeQuery<R>(query);
    if (name === undefined) return result;
    if (this.transaction === undefined) await watch.wrote(name);
    else this.transaction.written = name;
    return result;
  }

  streamQuery<R>(query: CompiledQuery, chunk: number): AsyncIterableIterator<QueryResult<R>> {
    return this.inner.streamQuery<R>(query, chunk);
  }
}

function watchedDriver(inner: Driver): Driver {
  const ours = (connection: DatabaseConnection): WatchedConnection => connection as WatchedConnection;
  return {
    init: () => inner.init(),
    destroy: () => inner.destroy(),
    acquireConnection: async () => new WatchedConnection(await inner.acquireConnection()),
    releaseConnection: (connection) => inner.releaseConnection(ours(connection).inner),
    beginTransaction: async (connection, settings: TransactionSettings) => {
      ours(connection).transaction = { written: undefined };
      await inner.beginTransaction(ours(connection).inner, settings);
    },
    commitTransaction: async (connection) => {
      const watch = watches.getStore();
      await watch?.commits();
      await inner.commitTransaction(ours(connection).inner);
      const written = ours(connection).transaction?.written;
      ours(connection).transaction = undefined;
      if (written !== undefined) await watch?.wrote(written);
    },
    rollbackTransaction: async (connection) => {
      ours(connection).transaction = undefined;
      await inner.rollbackTransaction(ours(connection).inner);
    },
  };
}
