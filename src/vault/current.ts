/** Which version of an account is the current one, and which versions there are: metadata only, nothing is opened. */
import { sql } from 'kysely';
import type { AccountId, Sigkey } from '../base/ids.ts';
import type { Db, Tx } from '../db/db.ts';

/** One version as listed; its value is opened elsewhere. */
export interface CredentialVersion {
  readonly sigkey: Sigkey;
  readonly kind: 'password' | 'ssh-key' | 'certificate' | 'api-key';
  /** Public key blob, for ssh keys. */
  readonly publicKey: Uint8Array | undefined;
  readonly createdAt: Date;
  readonly current: boolean;
}

/** See `Vault.setCurrent`. The database refuses a version of another account. */
export async function setCurrent(db: Db | Tx, account: AccountId, sigkey: Sigkey | null): Promise<void> {
  await db
    .insertInto('account_current')
    .values({ account_id: account, sigkey })
    .onConflict((conflict) =>
      conflict.column('account_id').doUpdateSet({ sigkey, changed_at: sql<Date>`clock_timestamp()` }),
    )
    .execute();
}

export interface Current {
  /** Null when the account was blanked. */
  readonly sigkey: Sigkey | null;
  readonly firstSetAt: Date;
  readonly changedAt: Date;
}

/** The current pointer of an account, or undefined if it never had a credential. */
export async function currentOf(db: Db | Tx, account: AccountId): Promise<Current | undefined> {
  const row = await db.selectFrom('account_current').selectAll().where('account_id', '=', account).executeTakeFirst();
  return row && { sigkey: row.sigkey, firstSetAt: row.first_set_at, changedAt: row.changed_at };
}

/** Every version an account ever had, newest first. */
export async function versionsOf(db: Db | Tx, account: AccountId): Promise<CredentialVersion[]> {
  const rows = await db
    .selectFrom('credential_version')
    .leftJoin('account_current', 'account_current.sigkey', 'credential_version.sigkey')
    .select(['credential_version.sigkey', 'kind', 'public_key', 'created_at', 'account_current.sigkey as current'])
    .where('credential_version.account_id', '=', account)
    .orderBy('created_at', 'desc')
    .orderBy('credential_version.sigkey', 'desc')
    .execute();
  return rows.map((row) => ({
    sigkey: row.sigkey,
    kind: row.kind,
    publicKey: row.public_key ?? undefined,
    createdAt: row.created_at,
    current: row.current !== null,
  }));
}
