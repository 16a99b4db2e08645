/** What is written into the trail, by whom it can be changed (nobody), and how it is read (P-78, X-67). */
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { type Actor, type AuditEvent, follow, lastSeq, record, tail, verify } from '../../src/audit/audit.ts';
import type { AccountId, UserId } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { testDatabase } from '../support/database.ts';

const keeper: Actor = { kind: 'system', part: 'keeper' };
const ana: Actor = { kind: 'user', id: newId<UserId>(), name: 'ana', address: '192.0.2.7' };
const never = new AbortController().signal;

function refused(reason: string, account?: AccountId): AuditEvent {
  return { type: 'access.refused', about: { account }, details: { selector: 'ana@root@web', code: 'x.y', reason } };
}

test('an event is read back as it was written', async () => {
  await using t = await testDatabase();
  const account = newId<AccountId>();
  const at = new Date('2026-01-31T12:00:00.123Z');
  await record(t.db, ana, refused('no grant', account), at);
  expect(await tail(t.db, { after: 0, limit: 10 })).toMatchObject([
    {
      seq: 1,
      at,
      type: 'access.refused',
      actor: ana,
      about: { account },
      details: { selector: 'ana@root@web', code: 'x.y', reason: 'no grant' },
    },
  ]);
});

test('fifty writers at the same time make one unbroken chain', async () => {
  await using t = await testDatabase();
  const other = await t.another();
  const writers = Array.from({ length: 50 }, async (_, n) => {
    const db = n % 2 === 0 ? t.db : other;
    if (n % 3 === 0) return await record(db, keeper, refused(`plain ${n}`));
    return await inTransaction(db, async (tx) => {
      await record(tx, keeper, refused(`first ${n}`));
      await record(tx, keeper, refused(`second ${n}`));
    });
  });
  await Promise.all(writers);
  expect(await verify(t.db, {}, never)).toMatchObject({ state: 'intact', events: 17 + 2 * 33 });
});

test('an event of a transaction that is rolled back was never there, and leaves no gap', async () => {
  await using t = await testDatabase();
  await record(t.db, keeper, refused('one'));
  const failing = inTransaction(t.db, async (tx) => {
    await record(tx, keeper, refused('never'));
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  await record(t.db, keeper, refused('two'));
  const rows = await tail(t.db, { after: 0, limit: 10 });
  expect(rows.map((row) => [row.seq, row.details['reason']])).toEqual([
    [1, 'one'],
    [2, 'two'],
  ]);
});

test('a transaction holds up the other writers only from its end on', async () => {
  await using t = await testDatabase();
  await inTransaction(t.db, async (tx) => {
    await record(tx, keeper, refused('slow'));
    // Would wait for ever if the slow transaction held the trail already.
    await record(t.db, keeper, refused('quick'));
  });
  const rows = await tail(t.db, { after: 0, limit: 10 });
  expect(rows.map((row) => row.details['reason'])).toEqual(['quick', 'slow']);
});

test.each(['app', 'owner', 'superuser'] as const)('the %s cannot change, remove or empty rows', async (who) => {
  await using t = await testDatabase();
  await record(t.db, keeper, refused('kept'));
  const db = who === 'app' ? t.db : who === 'owner' ? t.owner : await t.admin();
  for (const statement of [
    sql`UPDATE audit_event SET type = 'other'`,
    sql`DELETE FROM audit_event`,
    sql`TRUNCATE audit_event`,
    // As replication would, for which ordinary triggers do not fire. Only a superuser may try.
    sql`SET LOCAL session_replication_role = replica; DELETE FROM audit_event`,
  ])
    await expect(statement.execute(db)).rejects.toMatchObject({ code: '42501' });
  expect(await lastSeq(t.db)).toBe(1);
});

test('neither a secret nor bytes nor any object with a life can enter an event', async () => {
  await using t = await testDatabase();
  using secret = Secret.fromText('hunter2');
  for (const value of [
    secret,
    new Uint8Array(3),
    Buffer.from('x'),
    new Date(),
    () => 1,
    10n,
    Number.NaN,
    Symbol('s'),
  ]) {
    const event = { type: 'access.refused', about: {}, details: { selector: 's', code: 'c', reason: value } };
    await expect(record(t.db, keeper, event as unknown as AuditEvent)).rejects.toMatchObject({
      code: 'audit.not-plain',
    });
  }
  expect(await lastSeq(t.db)).toBe(0);
});

test('the compiler refuses a secret, bytes, and details of another event', () => {
  const secret = Secret.fromText('x');
  const wrong: AuditEvent[] = [
    // @ts-expect-error a secret is no detail
    { type: 'session.killed', about: {}, details: { reason: secret } },
    // @ts-expect-error bytes are no detail
    { type: 'session.killed', about: {}, details: { reason: new Uint8Array(1) } },
    // @ts-expect-error these details belong to another event
    { type: 'session.killed', about: {}, details: { code: 'x', selector: 'y' } },
    // @ts-expect-error an account's id is not a user's
    { type: 'session.killed', about: { user: newId<AccountId>() }, details: { reason: 'x' } },
  ];
  expect(wrong.length).toBe(4);
});

test('a name that a stranger made up is stored whatever is in it', async () => {
  await using t = await testDatabase();
  for (const reason of ['nul \0 here', 'half \uD800 a pair', 'x'.repeat(100_000), '"\\\u2028\u007f', '__proto__'])
    await record(t.db, keeper, refused(reason));
  expect(await verify(t.db, {}, never)).toMatchObject({ state: 'intact', events: 5 });
  const reasons = (await tail(t.db, { after: 0, limit: 10 })).map((row) => String(row.details['reason']));
  expect(reasons.slice(0, 2)).toEqual(['nul \uFFFD here', 'half \uFFFD a pair']);
  expect(reasons[2]?.length).toBe(4096);
});

test('the trail is searched by type and by what an event is about', async () => {
  await using t = await testDatabase();
  const account = newId<AccountId>();
  await record(t.db, keeper, refused('other', newId<AccountId>()));
  await record(t.db, keeper, refused('wanted', account));
  await record(t.db, keeper, { type: 'keeper.stopped', about: {}, details: { reason: 'end' } });
  const about = await tail(t.db, { after: 0, about: { account }, limit: 10 });
  expect(about.map((row) => row.details['reason'])).toEqual(['wanted']);
  expect((await tail(t.db, { after: 0, type: 'keeper.stopped', limit: 10 })).map((row) => row.seq)).toEqual([3]);
  expect((await tail(t.db, { after: 1, limit: 1 })).map((row) => row.seq)).toEqual([2]);
});

test('who follows the trail gets what was there and what comes, each once, in order', async () => {
  await using t = await testDatabase();
  await record(t.db, keeper, refused('before'));
  const stop = new AbortController();
  const seen: unknown[] = [];
  for await (const row of follow(t.db, t.url, { after: 0 }, silent, stop.signal)) {
    seen.push(row.details['reason']);
    if (seen.length === 1) await record(t.db, keeper, refused('during'));
    if (seen.length === 2) await record(t.db, keeper, refused('after'));
    if (seen.length === 3) stop.abort();
  }
  expect(seen).toEqual(['before', 'during', 'after']);
});
