/**
 * A node that joins others takes over their key ring: values travel sealed, and the ring opens them everywhere. Only a
 * vault that has no values of its own yet can do so; its own keys (host keys, signing keys) are sealed anew and stay.
 */
import { timingSafeEqual } from 'node:crypto';
import { sql } from 'kysely';
import { type Actor, record } from '../audit/audit.ts';
import type { Secret } from '../base/secret.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import { openWhole, sealWhole, type VersionedKey } from './envelope.ts';
import { VaultError } from './errors.ts';
import { placeOf } from './internal-keys.ts';
import { checkOf, historyPlace, openKeys, type Ring } from './ring.ts';
import { readRootKey } from './root-key.ts';
import { sealedPlace } from './sealing.ts';

/** Another node's ring as its database has it: sealed, but for the check value, which tells nothing. */
export interface ForeignRing {
  readonly rootCheck: Uint8Array;
  readonly keys: readonly { readonly version: number; readonly sealed: Uint8Array; readonly node: string }[];
  /** The key by which a former value is known again. */
  readonly history: Uint8Array;
}

/** The ring that is taken over, for what else is to be sealed under it in the same transaction. */
export interface TakenRing {
  readonly adopted: boolean;
  seal(context: string, bytes: Uint8Array): Uint8Array;
  /** Throws `vault.tampered`. */
  open(context: string, sealed: Uint8Array): Secret;
}

/** See `Vault.adopt`. */
export async function adopt(
  ring: Ring,
  files: { readonly rootKeyPath: string; readonly dataDirectory: string },
  admin: Db,
  theirs: ForeignRing,
  sealedElsewhere: () => Promise<boolean>,
  actor: Actor,
  also: (tx: Tx, taken: TakenRing) => Promise<void>,
): Promise<'same' | 'adopted'> {
  using rootKey = await readRootKey(files.rootKeyPath, files.dataDirectory);
  const own = checkOf(rootKey);
  if (theirs.rootCheck.length !== own.length || !timingSafeEqual(theirs.rootCheck, own))
    throw new VaultError(
      'vault.rootkey-wrong',
      "the other node has another one; copy its root key file to this node's",
    );
  const keys = openKeys(rootKey, theirs.keys);
  try {
    // Awaited here, because the keys are zeroed at the end of this block.
    return await inTransaction(admin, async (tx) => {
      const same = await isOurs(tx, theirs);
      if (!same) {
        if ((await hasValues(tx)) || (await sealedElsewhere())) throw new VaultError('vault.ring-in-use');
        await replace(tx, ring, keys, theirs, own);
        await record(tx, actor, { type: 'vault.ring.adopted', about: {}, details: { versions: theirs.keys.length } });
      }
      await also(tx, takenRing(keys, !same));
      return same ? 'same' : 'adopted';
    });
  } finally {
    for (const key of keys.values()) key[Symbol.dispose]();
  }
}

function takenRing(keys: ReadonlyMap<number, Secret>, adopted: boolean): TakenRing {
  const newest = Math.max(...keys.keys());
  return {
    adopted,
    seal: (context, bytes) => sealWhole({ version: newest, key: keyOf(keys, newest) }, sealedPlace(context), bytes),
    open: (context, sealed) =>
      openWhole((version) => ({ version, key: keyOf(keys, version) }), sealedPlace(context), sealed),
  };
}

async function isOurs(tx: Tx, theirs: ForeignRing): Promise<boolean> {
  const keys = await tx.selectFrom('vault_kek').select(['version', 'sealed']).execute();
  const mine = new Map(keys.map((key) => [key.version, key.sealed]));
  return theirs.keys.every(({ version, sealed }) => Buffer.from(sealed).equals(mine.get(version) ?? new Uint8Array(0)));
}

async function hasValues(tx: Tx): Promise<boolean> {
  const credential = await tx.selectFrom('credential_version').select('sigkey').limit(1).executeTakeFirst();
  const recording = await tx.selectFrom('recording_key').select('recording_id').limit(1).executeTakeFirst();
  return credential !== undefined || recording !== undefined;
}

/** These rows are never changed; here they are, once, by the owner, with the guards off in this transaction only. */
const guards = [
  ['vault_root', 'append_only_row', 'ENABLE ALWAYS'],
  ['vault_kek', 'append_only_row', 'ENABLE ALWAYS'],
  ['vault_kek', 'fact_is_own', 'ENABLE'],
  ['vault_key', 'append_only_row', 'ENABLE ALWAYS'],
] as const;

async function replace(
  tx: Tx,
  ring: Ring,
  keys: ReadonlyMap<number, Secret>,
  theirs: ForeignRing,
  rootCheck: Uint8Array,
): Promise<void> {
  for (const [table, trigger] of guards)
    await sql`ALTER TABLE ${sql.table(table)} DISABLE TRIGGER ${sql.id(trigger)}`.execute(tx);
  const newest = Math.max(...keys.keys());
  const under: VersionedKey = { version: newest, key: keyOf(keys, newest) };
  // What proves that their history key opens under their ring; it is stored as they sealed it.
  openWhole((version) => ({ version, key: keyOf(keys, version) }), historyPlace, theirs.history)[Symbol.dispose]();
  for (const { name, sealed } of await tx.selectFrom('vault_key').select(['name', 'sealed']).execute()) {
    if (name === 'history') continue;
    using plain = openWhole((version) => ring.version(version), placeOf(name), sealed);
    const again = sealWhole(under, placeOf(name), plain.reveal());
    await sql`UPDATE vault_key SET sealed = ${Buffer.from(again)} WHERE name = ${name}`.execute(tx);
  }
  await sql`UPDATE vault_key SET sealed = ${Buffer.from(theirs.history)} WHERE name = 'history'`.execute(tx);
  await sql`UPDATE vault_root SET root_check = ${Buffer.from(rootCheck)}`.execute(tx);
  await sql`DELETE FROM vault_kek`.execute(tx);
  for (const { version, sealed, node } of theirs.keys)
    await tx
      .insertInto('vault_kek')
      .values({ version, sealed: Buffer.from(sealed), node })
      .execute();
  for (const [table, trigger, how] of guards)
    await sql`ALTER TABLE ${sql.table(table)} ${sql.raw(how)} TRIGGER ${sql.id(trigger)}`.execute(tx);
}

function keyOf(keys: ReadonlyMap<number, Secret>, version: number): Secret {
  const key = keys.get(version);
  if (key === undefined) throw new VaultError('vault.key-version-unknown', `version ${version}`);
  return key;
}
