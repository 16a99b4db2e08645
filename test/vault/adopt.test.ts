/** Taking over another node's key ring: its values open here, our own keys stay, and nothing of ours is ever closed by it. */
import { copyFile, rm } from 'node:fs/promises';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Db } from '../../src/db/db.ts';
import type { ForeignRing } from '../../src/vault/vault.ts';
import { actor, never, type VaultRoom, vaultRoom } from './room.ts';

const nothing = async (): Promise<boolean> => false;

async function ringOf({ base }: VaultRoom): Promise<ForeignRing> {
  const root = await base.db.selectFrom('vault_root').select('root_check').executeTakeFirstOrThrow();
  const keys = await base.db.selectFrom('vault_kek').select(['version', 'sealed', 'node']).execute();
  const history = await base.db.selectFrom('ledger_ring_history').select('sealed').executeTakeFirstOrThrow();
  return { rootCheck: root.root_check, keys, history: history.sealed };
}

/** What an operator does first. */
async function giveKey(from: VaultRoom, to: VaultRoom): Promise<void> {
  await rm(to.rootKeyPath);
  await copyFile(from.rootKeyPath, to.rootKeyPath);
}

async function guardsOf(db: Db): Promise<unknown> {
  return (
    await sql`SELECT tgrelid::regclass::text AS table, tgname, tgenabled FROM pg_trigger
      WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'vault%' ORDER BY 1, 2`.execute(db)
  ).rows;
}

test('the ring is taken over, our own keys stay what they were, and every guard is back', async () => {
  await using ours = await vaultRoom();
  await using theirs = await vaultRoom();
  const own = await ours.vault.sealSigner('audit-head');
  const guards = await guardsOf(ours.base.db);
  await giveKey(theirs, ours);
  const ring = await ringOf(theirs);
  expect(await ours.vault.adopt(await ours.base.admin(), ring, nothing, actor)).toBe('adopted');
  expect(await guardsOf(ours.base.db)).toEqual(guards);
  await using again = await ours.vault.again(never);
  expect((await again.sealSigner('audit-head')).publicKey).toEqual(own.publicKey);
  const sealed = await theirs.vault.sealBytes('across', Uint8Array.of(1, 2, 3));
  using opened = await again.openSealed('across', sealed);
  expect([...opened.reveal()]).toEqual([1, 2, 3]);
  expect(await again.adopt(await ours.base.admin(), ring, nothing, actor)).toBe('same');
  expect(await ours.events()).toContain('vault.ring.adopted');
});

test('what else is sealed with the ring is sealed with it or not at all', async () => {
  await using ours = await vaultRoom();
  await using theirs = await vaultRoom();
  await giveKey(theirs, ours);
  const ring = await ringOf(theirs);
  const admin = await ours.base.admin();
  const across = await theirs.vault.sealBytes('across', Uint8Array.of(7));
  const broken = ours.vault.adopt(admin, ring, nothing, actor, async () => {
    throw new Error('the process ends here');
  });
  await expect(broken).rejects.toThrow(/ends here/);
  // Nothing was taken over, so it can be done again.
  let sealed: Uint8Array = new Uint8Array(0);
  const taken = await ours.vault.adopt(admin, ring, nothing, actor, async (_tx, under) => {
    using opened = under.open('across', across);
    expect([under.adopted, ...opened.reveal()]).toEqual([true, 7]);
    sealed = under.seal('own', Uint8Array.of(8));
  });
  expect(taken).toBe('adopted');
  await using again = await ours.vault.again(never);
  using own = await again.openSealed('own', sealed);
  expect([...own.reveal()]).toEqual([8]);
});

test('a vault with values of its own keeps its ring', async () => {
  await using ours = await vaultRoom();
  await using theirs = await vaultRoom();
  const [account] = await ours.declare('app@box');
  if (account === undefined) throw new Error('no account');
  const sigkey = await ours.put(account, 'Mine.Alone-1');
  const key = await ringOf(theirs);
  await rm(ours.rootKeyPath);
  await copyFile(theirs.rootKeyPath, ours.rootKeyPath);
  await expect(ours.vault.adopt(await ours.base.admin(), key, nothing, actor)).rejects.toMatchObject({
    code: 'vault.ring-in-use',
  });
  using version = await ours.vault.openVersion(account.id, sigkey, 'test', actor);
  expect(version.kind === 'password' && version.secret.revealText()).toBe('Mine.Alone-1');
});

test('nor does it give it up while another room has sealed something, or for a ring under another root key', async () => {
  await using ours = await vaultRoom();
  await using theirs = await vaultRoom();
  const ring = await ringOf(theirs);
  const admin = await ours.base.admin();
  await expect(ours.vault.adopt(admin, ring, nothing, actor)).rejects.toMatchObject({ code: 'vault.rootkey-wrong' });
  await giveKey(theirs, ours);
  await expect(ours.vault.adopt(admin, ring, async () => true, actor)).rejects.toMatchObject({
    code: 'vault.ring-in-use',
  });
  const [first] = ring.keys;
  if (first === undefined) throw new Error('no key');
  const bent = { ...ring, keys: [{ ...first, sealed: first.sealed.map((byte, at) => (at === 20 ? byte ^ 1 : byte)) }] };
  await expect(ours.vault.adopt(admin, bent, nothing, actor)).rejects.toMatchObject({ code: 'vault.tampered' });
});
