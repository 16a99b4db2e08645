/** Our own PostgreSQL: made, killed, adopted, refused, as an unprivileged user (P-61, P-63). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { sql } from 'kysely';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silent } from '../../src/base/log.ts';
import { type Db, migrate, openDatabase } from '../../src/db/db.ts';
import { clientConfig } from '../../src/db/dsn.ts';
import { type EmbeddedDatabase, type EmbeddedOptions, startEmbedded } from '../../src/db/embedded.ts';

const never = new AbortController().signal;
const root = process.getuid?.() === 0;
const small = { shared_buffers: '16MB' };
let parent: string;
let dir: string;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'embedded-'));
  dir = join(parent, 'data');
});

afterEach(async () => {
  await rm(parent, { recursive: true, force: true });
});

async function begin(options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedDatabase> {
  return await startEmbedded({ dir, log: silent, settings: small, ...options }, never);
}

async function open(url: string): Promise<Db> {
  return await openDatabase(url, { max: 2 }, silent);
}

/** Whether a process does anything still; one that nobody has fetched yet does not. */
function works(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** A process of its own that starts the database, says its pid, and waits to be killed. */
async function supervisor(): Promise<{ readonly server: number; readonly kill: () => Promise<void> }> {
  const source = join(import.meta.dirname, '..', '..', 'src');
  const code = `
    import { startEmbedded } from ${JSON.stringify(join(source, 'db/embedded.ts'))};
    import { silent } from ${JSON.stringify(join(source, 'base/log.ts'))};
    const options = { dir: ${JSON.stringify(dir)}, log: silent, settings: ${JSON.stringify(small)} };
    const { pid } = await startEmbedded(options, new AbortController().signal).catch((error) => {
      console.log(error.code);
      process.exit(1);
    });
    console.log(pid);
    setInterval(() => {}, 1_000_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for await (const line of createInterface(child.stdout)) {
    if (!/^\d+$/.test(line)) throw new Error(line);
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL');
      await gone;
    };
    return { server: Number(line), kill };
  }
  throw new Error('the supervisor ended');
}

test('it runs from a folder closed to others, as nobody important, durable, without a port', async () => {
  await chmod(parent, 0o700);
  const passwd = readFileSync('/etc/passwd', 'utf8');
  await using server = await begin();
  const { uid } = statSync(`/proc/${server.pid}`);
  expect(uid).not.toBe(0);
  if (root) expect(readFileSync('/etc/passwd', 'utf8')).toBe(passwd);
  expect(passwd.split('\n').some((line) => line.split(':')[2] === String(uid))).toBe(!root);
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
  if (root) expect(status).toMatch(/^CapBnd:\s0+$/m);
  if (root) expect(status).toMatch(/^NoNewPrivs:\s1$/m);
  expect(readFileSync(`/proc/${server.pid}/cmdline`, 'utf8')).not.toContain('password');

  await using db = await open(server.adminUrl);
  const { rows } = await sql<Record<string, string>>`SELECT name, setting FROM pg_settings WHERE name IN
    ('fsync', 'synchronous_commit', 'data_checksums', 'listen_addresses', 'server_encoding', 'log_statement')`.execute(
    db,
  );
  expect(Object.fromEntries(rows.map((row) => [row['name'], row['setting']]))).toEqual({
    fsync: 'on',
    synchronous_commit: 'on',
    data_checksums: 'on',
    listen_addresses: '',
    server_encoding: 'UTF8',
    log_statement: 'none',
  });
});

test('a stranger on the same machine cannot reach it', async () => {
  await using server = await begin();
  for (const folder of ['cluster', 'run']) expect(statSync(join(dir, folder)).mode & 0o077).toBe(0);
  expect(statSync(dir).mode & 0o077).toBe(0);
  expect(await readFile(join(dir, 'conf', 'pg_hba.conf'), 'utf8')).not.toMatch(/trust|password|host/);
  // A role that our user is not mapped to is refused, though the socket is reached.
  await expect(open(server.appUrl.replace('sallyport_app', 'pg_monitor'))).rejects.toMatchObject({
    code: 'db.unreachable',
  });
});

test('a killed server says so, and everything it acknowledged is there after the next start', async () => {
  let first: EmbeddedDatabase | undefined = await begin();
  await migrate(first.ownerUrl);
  const owner = await open(first.ownerUrl);
  await sql`CREATE TABLE kept (n int)`.execute(owner);
  for (let n = 0; n < 50; n++) await sql`INSERT INTO kept VALUES (${n})`.execute(owner);
  process.kill(first.pid, 'SIGKILL');
  expect(await first.exited).toEqual({ expected: false, code: null, signal: 'SIGKILL' });
  await owner.destroy();
  await first[Symbol.asyncDispose]();
  first = undefined;

  await using second = await begin();
  expect(second.adopted).toBe(false);
  await using app = await open(second.appUrl);
  expect((await sql`SELECT count(*) AS n FROM kept`.execute(app)).rows).toEqual([{ n: 50 }]);
});

test('the server of a killed supervisor is adopted with its connections, and can be stopped', async () => {
  const { server, kill } = await supervisor();
  const url = `postgres://sallyport_app@localhost/sallyport?host=${encodeURIComponent(join(dir, 'run'))}`;
  await using app = await open(url);
  await kill();
  const adopted = await begin();
  expect(adopted).toMatchObject({ adopted: true, pid: server });
  expect((await sql`SELECT 1 AS n`.execute(app)).rows).toEqual([{ n: 1 }]);
  await adopted[Symbol.asyncDispose]();
  expect((await adopted.exited).expected).toBe(true);
  expect(works(server)).toBe(false);
});

test('a second start on the same directory is refused while the first one looks after it', async () => {
  const first = await begin();
  await expect(begin()).rejects.toMatchObject({ code: 'db.already-running' });
  await expect(supervisor()).rejects.toThrow('db.already-running');
  first.release();
  await using second = await begin();
  expect(second).toMatchObject({ adopted: true, pid: first.pid });
});

test('a killed server whose process goes on working is not joined by a second one', async () => {
  const first = await begin();
  const client = new pg.Client(clientConfig(first.ownerUrl));
  client.on('error', () => {});
  await client.connect();
  const busy = once(client, 'notice');
  // Longer than the test; but if the test itself is killed, nothing is left that works for ever.
  const long = "WHILE clock_timestamp() < statement_timestamp() + interval '2 minutes' LOOP END LOOP";
  const endless = client.query(`DO $$ BEGIN RAISE NOTICE 'busy'; ${long}; END $$`).catch(() => 'cut');
  await busy;
  const worker = (client as unknown as { processID: number }).processID;
  process.kill(first.pid, 'SIGKILL');
  await first.exited;
  await first[Symbol.asyncDispose]();
  expect(works(worker)).toBe(true);
  await using second = await begin();
  expect(second.adopted).toBe(false);
  expect(works(worker)).toBe(false);
  expect(await endless).toBe('cut');
});

test('where there are no mount namespaces it runs as the user postgres, if he can reach it', async () => {
  const line = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
  if (!root || line === null) return;
  const server = JSON.stringify({ uid: Number(line[1]), gid: Number(line[2]), name: 'postgres' });
  await mkdir(dir, { mode: 0o700 });
  await writeFile(join(dir, 'server.json'), server);
  await chmod(parent, 0o700);
  await expect(begin()).rejects.toMatchObject({ code: 'db.out-of-reach' });
  await chmod(parent, 0o711);
  await using running = await begin();
  expect(statSync(`/proc/${running.pid}`).uid).toBe(Number(line[1]));
  await using db = await open(running.appUrl);
  expect((await sql`SELECT 1 AS n`.execute(db)).rows).toEqual([{ n: 1 }]);
});

test('a pid file that names a living stranger is no obstacle', async () => {
  const first = await begin();
  const { uid } = statSync(join(dir, 'cluster'));
  await first[Symbol.asyncDispose]();
  const stranger = spawn('sleep', ['1000'], root ? { uid, stdio: 'ignore' } : { stdio: 'ignore' });
  try {
    const words = `${stranger.pid}\n${join(dir, 'cluster')}\n1700000000\n5432\n${join(dir, 'run')}\n\n  5432001         0\nready   \n`;
    await writeFile(join(dir, 'cluster', 'postmaster.pid'), words);
    await using second = await begin();
    expect(second.adopted).toBe(false);
    expect(second.pid).not.toBe(stranger.pid);
    expect(stranger.exitCode).toBeNull();
  } finally {
    stranger.kill('SIGKILL');
  }
});

test('a cluster that was half made when the power went is made again', async () => {
  await mkdir(join(dir, 'making', 'base'), { recursive: true });
  await writeFile(join(dir, 'making', 'PG_VERSION'), '15\n');
  await using server = await begin();
  await using db = await open(server.appUrl);
  expect((await sql`SELECT 1 AS n`.execute(db)).rows).toEqual([{ n: 1 }]);
});

test('the programs that npm brought along do as well', async () => {
  await chmod(parent, 0o700);
  await using server = await begin({ programs: 'npm' });
  await migrate(server.ownerUrl);
  await using db = await open(server.appUrl);
  const { rows } = await sql<{ v: number }>`SELECT current_setting('server_version_num')::int AS v`.execute(db);
  expect(rows[0]?.v).toBeGreaterThanOrEqual(18_00_00);
});

test('a server that cannot start says why', async () => {
  await expect(begin({ settings: { shared_buffers: 'a lot' } })).rejects.toMatchObject({
    code: 'db.start-failed',
    message: expect.stringContaining('shared_buffers') as string,
  });
  // And the directory is free again.
  await using server = await begin();
  expect(server.adopted).toBe(false);
});

test('values of rows and statements do not reach the log of the server', async () => {
  await using server = await begin();
  await using owner = await open(server.ownerUrl);
  await sql`CREATE TABLE unique_word (word text PRIMARY KEY CHECK (length(word) < 30))`.execute(owner);
  const insert = sql`INSERT INTO unique_word VALUES (${'correct-horse'})`;
  await insert.execute(owner);
  await expect(insert.execute(owner)).rejects.toMatchObject({ code: '23505' });
  await expect(sql.raw("INSERT INTO unique_word VALUES ('correct-horse')").execute(owner)).rejects.toThrow();
  await expect(
    sql`INSERT INTO unique_word VALUES (${`battery-staple${'x'.repeat(30)}`})`.execute(owner),
  ).rejects.toThrow();
  const log = await readFile(join(dir, 'server.log'), 'utf8');
  expect(log).toContain('unique_word');
  expect(log).not.toMatch(/correct-horse|battery-staple/);
});

test('a very long path of the directory is no obstacle', async () => {
  dir = join(parent, 'd'.repeat(120));
  await using server = await begin();
  await using db = await open(server.appUrl);
  expect((await sql`SELECT 1 AS n`.execute(db)).rows).toEqual([{ n: 1 }]);
});

test('a file that says as whom to run is believed only if we could have written it', async () => {
  await mkdir(dir, { mode: 0o700 });
  await writeFile(join(dir, 'server.json'), JSON.stringify({ uid: 0, gid: 0, name: 'sallyport-db' }));
  if (root) await expect(begin()).rejects.toMatchObject({ code: 'db.state-invalid' });
  await writeFile(join(dir, 'server.json'), 'not json');
  await expect(begin()).rejects.toMatchObject({ code: 'db.state-invalid' });
});
