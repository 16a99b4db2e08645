/**
 * Migrations: numbered files, forward only, all outstanding ones in one transaction. Rooms number their own
 * (ARCHITECTURE.md), so a file may be new although a higher number has run; what counts is which names have run.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { wordsOf } from '../base/errors.ts';
import { clientConfig } from './dsn.ts';
import { DbError } from './errors.ts';
import { installJobs } from './jobs-schema.ts';
import { appRole } from './roles.ts';

export interface Migrated {
  /** Names of the migrations that this run applied, in order. */
  readonly applied: readonly string[];
}

/** Any number will do, as long as nobody else in this database uses it. */
const lockKey = 0x53_41_4c_4c;
const shape = /^\d{3}_[a-z0-9_-]+\.ts$/;

/**
 * Brings the database at `ownerUrl` up to date. Two at the same time wait for each other. Throws
 * `db.migration-failed` naming the file (then nothing of this run stays), `db.schema-newer`, `db.app-role-missing`.
 */
export async function migrate(
  ownerUrl: string,
  folder: string = join(import.meta.dirname, 'migrations'),
): Promise<Migrated> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts')).sort();
  const misnamed = files.find((file) => !shape.test(file));
  if (misnamed !== undefined) throw new DbError('db.migration-name', misnamed);
  const pool = new pg.Pool({ ...clientConfig(ownerUrl, 'sallyport migrate'), max: 1 });
  pool.on('error', () => {});
  await using db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  return await db.transaction().execute(async (tx) => {
    await sql`SELECT pg_advisory_xact_lock(${sql.lit(lockKey)})`.execute(tx);
    const { rows: role } = await sql`SELECT 1 FROM pg_roles WHERE rolname = ${appRole}`.execute(tx);
    if (role.length === 0) throw new DbError('db.app-role-missing');
    await sql`CREATE TABLE IF NOT EXISTS schema_migration (
      name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`.execute(tx);
    const { rows } = await sql<{ name: string }>`SELECT name FROM schema_migration`.execute(tx);
    const done = new Set(rows.map((row) => row.name));
    const unknown = [...done].find((name) => !files.includes(name));
    if (unknown !== undefined) throw new DbError('db.schema-newer', unknown);
    const applied = files.filter((file) => !done.has(file));
    for (const file of applied) await apply(tx, folder, file);
    await installJobs(tx);
    return { applied };
  });
}

async function apply(tx: Kysely<unknown>, folder: string, file: string): Promise<void> {
  try {
    const module = (await import(/* @vite-ignore */ pathToFileURL(join(folder, file)).href)) as { up?: unknown };
    if (typeof module.up !== 'function') throw new DbError('db.migration-name', file);
    await (module.up as (db: Kysely<unknown>) => Promise<void>)(tx);
    await sql`INSERT INTO schema_migration (name) VALUES (${file})`.execute(tx);
  } catch (error) {
    if (error instanceof DbError) throw error;
    throw new DbError('db.migration-failed', `${file}: ${wordsOf(error)}`, { cause: error });
  }
}
