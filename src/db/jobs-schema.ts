/** The tables of pg-boss, made and brought up to date by the owner when he migrates; the program never alters them. */
import { type Kysely, sql } from 'kysely';
import { DbError } from './errors.ts';
import { appRole } from './roles.ts';

/** Where pg-boss keeps its tables. */
export const jobsSchema = 'jobs';

/** Installs or upgrades pg-boss's schema inside the migration's transaction. */
export async function installJobs(tx: Kysely<unknown>): Promise<void> {
  // Loaded here, so that a program that only reads and writes tables does not load it.
  const { getConstructionPlans, getMigrationPlans } = await import('pg-boss');
  const { default: its } = await import('pg-boss/package.json', { with: { type: 'json' } });
  const { rows: there } = await sql<{ found: boolean }>`
    SELECT to_regclass(${`${jobsSchema}.version`}) IS NOT NULL AS found`.execute(tx);
  if (there[0]?.found !== true) {
    await sql.raw(inside(getConstructionPlans(jobsSchema))).execute(tx);
    await sql`GRANT USAGE ON SCHEMA ${sql.id(jobsSchema)} TO ${sql.id(appRole)}`.execute(tx);
    return;
  }
  const table = sql.table(`${jobsSchema}.version`);
  const { rows } = await sql<{ version: number }>`SELECT version FROM ${table}`.execute(tx);
  const version = rows[0]?.version ?? 0;
  if (version > its.pgboss.schema) throw new DbError('db.schema-newer', `version ${version} of the job tables`);
  if (version < its.pgboss.schema) await sql.raw(inside(getMigrationPlans(jobsSchema, version))).execute(tx);
}

/** The plan without the transaction around it: ours is open already. */
function inside(plan: string): string {
  return plan
    .replace(/^\s*BEGIN;/, '')
    .replace(/COMMIT;\s*$/, '')
    .trim();
}
