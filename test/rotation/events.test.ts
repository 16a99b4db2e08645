/** W-29: a signed event becomes wishes for the accounts that it may name; anything else becomes nothing, and one word. */
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { lastSeq, tail } from '../../src/audit/audit.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { systemClock } from '../../src/base/clock.ts';
import { isRefusal } from '../../src/base/errors.ts';
import type { GateId } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declareTargets } from '../../src/estate/estate.ts';
import type { EventMessage, Rotation } from '../../src/rotation/rotation.ts';
import { type SignedEvent, signEvent } from '../support/signed-event.ts';
import { nowhere, operator, type RotationRoom, rotationRoom } from './room.ts';
import { ScriptedTarget, yes } from './target.ts';

const gate = newId<GateId>();
const address = '192.0.2.7';
let later = 0;
const clock = {
  now: () => Date.now() + later,
  sleep: (ms: number, signal: AbortSignal) => systemClock.sleep(ms, signal),
};
let room: RotationRoom;
let secret: string;

beforeAll(async () => {
  room = await rotationRoom({ clock });
  await room.target(nowhere);
  const { db } = room.vault.base;
  await inTransaction(db, (tx) =>
    declareTargets(tx, [{ name: 'other', platform: 'linux', address: '192.0.2.2', services: [] }], {
      actor: operator,
      prune: false,
    }),
  );
  for (const name of ['root@box', 'app@box', 'root@other']) await room.account({ name, kind: 'password' });
  secret = await add('siem', ['*@box', 'ops@*']);
});
afterAll(async () => await room[Symbol.asyncDispose]());
beforeEach(() => {
  later = 0;
});

async function add(name: string, reach: readonly string[]): Promise<string> {
  const added = await room.rotation.events.add({ name, reach }, operator);
  if (isRefusal(added)) throw new Error(added.reason);
  using key = added;
  return `whsec_${Buffer.from(key.reveal()).toString('base64')}`;
}

const message = (signed: SignedEvent, source = 'siem'): EventMessage => ({
  ...signed,
  body: utf8(signed.body),
  source,
  gate,
  address,
});

/** What one message came to: the verdict, the accounts that were wished for, and the events in the trail. */
async function judged(given: EventMessage, rotation: Rotation = room.rotation) {
  const { db } = room.vault.base;
  const from = await lastSeq(db);
  const before = (await wishes()).length;
  const verdict = await rotation.events.judge(given);
  const trail = await tail(db, { after: from, limit: 100 });
  return { verdict, wished: (await wishes()).slice(before), trail };
}

async function wishes(): Promise<{ label: string; reason: string }[]> {
  const { rows } = await sql<{ label: string; reason: string }>`
    select account.name || '@' || target.name as label, reason from rotation_wish
    join account on account.id = account_id join target on target.id = target_id order by rotation_wish.id`.execute(
    room.vault.base.db,
  );
  return rows;
}

const event = { reason: 'a leaked password', target: 'box', account: 'root' };

describe('a signed event', () => {
  test('is a wish for the account that it names, and the trail says who asked and why', async () => {
    const signed = signEvent(secret, event);
    const { verdict, wished, trail } = await judged(message(signed));
    expect(verdict).toEqual({ kind: 'accepted', accounts: 1 });
    expect(wished).toEqual([{ label: 'root@box', reason: 'siem: a leaked password' }]);
    expect(trail.map(({ type }) => type)).toEqual(['rotation.event.accepted', 'rotation.wished']);
    for (const row of trail) expect(row.actor).toEqual({ kind: 'event-source', name: 'siem', address });
    expect(trail[0]?.details).toEqual({ message: signed.id, ...event, accounts: 1 });
    const [source] = await room.rotation.events.sources();
    expect(source?.lastUsedAt?.getTime()).toBeGreaterThan(Date.now() - 60_000);
  });

  test('that names a target or an account only is for all of that name within reach', async () => {
    const target = await judged(message(signEvent(secret, { reason: 'x', target: 'BOX' })));
    expect(target.wished.map(({ label }) => label).toSorted()).toEqual(['app@box', 'root@box']);
    const account = await judged(message(signEvent(secret, { reason: 'x', account: 'root' })));
    expect(account.verdict).toEqual({ kind: 'accepted', accounts: 1 });
    expect(account.wished.map(({ label }) => label)).toEqual(['root@box']);
  });

  test.each<[string, object]>([
    ['out of reach', { target: 'other', account: 'root' }],
    ['that does not exist', { target: 'nowhere', account: 'root' }],
  ])('for an account %s is taken like any other, and reaches none', async (_, names) => {
    const { verdict, wished, trail } = await judged(message(signEvent(secret, { reason: 'x', ...names })));
    expect(verdict).toEqual({ kind: 'accepted', accounts: 0 });
    expect(wished).toEqual([]);
    expect(trail.map(({ type, details }) => [type, details['accounts']])).toEqual([['rotation.event.accepted', 0]]);
  });

  test('holds with one good signature among others', async () => {
    const signed = signEvent(secret, event);
    const other = signEvent(`whsec_${Buffer.alloc(32).toString('base64')}`, event);
    const signature = `${other.signature} v1a,zzz ${signed.signature}`;
    expect((await judged(message({ ...signed, signature }))).verdict).toEqual({ kind: 'accepted', accounts: 1 });
  });

  test('with a body that is none is told so, once', async () => {
    const signed = signEvent(secret, { ...event, host: 'box' });
    const first = await judged(message(signed));
    expect(first.verdict).toMatchObject({ kind: 'invalid', code: 'rotation.event-invalid' });
    expect(first.wished).toEqual([]);
    expect(first.trail.map(({ type }) => type)).toEqual(['rotation.event.invalid']);
    expect((await judged(message(signed))).verdict).toEqual({ kind: 'unauthorized' });
  });
});

describe('unauthorized, and nothing is wished for:', () => {
  const cases: readonly (readonly [string, string, () => EventMessage])[] = [
    ['a source that is unknown', 'unknown-source', () => message(signEvent(secret, event), 'nobody')],
    ['no signature', 'unsigned', () => message({ ...signEvent(secret, event), signature: '' })],
    ['another key', 'signature', () => message(signEvent(`whsec_${Buffer.alloc(32).toString('base64')}`, event))],
    [
      'another body',
      'signature',
      () => message({ ...signEvent(secret, event), body: '{"reason":"x","target":"box"}' }),
    ],
    ['another number', 'signature', () => message({ ...signEvent(secret, event), id: 'msg_other' })],
    ['another time', 'signature', () => message({ ...signEvent(secret, event), timestamp: '1674087231' })],
    ['too old', 'stale', () => message(signEvent(secret, event, { at: Date.now() - 301_000 }))],
    ['from too far ahead', 'stale', () => message(signEvent(secret, event, { at: Date.now() + 302_000 }))],
  ];
  test.each(cases)('%s', async (_, reason, make) => {
    const { verdict, wished, trail } = await judged(make());
    expect(verdict).toEqual({ kind: 'unauthorized' });
    expect(wished).toEqual([]);
    expect(trail.map(({ type, details, actor }) => [type, details['reason'], actor])).toEqual([
      ['rotation.event.refused', reason, { kind: 'gate', id: gate, address }],
    ]);
  });

  test('the same message again, as it was or signed anew under the same number', async () => {
    const signed = signEvent(secret, event);
    expect((await judged(message(signed))).verdict).toEqual({ kind: 'accepted', accounts: 1 });
    for (const again of [signed, signEvent(secret, { ...event, reason: 'other' }, { id: signed.id })]) {
      const { verdict, wished, trail } = await judged(message(again));
      expect([verdict, wished]).toEqual([{ kind: 'unauthorized' }, []]);
      expect(trail.map(({ details }) => details['reason'])).toEqual(['replayed']);
    }
  });

  test('the same message again when our own clock was set back meanwhile', async () => {
    later = 240_000;
    const signed = signEvent(secret, event, { at: Date.now() });
    expect((await judged(message(signed))).verdict).toMatchObject({ kind: 'accepted' });
    later = 0;
    expect((await judged(message(signed))).verdict).toEqual({ kind: 'unauthorized' });
  });

  test('the key of another source', async () => {
    const other = await add('other-siem', ['*@*']);
    expect((await judged(message(signEvent(other, event)))).verdict).toEqual({ kind: 'unauthorized' });
    expect((await judged(message(signEvent(other, event), 'other-siem'))).verdict).toMatchObject({ kind: 'accepted' });
  });
});

test('a message that two processes get at the same time is taken once', async () => {
  const others = await Promise.all(Array.from({ length: 4 }, () => room.open()));
  const before = (await wishes()).length;
  const given = message(signEvent(secret, event));
  const verdicts = await Promise.all(others.map((rotation) => rotation.events.judge(given)));
  expect(verdicts.map(({ kind }) => kind).toSorted()).toEqual([
    'accepted',
    'unauthorized',
    'unauthorized',
    'unauthorized',
  ]);
  expect((await wishes()).length).toBe(before + 1);
});

test('a process that dies before the commit has taken nothing, and the sender may try again', async () => {
  const dying = await room.open({
    at: (point) => {
      if (point === 'before wish') throw new Error('died');
    },
  });
  const given = message(signEvent(secret, event));
  await expect(dying.events.judge(given)).rejects.toThrow('died');
  expect((await judged(given)).verdict).toEqual({ kind: 'accepted', accounts: 1 });
});

test('numbers are forgotten when nobody can use them any more', async () => {
  const count = async (): Promise<number> => {
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from event_taken`.execute(room.vault.base.db);
    return rows[0]?.n ?? 0;
  };
  await judged(message(signEvent(secret, event)));
  expect(await count()).toBeGreaterThan(1);
  later = 3 * 3_600_000;
  await judged(message(signEvent(secret, event, { at: Date.now() + later })));
  expect(await count()).toBe(1);
});

describe('a source', () => {
  test('is there under one name once, and is gone when it was removed, under the same name too', async () => {
    const key = await add('brief', ['root@box']);
    expect(await room.rotation.events.add({ name: 'brief', reach: ['*@*'] }, operator)).toMatchObject({
      code: 'rotation.event-source-exists',
    });
    expect(await room.rotation.events.remove('brief', operator)).toBeUndefined();
    expect((await judged(message(signEvent(key, event), 'brief'))).verdict).toEqual({ kind: 'unauthorized' });
    await add('brief', ['root@box']);
    expect((await judged(message(signEvent(key, event), 'brief'))).verdict).toEqual({ kind: 'unauthorized' });
    expect(await room.rotation.events.remove('nobody', operator)).toMatchObject({
      code: 'rotation.event-source-unknown',
    });
  });

  test.each<[string, string, readonly string[]]>([
    ['a name that no path can have', 'Siem', ['*@*']],
    ['a name that is none', '', ['*@*']],
    ['no selector', 'fine', []],
    ['a pattern within a name', 'fine', ['root@web-*']],
    ['an account without a target', 'fine', ['root']],
    ['too many selectors', 'fine', Array<string>(101).fill('*@*')],
  ])('with %s is refused', async (_, name, reach) => {
    expect(await room.rotation.events.add({ name, reach }, operator)).toMatchObject({
      code: 'rotation.event-source-invalid',
    });
  });

  test('has its key sealed: a row that was edited opens no more, and the alarm is in the trail', async () => {
    const key = await add('edited', ['*@*']);
    const { owner, db } = room.vault.base;
    const plain = Buffer.from(key.slice(6), 'base64').toString('hex');
    const row = await db.selectFrom('event_source').selectAll().where('name', '=', 'edited').executeTakeFirstOrThrow();
    expect(Buffer.from(row.sealed).toString('hex')).not.toContain(plain);
    await sql`update event_source set sealed = (select sealed from event_source where name = 'siem')
      where name = 'edited'`.execute(owner);
    const from = await lastSeq(db);
    await expect(room.rotation.events.judge(message(signEvent(key, event), 'edited'))).rejects.toMatchObject({
      code: 'vault.tampered',
    });
    const types = (await tail(db, { after: from, limit: 10 })).map(({ type }) => type);
    expect(types).toEqual(['vault.credential.tampered']);
  });
});

test('what an event asked for is done by the loop, without anybody waiting for it', async () => {
  const target = new ScriptedTarget('first-Value-9');
  const { promise: changed, resolve } = Promise.withResolvers<void>();
  target.onChange = (next) => {
    target.live = next;
    resolve();
    return yes;
  };
  const account = await room.account({ name: 'svc@box', kind: 'password', connector: 'linux-chpasswd' });
  await room.seed(account, 'first-Value-9');
  const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 600_000 };
  const watching = await room.open({ watch: true, run: target.run, timing });
  await watching.settle();
  expect(target.jobs).not.toContain('change');
  const asked = message(signEvent(secret, { reason: 'x', target: 'box', account: 'svc' }));
  expect(await watching.events.judge(asked)).toEqual({ kind: 'accepted', accounts: 1 });
  await changed;
  await watching.settle();
  expect(await room.value(account)).toBe(target.live);
  expect(target.jobs.filter((job) => job === 'change')).toHaveLength(1);
});
