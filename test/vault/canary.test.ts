/** W-01, X-03: what is stored cannot be found in what the database writes, in its tables or in the log. */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { codeOf, isRefusal, wordsOf } from '../../src/base/errors.ts';
import { openLog } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secret.ts';
import { clientConfig } from '../../src/db/dsn.ts';
import { hold, openVault } from '../../src/vault/vault.ts';
import { actor, intrude, never, vaultRoom } from './room.ts';

/** The forms in which bytes may lie about: as they are, UTF-16, hex, and base64 at each of its three alignments. */
function forms(secret: Buffer): Buffer[] {
  const all = [secret, Buffer.from(secret.toString('latin1'), 'utf16le')];
  for (const hex of [secret.toString('hex'), secret.toString('hex').toUpperCase()]) all.push(Buffer.from(hex));
  for (const shift of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(shift), secret]);
    // The first and last groups of four hold neighbours' bits too.
    const inner = (kind: 'base64' | 'base64url'): string => whole.toString(kind).slice(shift === 0 ? 0 : 4, -4);
    all.push(Buffer.from(inner('base64')), Buffer.from(inner('base64url')));
  }
  return all;
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Segments of the WAL come and go while other tests run. */
function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

function hits(bytes: Buffer, needles: readonly Buffer[]): number {
  return needles.filter((needle) => bytes.includes(needle)).length;
}

test('planted secrets are found in no file of the database, no table, no log and no error', async () => {
  await using room = await vaultRoom();
  const logFile = join(room.dataDirectory, 'keeper.log');
  const log = openLog('keeper', 'debug', logFile);
  const { db, adminUrl } = room.base;
  const { rootKeyPath, dataDirectory } = room;
  await using vault = await openVault({ db, rootKeyPath, dataDirectory, log, clock: systemClock }, never);

  const canary = 'CANARY-7f3a-q8Zt0w!Lm4';
  const control = 'CONTROL-91bc-x2Vn7s!Pk5';
  const [one, two] = await room.declare(
    { name: 'root@web-01', kind: 'password', settings: { note: control } },
    'root@web-02',
  );
  if (one === undefined || two === undefined) throw new Error('not declared');
  for (const account of [one, two]) await room.put(account, canary);
  const sealed = await vault.sealBytes('totp/ana', Buffer.from(canary));
  await db
    .updateTable('account')
    .set({ target_name: Buffer.from(sealed).toString('hex') })
    .execute();
  const said: string[] = [];
  await using held = await hold(db, one.id, { kind: 'session', subject: 's' });
  const opened = await vault.open(held, actor);
  if (isRefusal(opened)) throw new Error('not opened');
  log.info({ opened, held }, 'what somebody might log');
  await intrude(room.base, 'update credential_version set sealed = substr(sealed, 1, 40) where account_id = $1', [
    two.id,
  ]);
  await using other = await hold(db, two.id, { kind: 'session', subject: 's' });
  await vault.open(other, actor).catch((error: unknown) => said.push(wordsOf(error), JSON.stringify(error)));
  using candidate = Secret.fromText(canary);
  said.push(JSON.stringify(await vault.violations(db, one.id, candidate)));
  expect(said.length).toBe(3);

  const admin = new pg.Client(clientConfig(adminUrl));
  await admin.connect();
  await admin.query('checkpoint');
  const database = await admin.query('select oid from pg_database where datname = current_database()');
  const cluster = join(new URL(adminUrl).searchParams.get('host') ?? '', '..');
  const tables = await admin.query("select tablename from pg_tables where schemaname = 'public'");
  const rows: string[] = [];
  for (const { tablename } of tables.rows)
    for (const { row } of (await admin.query(`select t::text as row from ${tablename} t`)).rows) rows.push(row);
  await admin.end();

  const files = [
    ...filesUnder(join(cluster, 'cluster', 'base', String(database.rows[0].oid))),
    ...filesUnder(join(cluster, 'cluster', 'pg_wal')),
    join(cluster, 'server.log'),
    logFile,
  ];
  const secrets = [Buffer.from(canary), await readFile(rootKeyPath)].flatMap(forms);
  const controls = forms(Buffer.from(control)).slice(0, 1);
  const found: string[] = [];
  let controlHits = 0;
  for (const file of files) {
    const bytes = bytesOf(file);
    if (hits(bytes, secrets) > 0) found.push(file);
    controlHits += hits(bytes, controls);
  }
  const texts = Buffer.from([...rows, ...said].join('\n'));
  expect(found).toEqual([]);
  expect(hits(texts, secrets)).toBe(0);
  // The search itself works: an open setting is found in a data file at least, and in the rows.
  expect(controlHits).toBeGreaterThanOrEqual(1);
  expect(hits(texts, controls)).toBe(1);
});
