/** Tables whose rows are facts: inserted, read, never changed. For migrations. */
import { type Kysely, sql } from 'kysely';
import { appRole } from './roles.ts';

/**
 * Takes UPDATE, DELETE and TRUNCATE of `table` from the app role, and adds triggers that refuse them to everybody,
 * the owner and replication included. Who may alter the table can still remove the triggers: against him stand hash
 * chains and signatures, not this.
 */
export async function appendOnly(db: Kysely<unknown>, table: string): Promise<void> {
  const name = sql.table(table);
  await sql`REVOKE UPDATE, DELETE, TRUNCATE ON ${name} FROM ${sql.id(appRole)}`.execute(db);
  await sql`CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON ${name}
    FOR EACH ROW EXECUTE FUNCTION refuse_change()`.execute(db);
  await sql`CREATE TRIGGER append_only_table BEFORE TRUNCATE ON ${name}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()`.execute(db);
  await sql`ALTER TABLE ${name} ENABLE ALWAYS TRIGGER append_only_row`.execute(db);
  await sql`ALTER TABLE ${name} ENABLE ALWAYS TRIGGER append_only_table`.execute(db);
}
