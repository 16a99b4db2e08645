/** Holds: proofs of present use, announced when they go. */
import { expect, expectTypeOf, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { isRefusal } from '../../src/base/errors.ts';
import type { GateId } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { newId } from '../../src/base/new-id.ts';
import { inTransaction, listen } from '../../src/db/db.ts';
import {
  declareAccounts,
  hold,
  type Hold,
  holdAfterChange,
  holdExclusively,
  holdsOf,
  releaseHoldsOf,
  resumeHold,
} from '../../src/vault/vault.ts';
import { actor, vaultRoom } from './room.ts';

test('a look-alike of a hold is no hold', () => {
  expectTypeOf<{
    id: Hold['id'];
    account: Hold['account'];
    kind: Hold['kind'];
    subject: string;
    gateId: Hold['gateId'];
    release(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
  }>().not.toExtend<Hold>();
});

test('a hold stands until it is released, and releasing twice is releasing once', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  const gateId = newId<GateId>();
  const one = await hold(db, account.id, { kind: 'session', subject: 's1', gateId });
  const two = await hold(db, account.id, { kind: 'checkout', subject: 'c1' });
  const seen = (await holdsOf(db, account.id)).map(({ id, kind, subject, gateId }) => ({ id, kind, subject, gateId }));
  expect(seen).toEqual([
    { id: one.id, kind: 'session', subject: 's1', gateId },
    { id: two.id, kind: 'checkout', subject: 'c1', gateId: null },
  ]);
  await one.release();
  const row = db.selectFrom('hold').select('released_at').where('id', '=', one.id);
  const first = await row.executeTakeFirstOrThrow();
  await one.release();
  expect(await row.executeTakeFirstOrThrow()).toEqual(first);
  expect((await holdsOf(db, account.id)).map(({ id }) => id)).toEqual([two.id]);
});

test('the end of a block releases, and the release of a use is announced with the account', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  const stop = new AbortController();
  const announced = Promise.withResolvers<string>();
  const listening = { onEvent: (_: string, payload: string) => announced.resolve(payload), onReconnected: () => {} };
  await listen(room.base.url, ['hold_released'], listening, silent, stop.signal);
  const [other] = await room.declare('root@web-02');
  if (other === undefined) throw new Error('not declared');
  await (await hold(db, other.id, { kind: 'rotation', subject: 'r' })).release();
  {
    await using _held = await hold(db, account.id, { kind: 'session', subject: 's' });
    expect((await holdsOf(db, account.id)).length).toBe(1);
  }
  expect(await announced.promise).toBe(account.id);
  expect(await holdsOf(db, account.id)).toEqual([]);
  stop.abort();
});

test('after a restart a hold is found again while it lives, and not after', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  await room.put(account, 'x');
  const { id } = await hold(db, account.id, { kind: 'session', subject: 's' });
  const again = await resumeHold(db, id);
  if (again === undefined) throw new Error('not found');
  expect(isRefusal(await room.vault.open(again, actor))).toBe(false);
  await again.release();
  expect(await resumeHold(db, id)).toBeUndefined();
});

test('recovery releases all holds of a session or of a gate, and nothing else', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  const [gateId, other] = [newId<GateId>(), newId<GateId>()];
  await hold(db, account.id, { kind: 'session', subject: 's1', gateId });
  await hold(db, account.id, { kind: 'session', subject: 's2', gateId });
  await hold(db, account.id, { kind: 'session', subject: 's3', gateId: other });
  expect((await releaseHoldsOf(db, { subject: 's1' })).map(({ subject }) => subject)).toEqual(['s1']);
  expect((await releaseHoldsOf(db, { gateId })).map(({ subject }) => subject)).toEqual(['s2']);
  expect((await holdsOf(db, account.id)).map(({ subject }) => subject)).toEqual(['s3']);
});

test('an account in use is not held exclusively; of many who try at once one gets it', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  const session = await hold(db, account.id, { kind: 'session', subject: 's' });
  const request = { kind: 'rotation', subject: 'r' } as const;
  expect(await holdExclusively(db, account.id, request)).toMatchObject({ refused: true, code: 'vault.in-use' });
  await session.release();
  const tries = await Promise.all(Array.from({ length: 8 }, () => holdExclusively(db, account.id, request)));
  expect(tries.filter((one) => !isRefusal(one)).length).toBe(1);
});

test('a session that comes while the credential is changed waits, and holds the account as soon as the change is over', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  const change = await holdExclusively(db, account.id, { kind: 'rotation', subject: 'a change' });
  if (isRefusal(change)) throw new Error(change.reason);
  const session = { kind: 'session', subject: 'a session' } as const;
  const patient = { clock: systemClock, patienceMs: 60_000 };
  const signal = new AbortController().signal;
  const waiting = holdAfterChange(db, account.id, session, patient, signal);
  const early = await Promise.race([waiting, holdsOf(db, account.id)]);
  expect(early).toMatchObject([{ kind: 'rotation' }]);
  await change.release();
  expect((await waiting).subject).toBe('a session');
});

test('what a dead change left behind locks nobody out for longer than the patience lasts', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  await holdExclusively(db, account.id, { kind: 'rotation', subject: 'of a dead process' });
  const impatient = { clock: systemClock, patienceMs: 0 };
  const held = await holdAfterChange(
    db,
    account.id,
    { kind: 'session', subject: 'a session' },
    impatient,
    new AbortController().signal,
  );
  expect(held.kind).toBe('session');
});

test('a removed account is not held', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  await inTransaction(db, (tx) => declareAccounts(tx, [], { actor, prune: true }));
  await expect(hold(db, account.id, { kind: 'session', subject: 's' })).rejects.toMatchObject({
    code: 'vault.account-unknown',
  });
});
