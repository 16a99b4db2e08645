/** Notifications, and being told when some may have been missed. */
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { silent } from '../../src/base/log.ts';
import { listen, openDatabase } from '../../src/db/db.ts';
import { testDatabase } from '../support/database.ts';

test('a lost connection is listened on again, and the listener is told', async () => {
  await using t = await testDatabase();
  await using admin = await openDatabase(t.adminUrl, {}, silent);
  const stop = new AbortController();
  const heard: string[] = [];
  let next = Promise.withResolvers<void>();
  const back = Promise.withResolvers<void>();
  const onEvent = (channel: string, payload: string): void => {
    heard.push(`${channel}:${payload}`);
    next.resolve();
  };
  await listen(t.url, ['kill', 'Odd "name"'], { onEvent, onReconnected: () => back.resolve() }, silent, stop.signal);

  await sql`SELECT pg_notify('kill', 'one')`.execute(t.db);
  await next.promise;
  await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'sallyport listen' AND datname = current_database()`.execute(admin);
  await back.promise;
  next = Promise.withResolvers();
  await sql`SELECT pg_notify('Odd "name"', 'two')`.execute(t.db);
  await next.promise;
  expect(heard).toEqual(['kill:one', 'Odd "name":two']);
  stop.abort();
});

test('a first connection that fails is an error', async () => {
  await using t = await testDatabase();
  const listening = { onEvent: () => {}, onReconnected: () => {} };
  await expect(
    listen(t.url.replace('sallyport_app', 'stranger'), ['x'], listening, silent, new AbortController().signal),
  ).rejects.toMatchObject({ code: 'db.unreachable' });
});

test('a signal that fired while the connection was made ends it', async () => {
  await using t = await testDatabase();
  await using admin = await openDatabase(t.adminUrl, {}, silent);
  await listen(t.url, ['x'], { onEvent: () => {}, onReconnected: () => {} }, silent, AbortSignal.abort());
  const left = sql<{ n: number }>`SELECT count(*) AS n FROM pg_stat_activity
    WHERE application_name = 'sallyport listen' AND datname = current_database()`;
  await expect.poll(async () => (await left.execute(admin)).rows[0]?.n).toBe(0);
});
