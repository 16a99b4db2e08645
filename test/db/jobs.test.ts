/** Stored work: once, after a restart too, and in one piece with the transaction that asked for it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { silent } from '../../src/base/log.ts';
import { inTransaction } from '../../src/db/db.ts';
import { type JobQueue, openJobs } from '../../src/db/jobs.ts';
import { testDatabase } from '../support/database.ts';

const greet: JobQueue<{ readonly name: string }> = { name: 'greet' };

test('a job outlives the process that added it, and runs once though two could do it', async () => {
  await using t = await testDatabase();
  {
    await using before = await openJobs(t.url, silent);
    expect(await before.add(greet, { name: 'Ana' })).toBe(true);
  }
  await using one = await openJobs(t.url, silent);
  await using two = await openJobs(t.url, silent);
  const done: string[] = [];
  const last = Promise.withResolvers<void>();
  const handler = async (data: { readonly name: string }): Promise<void> => {
    done.push(data.name);
    if (data.name === 'last') last.resolve();
    await Promise.resolve();
  };
  await Promise.all([one.work(greet, handler), two.work(greet, handler)]);
  await one.add(greet, { name: 'last' });
  await last.promise;
  expect(done.toSorted()).toEqual(['Ana', 'last']);
});

test('a job is there when its transaction commits, and not otherwise', async () => {
  await using t = await testDatabase();
  await using jobs = await openJobs(t.url, silent);
  const failing = inTransaction(t.db, async (tx) => {
    await jobs.add(greet, { name: 'never' }, { tx });
    throw new Error('rolled back');
  });
  await expect(failing).rejects.toThrow('rolled back');
  await inTransaction(t.db, async (tx) => {
    await jobs.add(greet, { name: 'kept' }, { tx });
  });
  const { rows } = await sql`SELECT data FROM jobs.job WHERE name = 'greet'`.execute(t.db);
  expect(rows).toEqual([{ data: { name: 'kept' } }]);
});

test('of an exclusive queue there is one job of a key at a time', async () => {
  await using t = await testDatabase();
  await using jobs = await openJobs(t.url, silent);
  const rotate: JobQueue<{ readonly account: string }> = { name: 'rotate', exclusive: true };
  expect(await jobs.add(rotate, { account: 'a' }, { key: 'a' })).toBe(true);
  expect(await jobs.add(rotate, { account: 'a' }, { key: 'a' })).toBe(false);
  expect(await jobs.add(rotate, { account: 'b' }, { key: 'b' })).toBe(true);
});

test('a job that fails is tried again, and its row keeps no words of the error', async () => {
  await using t = await testDatabase();
  await using jobs = await openJobs(t.url, silent);
  const shaky: JobQueue<{ readonly n: number }> = { name: 'shaky', retries: 1 };
  const second = Promise.withResolvers<void>();
  let runs = 0;
  await jobs.work(shaky, async () => {
    if (++runs === 1) throw Object.assign(new Error('the words'), { code: 'demo.broken' });
    const { rows } = await sql<{ output: unknown }>`SELECT output FROM jobs.job WHERE name = 'shaky'`.execute(t.db);
    expect(JSON.stringify(rows)).toContain('demo.broken');
    expect(JSON.stringify(rows)).not.toContain('the words');
    second.resolve();
  });
  await jobs.add(shaky, { n: 1 });
  await second.promise;
});

test('the job of a killed keeper is done by another one', async () => {
  await using t = await testDatabase();
  const lost: JobQueue<{ readonly n: number }> = { name: 'lost', retries: 1 };
  const source = join(import.meta.dirname, '..', '..', 'src');
  const code = `
    import { openJobs } from ${JSON.stringify(join(source, 'db/jobs.ts'))};
    import { silent } from ${JSON.stringify(join(source, 'base/log.ts'))};
    const jobs = await openJobs(${JSON.stringify(t.url)}, silent);
    await jobs.work({ name: 'lost', retries: 1 }, async () => {
      console.log('running');
      await new Promise(() => {});
    });
    await jobs.add({ name: 'lost', retries: 1 }, { n: 7 });`;
  const keeper = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(keeper.stdout, 'data');
  keeper.kill('SIGKILL');
  await once(keeper, 'exit');

  // The silence is made half an hour long, so that nobody has to wait for it.
  await sql`UPDATE jobs.job SET heartbeat_on = now() - interval '30 minutes' WHERE name = 'lost'`.execute(t.db);
  await using other = await openJobs(t.url, silent, 1);
  const done = Promise.withResolvers<number>();
  await other.work(lost, async ({ n }) => await Promise.resolve(done.resolve(n)));
  expect(await done.promise).toBe(7);
});

test('a timetable is kept, changed and removed', async () => {
  await using t = await testDatabase();
  await using jobs = await openJobs(t.url, silent);
  await jobs.schedule(greet, '0 3 * * *', { name: 'nightly' });
  await jobs.schedule(greet, '0 4 * * *', { name: 'nightly' });
  expect((await sql`SELECT cron FROM jobs.schedule`.execute(t.db)).rows).toEqual([{ cron: '0 4 * * *' }]);
  await jobs.unschedule(greet);
  expect((await sql`SELECT cron FROM jobs.schedule`.execute(t.db)).rows).toEqual([]);
});
