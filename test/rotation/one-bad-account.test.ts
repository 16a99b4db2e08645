/** One account that cannot be looked after keeps no other from it; one value that cannot be opened keeps no other from being tried. */
import { expect, test } from 'vitest';
import type { Sigkey } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { inTransaction } from '../../src/db/db.ts';
import { Secret } from '../../src/base/secret.ts';
import { usualRules } from '../../src/rotation/context.ts';
import { addOutcome, addRandomization } from '../../src/rotation/ledger/ledger.ts';
import { alone, type Peers } from '../../src/rotation/peers.ts';
import type { Account } from '../../src/vault/vault.ts';
import { first, history, rootOf, type Scene, scene, settled } from './conflict-scene.ts';
import { never, operator } from './room.ts';

/** Another account in conflict, whose only value works. */
async function another({ room }: Scene): Promise<Account> {
  const account = await room.account({ name: 'later@box', kind: 'password', connector: 'linux-chpasswd' });
  const sigkey = newId<Sigkey>();
  using secret = Secret.fromText(first);
  await inTransaction(room.vault.base.db, async (tx) => {
    const { vault } = room.vault;
    const credential = { kind: 'password', secret } as const;
    const at = Date.now();
    await vault.store(tx, { account: account.id, sigkey, credential, origin: 'generated', actor: operator });
    await addRandomization(tx, vault, { sigkey, account: account.id, parent: null, node: 'x', createdAt: at });
    const outcome = { account: account.id, sigkey, node: 'x', status: 'U', at, retcode: '', message: '' } as const;
    await addOutcome(tx, vault, outcome);
  });
  return account;
}

async function conflictOf({ room }: Scene, account: Account): Promise<string | undefined> {
  const row = await room.vault.base.db
    .selectFrom('ledger_account')
    .select('conflict')
    .where('account_id', '=', account.id)
    .executeTakeFirst();
  return row?.conflict;
}

/** As if the value had not arrived, or its key had been destroyed. */
async function unopenable({ room }: Scene, sigkey: Sigkey): Promise<void> {
  await room.vault.base.owner.deleteFrom('credential_dek').where('sigkey', '=', sigkey).execute();
}

test('an account whose question fails keeps no later one from being resolved', async () => {
  const peers: Peers = { ...alone };
  await using stage = await scene({ peers });
  await stage.draw('cut-off-Value-1', await rootOf(stage), 'U');
  const later = await another(stage);
  (peers as { heard: Peers['heard'] }).heard = async (id) => {
    if (id === stage.account.id) throw new Error('the database hiccuped');
    return 'here';
  };
  await settled(stage);
  expect([await conflictOf(stage, stage.account), await conflictOf(stage, later)]).toEqual(['incomplete', 'none']);
});

test('an account whose try fails keeps no later one of its batch from being resolved', async () => {
  await using stage = await scene({ rules: { ...usualRules, overall: 1 } });
  await stage.draw('cut-off-Value-1', await rootOf(stage), 'U');
  const later = await another(stage);
  const { run } = stage.target;
  const watching = await stage.room.open({
    watch: true,
    run: async (job, limits, signal) => {
      if ('task' in job && job.task.account === 'app') throw new Error('the pipe broke');
      return run(job, limits, signal);
    },
  });
  await watching.settle();
  await watching[Symbol.asyncDispose]();
  expect([await conflictOf(stage, stage.account), await conflictOf(stage, later)]).toEqual(['incomplete', 'none']);
});

test('a value that cannot be opened is one that nobody knows of: the others are tried, and nothing is decided', async () => {
  await using stage = await scene();
  const root = await rootOf(stage);
  const cut = await stage.draw('cut-off-Value-1', root, 'U');
  await unopenable(stage, cut);
  await settled(stage);
  expect(stage.target.jobs).toContain('adminverify');
  expect(await history(stage)).toMatchObject({ conflict: 'incomplete', current: root });
  expect(await stage.room.rotation.conflicts.list(never)).toMatchObject([{ state: 'waiting' }]);
});

test('a former value that cannot be opened does not keep the one that works from being tried', async () => {
  await using stage = await scene();
  const { room, account, target } = stage;
  for (let change = 0; change < 2; change++)
    expect(await room.rotation.rotate(account.id, 'on-demand', operator, never)).toMatchObject({ status: 'confirmed' });
  const [, second] = (await history(stage)).versions.toSorted((a, b) => (a.sigkey < b.sigkey ? -1 : 1));
  if (second === undefined) throw new Error('nothing was drawn');
  await unopenable(stage, second.sigkey);
  target.live = 'set-by-Hand-77';
  target.jobs.length = 0;
  expect(await room.rotation.verify(account.id, operator, never)).toMatchObject({
    answer: 'rejected',
    words: expect.stringContaining('not every former one could be tried'),
  });
  expect(target.jobs).toEqual(['verify', 'adminverify']);
  expect(await room.rotation.reconcile(account.id, operator, never)).toMatchObject({ code: 'rotation.not-known-lost' });
});
