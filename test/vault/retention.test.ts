/** B-03: whatever was stored stays readable, through crashes, restarts and every order of operations. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Sigkey } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { type Account, currentOf, type Vault, versionsOf } from '../../src/vault/vault.ts';
import { seeded } from './policy/material.ts';
import { actor, vaultRoom, type VaultRoom } from './room.ts';

async function value(vault: Vault, account: Account, sigkey: Sigkey): Promise<string> {
  using version = await vault.openVersion(account.id, sigkey, 'test', actor);
  return version.kind === 'password' ? version.secret.revealText() : '';
}

/** Runs the child up to its point, then kills it with SIGKILL. */
async function killed(room: VaultRoom, account: Account, sigkey: Sigkey, secret: string, where: string): Promise<void> {
  const script = join(import.meta.dirname, 'storing-child.ts');
  const ids = [room.base.url, room.rootKeyPath, room.dataDirectory, account.id, sigkey, where];
  const child = spawn(process.execPath, [script, ...ids], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(secret);
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  expect(said.toString()).toBe('here\n');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

test('killed between storing and making current, both values stay readable and the old one is current', async () => {
  await using room = await vaultRoom();
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  const old = await room.put(account, 'old value');
  const fresh = newId<Sigkey>();
  await killed(room, account, fresh, 'new value', 'after-commit');
  const vault = await room.reopen();
  expect((await currentOf(room.base.db, account.id))?.sigkey).toBe(old);
  expect(await value(vault, account, old)).toBe('old value');
  expect(await value(vault, account, fresh)).toBe('new value');
  expect((await versionsOf(room.base.db, account.id)).map(({ sigkey }) => sigkey)).toEqual([fresh, old]);
});

test('killed before the commit, nothing of the new value is there', async () => {
  await using room = await vaultRoom();
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  const old = await room.put(account, 'old value');
  await killed(room, account, newId<Sigkey>(), 'new value', 'before-commit');
  expect((await versionsOf(room.base.db, account.id)).map(({ sigkey }) => sigkey)).toEqual([old]);
});

const steps = Number(process.env['SALLYPORT_VAULT_STEPS'] ?? 500);

test('after any history each committed value is in exactly one row and opens', async () => {
  await using room = await vaultRoom();
  const { db } = room.base;
  const random = seeded('history of operations');
  const below = (bound: number): number => (random(1)[0] ?? 0) % bound;
  const accounts = await room.declare('root@web-01', 'root@web-02', 'deploy@web-02');
  const kept = new Map<Sigkey, { readonly account: Account; readonly value: string }>();
  let { vault } = room;
  for (let step = 0; step < steps; step++) {
    const account = accounts[below(accounts.length)];
    if (account === undefined) continue;
    const own = [...kept].filter(([, entry]) => entry.account === account).map(([sigkey]) => sigkey);
    const some = own[below(Math.max(own.length, 1))];
    const sigkey = newId<Sigkey>();
    const text = `value of step ${step}`;
    const credential = { kind: 'password', secret: Secret.fromText(text) } as const;
    const store = { account: account.id, sigkey, credential, origin: 'generated', actor } as const;
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
        await inTransaction(db, (tx) => vault.store(tx, store));
        kept.set(sigkey, { account, value: text });
        break;
      case 3:
        await inTransaction(db, async (tx) => {
          await vault.store(tx, store);
          await vault.setCurrent(tx, account.id, sigkey);
        });
        kept.set(sigkey, { account, value: text });
        break;
      case 4:
        // The connection goes away in the middle, as in a crash.
        await inTransaction(db, async (tx) => {
          await vault.store(tx, store);
          throw new Error('cut');
        }).catch(() => {});
        break;
      case 5:
        await vault.setCurrent(db, account.id, some ?? null);
        break;
      case 6:
        await vault.setCurrent(db, account.id, null);
        break;
      default:
        if (step % 5 === 0) vault = await room.reopen();
        else if (some !== undefined) expect(await value(vault, account, some)).toBe(kept.get(some)?.value);
    }
  }
  const rows = await db.selectFrom('credential_version').select('sigkey').execute();
  expect(rows.map((row) => row.sigkey).sort()).toEqual([...kept.keys()].sort());
  vault = await room.reopen();
  const found = await Promise.all([...kept].map(([sigkey, entry]) => value(vault, entry.account, sigkey)));
  expect(found).toEqual([...kept.values()].map((entry) => entry.value));
});

test('the app can neither change nor delete a version, nor its data key, nor an account', async () => {
  await using room = await vaultRoom();
  const [account] = await room.declare('root@web-01');
  if (account === undefined) throw new Error('not declared');
  await room.put(account, 'x');
  const { db, owner } = room.base;
  const denied = { code: '42501' };
  await expect(db.deleteFrom('credential_version').execute()).rejects.toMatchObject(denied);
  await expect(db.updateTable('credential_version').set({ kind: 'api-key' }).execute()).rejects.toMatchObject(denied);
  await expect(db.deleteFrom('credential_dek').execute()).rejects.toMatchObject(denied);
  await expect(db.updateTable('credential_dek').set({ kek_version: 1 }).execute()).rejects.toMatchObject(denied);
  await expect(db.deleteFrom('account_current').execute()).rejects.toMatchObject(denied);
  await expect(db.deleteFrom('account').execute()).rejects.toMatchObject(denied);
  await expect(db.deleteFrom('hold').execute()).rejects.toMatchObject(denied);
  await expect(owner.deleteFrom('credential_version').execute()).rejects.toMatchObject(denied);
  await expect(owner.deleteFrom('vault_key').execute()).rejects.toMatchObject(denied);
});
