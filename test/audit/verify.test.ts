/** Every way to falsify the trail that somebody with all rights has, and what `verify` says of it. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readAnchors, record, signHead, verify } from '../../src/audit/audit.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

const ours = generateKeyPairSync('ed25519');
const theirs = generateKeyPairSync('ed25519');
const signer =
  (key = ours.privateKey) =>
  async (bytes: Uint8Array) =>
    await Promise.resolve(sign(null, bytes, key));
const never = new AbortController().signal;

let t: TestDatabase;
let folder: string;
let anchorFile: string;

/** As an intruder with every right: the append-only triggers are switched off first. */
let intruder: Kysely<unknown>;

beforeEach(async () => {
  t = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), 'anchor-'));
  anchorFile = join(folder, 'heads');
  for (let n = 1; n <= 10; n++)
    await record(
      t.db,
      { kind: 'system', part: 'test' },
      { type: 'session.killed', about: {}, details: { reason: `${n}` } },
    );
  intruder = (await t.admin()) as unknown as Kysely<unknown>;
  await sql`ALTER TABLE audit_event DISABLE TRIGGER USER`.execute(intruder);
  await sql`ALTER TABLE audit_head DISABLE TRIGGER USER`.execute(intruder);
});

afterEach(async () => {
  await t[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function verdict(): Promise<unknown> {
  const anchors = await readAnchors(anchorFile);
  return await verify(t.db, { publicKey: ours.publicKey, anchors }, never);
}

/** Makes the hashes of all rows from `seq` on anew, as somebody who knows FORMAT.md would. */
async function rehash(seq: number): Promise<void> {
  await sql`CREATE TABLE copy AS SELECT * FROM audit_event WHERE seq >= ${seq} ORDER BY seq`.execute(intruder);
  await sql`DELETE FROM audit_event WHERE seq >= ${seq}`.execute(intruder);
  const { rows } = await sql<{ details: { reason: string } }>`SELECT details FROM copy ORDER BY seq`.execute(intruder);
  for (const { details } of rows)
    await record(t.db, { kind: 'system', part: 'test' }, { type: 'session.killed', about: {}, details });
}

test('an untouched trail with signed heads is intact', async () => {
  await signHead(t.db, signer(), anchorFile);
  expect(await verdict()).toMatchObject({ state: 'intact', events: 10, heads: 1 });
});

test.each(['at', 'type', 'actor', 'about', 'details'])('a row whose %s was edited is named', async (column) => {
  const value = column === 'at' ? sql`at + interval '1 ms'` : column === 'type' ? sql`'session.ended'` : sql`'{"x":1}'`;
  await sql`UPDATE audit_event SET ${sql.id(column)} = ${value} WHERE seq = 4`.execute(intruder);
  expect(await verdict()).toMatchObject({ state: 'broken', seq: 4, fault: 'edited' });
});

test('an edited row whose own hash was made anew breaks the next one', async () => {
  await sql`CREATE TABLE kept AS SELECT * FROM audit_event WHERE seq > 4`.execute(intruder);
  await sql`DELETE FROM audit_event WHERE seq > 4`.execute(intruder);
  await sql`UPDATE audit_event SET details = '{"reason":"forged"}' WHERE seq = 4`.execute(intruder);
  await rehash(4);
  await sql`INSERT INTO audit_event SELECT * FROM kept`.execute(intruder);
  expect(await verdict()).toMatchObject({ state: 'broken', seq: 5, fault: 'unchained' });
});

test('a row that was removed from the middle is named', async () => {
  await sql`DELETE FROM audit_event WHERE seq = 4`.execute(intruder);
  expect(await verdict()).toMatchObject({ state: 'broken', seq: 4, fault: 'missing' });
});

test('two rows that changed places are noticed at the first', async () => {
  await sql`UPDATE audit_event SET seq = 11 - seq + 1000 WHERE seq IN (5, 6)`.execute(intruder);
  await sql`UPDATE audit_event SET seq = seq - 1000 WHERE seq > 1000`.execute(intruder);
  expect(await verdict()).toMatchObject({ state: 'broken', seq: 5, fault: 'edited' });
});

test('a trail made anew from some row on does not fit its head', async () => {
  await signHead(t.db, signer());
  await sql`UPDATE audit_event SET details = '{"reason":"forged"}' WHERE seq = 4`.execute(intruder);
  await rehash(4);
  expect(await verdict()).toMatchObject({ state: 'broken', seq: 10, fault: 'rewritten' });
});

test('a trail made anew with a head of another key is not believed', async () => {
  await sql`UPDATE audit_event SET details = '{"reason":"forged"}' WHERE seq = 4`.execute(intruder);
  await rehash(4);
  await signHead(t.db, signer(theirs.privateKey));
  expect(await verdict()).toMatchObject({ state: 'broken', seq: 10, fault: 'forged-head' });
});

test('a tail that was cut off is noticed by the head in the database', async () => {
  await signHead(t.db, signer());
  await sql`DELETE FROM audit_event WHERE seq > 7`.execute(intruder);
  expect(await verdict()).toMatchObject({ state: 'broken', seq: 8, fault: 'cut-off' });
});

test('a tail that was cut off together with its heads is noticed by the anchor outside', async () => {
  await signHead(t.db, signer(), anchorFile);
  await sql`DELETE FROM audit_event WHERE seq > 7`.execute(intruder);
  await sql`DELETE FROM audit_head`.execute(intruder);
  expect(await verdict()).toMatchObject({ state: 'broken', seq: 8, fault: 'cut-off' });
});

test('a whole trail that was emptied is noticed by the anchor outside', async () => {
  await signHead(t.db, signer(), anchorFile);
  await sql`TRUNCATE audit_event, audit_head`.execute(intruder);
  expect(await verdict()).toMatchObject({ state: 'broken', seq: 1, fault: 'cut-off' });
});

test('a line of the anchor file that is no anchor is named', async () => {
  await signHead(t.db, signer(), anchorFile);
  await writeFile(anchorFile, `${await readFile(anchorFile, 'utf8')}{"seq":1}\n`);
  await expect(readAnchors(anchorFile)).rejects.toMatchObject({
    code: 'audit.anchor-invalid',
    message: expect.stringContaining(`${anchorFile}:2`) as string,
  });
});

test('an empty trail has no head', async () => {
  await sql`TRUNCATE audit_event`.execute(intruder);
  expect(await signHead(t.db, signer(), anchorFile)).toBeUndefined();
  expect(await verdict()).toMatchObject({ state: 'intact', events: 0 });
});
