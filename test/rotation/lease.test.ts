/** The lease of an account when its database does not answer, and what stands under it when a change was broken off. */
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { takeLease } from '../../src/rotation/ledger/lease.ts';
import { holdsOf } from '../../src/vault/vault.ts';
import { never, nowhere, operator, rotationRoom } from './room.ts';
import { ScriptedTarget } from './target.ts';

test('a lease whose renewal is not answered is given up in its time, without waiting for the answer', async () => {
  await using room = await rotationRoom();
  const { db, owner } = room.vault.base;
  await room.target(nowhere);
  const account = await room.account({ name: 'app@box', kind: 'password' });
  const options = { holder: 'one', ms: 2_000, clock: systemClock };
  const lease = await takeLease(db, account.id, options, never);
  if (lease === undefined) throw new Error('not taken');
  const lost = once(lease.signal, 'abort');
  // The row is locked, so that the renewal waits and no error comes.
  await owner.transaction().execute(async (tx) => {
    await tx.selectFrom('rotation_lease').selectAll().where('account_id', '=', account.id).forUpdate().execute();
    await lost;
  });
  expect(String(lease.signal.reason)).toContain('in time');
  await lease[Symbol.asyncDispose]();
});

test('while a broken-off change may still be landing no session begins on the account', async () => {
  const target = new ScriptedTarget('first-Value-9');
  const stop = new AbortController();
  const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 600_000 };
  await using room = await rotationRoom({ run: target.run, timing });
  await room.target(nowhere);
  const account = await room.account({ name: 'app@box', kind: 'password', connector: 'linux-chpasswd' });
  await room.seed(account, 'first-Value-9');
  target.onChange = () => {
    stop.abort(new Error('called off'));
    throw stop.signal.reason;
  };
  await expect(room.rotation.rotate(account.id, 'on-demand', operator, stop.signal)).rejects.toThrow('called off');
  expect((await holdsOf(room.vault.base.db, account.id)).map(({ kind }) => kind)).toEqual(['rotation']);
});
