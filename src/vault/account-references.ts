/**
 * What an account says of other accounts: by whose rights it is changed (`admin`), through whom it logs in (`via`), and
 * who may set a new value where the present one is lost (`reconcile`). Declared after the accounts themselves, because
 * the other one may come later in the list.
 */
import { type Actor, record } from '../audit/audit.ts';
import type { Tx } from '../db/db.ts';
import { type AccountDeclaration, accountNamed } from './account.ts';
import type { Change } from './change.ts';
import { VaultError } from './errors.ts';

export const noReferences = { admin_account_id: null, via_account_id: null, reconcile_account_id: null } as const;

const references = [
  ['admin', 'admin_account_id', 'adminAccountId'],
  ['via', 'via_account_id', 'viaAccountId'],
  ['reconcile', 'reconcile_account_id', 'reconcileAccountId'],
] as const;

/** Throws `vault.account-unknown` for a name that nobody has, `vault.account-invalid` for an account's own. */
export async function declareReferences(
  tx: Tx,
  declaration: AccountDeclaration,
  changes: Change[],
  actor: Actor,
): Promise<void> {
  const account = await accountNamed(tx, declaration.name);
  if (account === undefined) throw new VaultError('vault.account-unknown', declaration.name);
  for (const [field, column, property] of references) {
    const label = declaration[field] ?? null;
    const other = label === null ? undefined : await accountNamed(tx, label);
    if (label !== null && other === undefined)
      throw new VaultError('vault.account-unknown', `${label}, the ${field} of ${account.label}`);
    if (other?.id === account.id) throw new VaultError('vault.account-invalid', `${account.label} is its own ${field}`);
    const wished = other?.id ?? null;
    if (wished === account[property]) continue;
    await tx
      .updateTable('account')
      .set({ [column]: wished, changed_at: new Date() })
      .where('id', '=', account.id)
      .execute();
    const at = changes.findIndex((change) => change.name === account.label);
    const change = changes[at];
    if (change === undefined || change.change === 'created') continue;
    changes[at] = { ...change, change: 'changed', fields: [...(change.fields ?? []), field] };
    await record(tx, actor, {
      type: 'vault.account.changed',
      about: { account: account.id, target: account.target.id },
      details: { name: account.label, after: { [field]: label } },
    });
  }
}
