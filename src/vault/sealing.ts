/**
 * Opening with an alarm: whatever does not open is audited as tampered before the error goes on. Also sealed bytes for
 * other rooms, bound to a context of theirs.
 */
import { sql } from 'kysely';
import { type About, record } from '../audit/audit.ts';
import { codeOf, wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import { type Db, inTransaction } from '../db/db.ts';
import { openWhole, type Place, sealWhole } from './envelope.ts';
import { VaultError } from './errors.ts';
import type { Ring } from './ring.ts';

/** What opening needs: the ring for the keys, the database for the alarm, the log if the alarm fails. */
export interface VaultContext {
  readonly db: Db;
  readonly ring: Ring;
  readonly log: Log;
}

/**
 * Runs `work`; if it throws `vault.tampered`, writes `vault.credential.tampered` in a transaction of its own and throws
 * on. A key version that exists nowhere is tampering too; one that only this process lacks is not.
 */
export async function alarmed<T>(context: VaultContext, about: About, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const broken = (await isForgedVersion(context, error)) ? forgedVersion(error) : error;
    if (codeOf(broken) === 'vault.tampered') await alarm(context, about, wordsOf(broken));
    throw broken;
  }
}

async function isForgedVersion({ db, ring }: VaultContext, error: unknown): Promise<boolean> {
  if (codeOf(error) !== 'vault.key-version-unknown') return false;
  const own = ring.current().version;
  const newer = await db.selectFrom('vault_kek').select('version').where('version', '>', own).executeTakeFirst();
  return newer === undefined;
}

function forgedVersion(error: unknown): VaultError {
  return new VaultError('vault.tampered', 'it names a key version that never was', { cause: error });
}

/** Waits five seconds at most: a caller that already holds the audit trail's lock must not wait for itself. */
export async function alarm(
  { db, log }: Pick<VaultContext, 'db' | 'log'>,
  about: About,
  reason: string,
): Promise<void> {
  try {
    await inTransaction(db, async (tx) => {
      await sql`set local lock_timeout = '5s'`.execute(tx);
      const event = { type: 'vault.credential.tampered', about, details: { reason } } as const;
      await record(tx, { kind: 'system', part: 'vault' }, event);
    });
  } catch (error) {
    log.error({ about, reason, code: codeOf(error) }, `tampering could not be audited: ${wordsOf(error)}`);
  }
}

const longestSealed = 1024 * 1024;

/** Where bytes of another room stand. */
export function sealedPlace(about: string): Place {
  return { table: 'sealed', row: about, account: '', kind: 'bytes' };
}

export async function sealBytes(ring: Ring, about: string, bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes.length > longestSealed)
    throw new VaultError('vault.credential-too-long', 'at most 1 MiB is sealed at once');
  return sealWhole(ring.current(), sealedPlace(about), bytes);
}

export async function openSealed(context: VaultContext, about: string, sealed: Uint8Array): Promise<Secret> {
  const { ring } = context;
  return alarmed(context, {}, () => openWhole((version) => ring.version(version), sealedPlace(about), sealed));
}
