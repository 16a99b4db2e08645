/** The account that an operator named. */
import type { Db } from '../../db/db.ts';
import { type Account, accountNamed } from '../../vault/vault.ts';
import { KeeperError } from '../errors.ts';

/** Throws `keeper.no-such-thing`. */
export async function accountOf(db: Db, label: string): Promise<Account> {
  const account = await accountNamed(db, label);
  if (account === undefined) throw new KeeperError('keeper.no-such-thing', `account ${label}`);
  return account;
}
