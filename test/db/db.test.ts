/** The door of the database room against a real server. */
import { expect, test } from 'vitest';
import { testDatabase } from '../support/database.ts';

test('a test has a database of its own, migrated', async () => {
  await using one = await testDatabase();
  await using two = await testDatabase();
  expect(one.url).not.toBe(two.url);
  expect(await one.db.selectFrom('audit_event').selectAll().execute()).toEqual([]);
});
