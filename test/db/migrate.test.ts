/** Migrations on a real server: whole or not at all. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { migrate } from '../../src/db/db.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

async function folderOf(files: Readonly<Record<string, string>>): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'migrations-'));
  for (const [name, statement] of Object.entries(files)) {
    const code = `export async function up(db) { await db.executeQuery({ sql: ${JSON.stringify(statement)}, parameters: [], query: { kind: 'RawNode' }, queryId: { queryId: 'm' } }); }`;
    await writeFile(join(path, name), code);
  }
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true }) };
}

async function tables(t: TestDatabase): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`.execute(t.owner);
  return rows.map((row) => row.name);
}

test('an empty database is migrated, and a second time nothing is done', async () => {
  await using t = await testDatabase({ from: 'empty' });
  const first = await migrate(t.ownerUrl);
  expect(first.applied).toContain('001_base_roles.ts');
  expect(first.applied).toContain('010_audit_trail.ts');
  expect([...first.applied]).toEqual([...first.applied].sort());
  expect(await migrate(t.ownerUrl)).toEqual({ applied: [] });
});

test('two that migrate at the same time wait for each other', async () => {
  await using t = await testDatabase({ from: 'empty' });
  const [one, two] = await Promise.all([migrate(t.ownerUrl), migrate(t.ownerUrl)]);
  expect(Math.min(one.applied.length, two.applied.length)).toBe(0);
  expect(Math.max(one.applied.length, two.applied.length)).toBeGreaterThan(1);
});

test('a broken migration is named, and nothing of its run is kept', async () => {
  await using t = await testDatabase({ from: 'empty' });
  await using folder = await folderOf({
    '001_base_good.ts': 'CREATE TABLE good (n int)',
    '002_base_bad.ts': 'CREATE TABLE bad (n nonsense)',
  });
  await expect(migrate(t.ownerUrl, folder.path)).rejects.toMatchObject({
    code: 'db.migration-failed',
    message: expect.stringContaining('002_base_bad.ts') as string,
  });
  expect(await tables(t)).toEqual([]);
});

test('a room may add a migration with a lower number than one that has run', async () => {
  await using t = await testDatabase({ from: 'empty' });
  await using before = await folderOf({ '050_access.ts': 'CREATE TABLE later (n int)' });
  await migrate(t.ownerUrl, before.path);
  await using after = await folderOf({
    '021_vault_more.ts': 'CREATE TABLE earlier (n int)',
    '050_access.ts': 'CREATE TABLE later (n int)',
  });
  expect(await migrate(t.ownerUrl, after.path)).toEqual({ applied: ['021_vault_more.ts'] });
});

test('a database of a newer program is left alone', async () => {
  await using t = await testDatabase();
  await sql`INSERT INTO schema_migration (name) VALUES ('999_base_future.ts')`.execute(t.owner);
  await expect(migrate(t.ownerUrl)).rejects.toMatchObject({ code: 'db.schema-newer' });
});

test('a file that is no migration is refused by name', async () => {
  await using t = await testDatabase({ from: 'empty' });
  await using folder = await folderOf({ 'notes.ts': 'SELECT 1' });
  await expect(migrate(t.ownerUrl, folder.path)).rejects.toMatchObject({
    code: 'db.migration-name',
    message: expect.stringContaining('notes.ts') as string,
  });
});

test('the app role reads and writes rows, and makes or alters no table', async () => {
  await using t = await testDatabase();
  const denied = { code: '42501' };
  await expect(sql`CREATE TABLE mine (n int)`.execute(t.db)).rejects.toMatchObject(denied);
  await expect(sql`ALTER TABLE audit_event DISABLE TRIGGER ALL`.execute(t.db)).rejects.toMatchObject(denied);
  await expect(sql`DROP TABLE schema_migration`.execute(t.db)).rejects.toMatchObject(denied);
  await expect(sql`INSERT INTO schema_migration (name) VALUES ('x')`.execute(t.db)).rejects.toMatchObject(denied);
  await expect(sql`CREATE SCHEMA mine`.execute(t.db)).rejects.toMatchObject(denied);
});
