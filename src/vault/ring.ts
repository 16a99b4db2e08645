/**
 * The key ring: the versions of the key-encryption key, sealed under the root key, and the check value by which a
 * wrong root key is told from a damaged ring. The root key is used here and nowhere else, and only while opening.
 *
 * New values are sealed under the newest version; older versions stay, because what they sealed stays.
 */
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { sql } from 'kysely';
import { record } from '../audit/audit.ts';
import { utf8 } from '../base/bytes.ts';
import { Secret } from '../base/secret.ts';
import { check } from '../base/signals.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import {
  canonical,
  openUnder,
  openWhole,
  type Place,
  randomKey,
  sealUnder,
  sealWhole,
  type VersionedKey,
} from './envelope.ts';
import { VaultError } from './errors.ts';
import { readRootKey } from './root-key.ts';

/** The opened ring. Disposing zeroes every key; every later use throws `vault.closed`. */
export interface Ring extends Disposable {
  /** The version under which new values are sealed. */
  current(): VersionedKey;
  /** Throws `vault.key-version-unknown`. */
  version(version: number): VersionedKey;
  /** HMAC-SHA-256 of an account's value, by which reuse is found without opening former values. */
  historyMac(account: string, value: Uint8Array): Uint8Array;
}

/** Held while the ring is read or made, so that two keepers that start on an empty database make one ring. */
const ringLock = 0x72_69_6e_67;

/** Opens the ring with the root key, or makes it in a database that has none. Audited. */
export async function openRing(db: Db, rootKey: Secret, signal: AbortSignal): Promise<Ring> {
  check(signal);
  return inTransaction(db, async (tx) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(ringLock)})`.execute(tx);
    const rootCheck = await proveRootKey(tx, rootKey);
    const keys = await readKeys(tx, rootKey);
    const newest = Math.max(...keys.keys());
    const history = await historyKey(tx, keys, newest);
    await record(
      tx,
      { kind: 'system', part: 'vault' },
      {
        type: 'vault.rootkey.opened',
        about: {},
        details: { provider: 'file', keyId: createHash('sha256').update(rootCheck).digest('hex').slice(0, 16) },
      },
    );
    return ringOf(keys, newest, history);
  });
}

/**
 * Adds a key version, under which every value sealed from the next start on stands. Needs the root key file. Returns
 * the new version.
 */
export async function addKeyVersion(db: Db, rootKeyPath: string, dataDirectory: string): Promise<number> {
  using rootKey = await readRootKey(rootKeyPath, dataDirectory);
  // Awaited here, because the root key is zeroed at the end of this block.
  return await inTransaction(db, async (tx) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(ringLock)})`.execute(tx);
    await proveRootKey(tx, rootKey);
    const { newest } = await tx
      .selectFrom('vault_kek')
      .select((row) => row.fn.max('version').as('newest'))
      .executeTakeFirstOrThrow();
    await insertKey(tx, rootKey, newest + 1);
    return newest + 1;
  });
}

/** The value by which a database knows its root key. */
export function checkOf(rootKey: Secret): Uint8Array {
  using checkKey = derive(rootKey, 'sallyport root key check v1');
  return new Uint8Array(createHmac('sha256', checkKey.reveal()).update('sallyport').digest());
}

/** Compares the check value, or stores it and the first key in an empty database. */
async function proveRootKey(tx: Tx, rootKey: Secret): Promise<Uint8Array> {
  const own = checkOf(rootKey);
  const row = await tx.selectFrom('vault_root').select('root_check').executeTakeFirst();
  if (row === undefined) {
    const orphan = await tx.selectFrom('vault_kek').select('version').executeTakeFirst();
    if (orphan !== undefined) throw new VaultError('vault.tampered', 'the check value of the root key is gone');
    await tx.insertInto('vault_root').values({ root_check: own }).execute();
    await insertKey(tx, rootKey, 1);
  } else if (!timingSafeEqual(row.root_check, own)) throw new VaultError('vault.rootkey-wrong');
  return own;
}

async function insertKey(tx: Tx, rootKey: Secret, version: number): Promise<void> {
  using wrapping = derive(rootKey, 'sallyport key ring v1');
  using key = randomKey();
  await tx
    .insertInto('vault_kek')
    .values({ version, sealed: sealUnder(wrapping, keyAad(version), key.reveal()) })
    .execute();
}

async function readKeys(tx: Tx, rootKey: Secret): Promise<Map<number, Secret>> {
  return openKeys(rootKey, await tx.selectFrom('vault_kek').select(['version', 'sealed']).execute());
}

/** Opens the keys of a ring that was sealed under this root key. Throws `vault.tampered`. */
export function openKeys(
  rootKey: Secret,
  rows: readonly { readonly version: number; readonly sealed: Uint8Array }[],
): Map<number, Secret> {
  using wrapping = derive(rootKey, 'sallyport key ring v1');
  const keys = new Map<number, Secret>();
  for (const { version, sealed } of rows) keys.set(version, openUnder(wrapping, keyAad(version), sealed));
  if (keys.size === 0) throw new VaultError('vault.tampered', 'the key ring is empty');
  return keys;
}

export const historyPlace: Place = { table: 'vault_key', row: 'history', account: '', kind: 'mac' };

async function historyKey(tx: Tx, keys: ReadonlyMap<number, Secret>, newest: number): Promise<Secret> {
  const row = await tx.selectFrom('vault_key').select('sealed').where('name', '=', 'history').executeTakeFirst();
  if (row !== undefined) return openWhole((version) => keyOf(keys, version), historyPlace, row.sealed);
  const key = randomKey();
  const sealed = sealWhole(keyOf(keys, newest), historyPlace, key.reveal());
  await tx.insertInto('vault_key').values({ name: 'history', sealed, public_key: null }).execute();
  return key;
}

function ringOf(keys: ReadonlyMap<number, Secret>, newest: number, history: Secret): Ring {
  let open = true;
  const whileOpen = (): void => {
    if (!open) throw new VaultError('vault.closed');
  };
  return {
    current: () => {
      whileOpen();
      return keyOf(keys, newest);
    },
    version: (version) => {
      whileOpen();
      return keyOf(keys, version);
    },
    historyMac: (account, value) => {
      whileOpen();
      const mac = createHmac('sha256', history.reveal()).update(canonical(['history-v1', account]));
      return new Uint8Array(mac.update(value).digest());
    },
    [Symbol.dispose]: () => {
      open = false;
      history[Symbol.dispose]();
      for (const key of keys.values()) key[Symbol.dispose]();
    },
  };
}

function keyOf(keys: ReadonlyMap<number, Secret>, version: number): VersionedKey {
  const key = keys.get(version);
  if (key === undefined) throw new VaultError('vault.key-version-unknown', `version ${version}`);
  return { version, key };
}

function keyAad(version: number): Uint8Array {
  return canonical(['kek-v1', 'vault_kek', String(version)]);
}

/** One key for one duty (RFC 5869), so that the root key itself encrypts nothing. */
function derive(rootKey: Secret, duty: string): Secret {
  return new Secret(new Uint8Array(hkdfSync('sha256', rootKey.reveal(), new Uint8Array(0), utf8(duty), 32)));
}
