/** Connections, values and transactions against a real server. */
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { silent } from '../../src/base/log.ts';
import { beforeCommit, inTransaction, openDatabase } from '../../src/db/db.ts';
import { prepareDatabase } from '../../src/db/embedded.ts';
import { testDatabase } from '../support/database.ts';

test('a bigint is a number, bytes are a Buffer, a time is a Date, a day is text', async () => {
  await using t = await testDatabase();
  const { rows } = await sql`SELECT count(*) AS n, '\\x00ff'::bytea AS b, '2026-01-31T12:00:00.123Z'::timestamptz AS at,
    '2026-01-31'::date AS day, 1.50::numeric AS exact`.execute(t.db);
  expect(rows).toEqual([
    { n: 1, b: Buffer.from([0, 255]), at: new Date('2026-01-31T12:00:00.123Z'), day: '2026-01-31', exact: '1.50' },
  ]);
});

test('a bigint that no number holds is an error, not a rounded number', async () => {
  await using t = await testDatabase();
  expect((await sql<{ n: number }>`SELECT ${sql.lit(2 ** 53 - 1)}::bigint AS n`.execute(t.db)).rows[0]?.n).toBe(
    2 ** 53 - 1,
  );
  await expect(sql`SELECT 9007199254740993::bigint AS n`.execute(t.db)).rejects.toMatchObject({
    code: 'db.integer-too-large',
  });
});

test('a server that does not answer is named so', async () => {
  await using t = await testDatabase();
  await expect(openDatabase(t.url.replace('sallyport_app', 'nobody_we_know'), {}, silent)).rejects.toMatchObject({
    code: 'db.unreachable',
  });
});

test('a transaction that lost against another is run again and both count', async () => {
  await using t = await testDatabase();
  await sql`CREATE TABLE counter (n int)`.execute(t.owner);
  await sql`INSERT INTO counter VALUES (0)`.execute(t.owner);
  let runs = 0;
  const bothHaveRead = Promise.withResolvers<void>();
  const increment = async (): Promise<void> =>
    await inTransaction(
      t.db,
      async (tx) => {
        const { rows } = await sql<{ n: number }>`SELECT n FROM counter`.execute(tx);
        if (++runs === 2) bothHaveRead.resolve();
        await bothHaveRead.promise;
        await sql`UPDATE counter SET n = ${(rows[0]?.n ?? 0) + 1}`.execute(tx);
      },
      { isolation: 'serializable' },
    );
  await Promise.all([increment(), increment()]);
  expect((await sql`SELECT n FROM counter`.execute(t.db)).rows).toEqual([{ n: 2 }]);
  expect(runs).toBe(3);
});

test('a transaction inside another is part of it', async () => {
  await using t = await testDatabase();
  await sql`CREATE TABLE note (words text)`.execute(t.owner);
  const failing = inTransaction(t.db, async (tx) => {
    await inTransaction(tx, async (inner) => {
      await sql`INSERT INTO note VALUES ('inner')`.execute(inner);
    });
    throw new Error('after all no');
  });
  await expect(failing).rejects.toThrow('after all no');
  expect((await sql`SELECT * FROM note`.execute(t.db)).rows).toEqual([]);
});

test('what waits for the end of a transaction runs last, and can still fail it', async () => {
  await using t = await testDatabase();
  await sql`CREATE TABLE note (words text)`.execute(t.owner);
  const order: string[] = [];
  await inTransaction(t.db, async (tx) => {
    await beforeCommit(tx, async () => {
      order.push('ending');
      await sql`INSERT INTO note VALUES ('kept')`.execute(tx);
    });
    order.push('body');
  });
  expect(order).toEqual(['body', 'ending']);
  const failing = inTransaction(t.db, async (tx) => {
    await sql`INSERT INTO note VALUES ('lost')`.execute(tx);
    await beforeCommit(tx, async () => await Promise.reject(new Error('no')));
  });
  await expect(failing).rejects.toThrow('no');
  expect((await sql`SELECT words FROM note`.execute(t.db)).rows).toEqual([{ words: 'kept' }]);
});

test('a database that was made and got no rights before the power went gets them at the next start', async () => {
  await using t = await testDatabase();
  const admin = await t.admin();
  const name = new URL(t.adminUrl).pathname.slice(1);
  await sql`REVOKE ALL ON DATABASE ${sql.id(name)} FROM sallyport_app`.execute(admin);
  await sql`GRANT CONNECT, TEMPORARY ON DATABASE ${sql.id(name)} TO PUBLIC`.execute(admin);
  await prepareDatabase(t.adminUrl, name);
  const { rows } = await sql`SELECT has_database_privilege('sallyport_app', current_database(), 'CONNECT') AS app,
    has_database_privilege('public', current_database(), 'CONNECT') AS everybody`.execute(admin);
  expect(rows).toEqual([{ app: true, everybody: false }]);
});
