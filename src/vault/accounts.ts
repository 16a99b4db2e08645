/**
 * Declaring accounts: the same list twice changes nothing. An account is never deleted: `removed` takes it out of use and
 * keeps its history; declaring it again brings it back.
 */
import { type Actor, record } from '../audit/audit.ts';
import type { AccountId, PolicyId, TargetId } from '../base/ids.ts';
import type { Tx } from '../db/db.ts';
import { type Account, type AccountDeclaration, accountIdOf, accountsOf, splitAccountLabel } from './account.ts';
import { declareReferences, noReferences } from './account-references.ts';
import type { Change } from './change.ts';
import type { CredentialKind } from './credential.ts';
import { VaultError } from './errors.ts';

export interface DeclareOptions {
  readonly actor: Actor;
  /** Also removes what is there and not declared. */
  readonly prune: boolean;
}

/**
 * Makes the accounts be as declared, in the caller's transaction, and says what changed. Doing it twice changes
 * nothing. Throws `vault.target-unknown`, `vault.policy-unknown`, `vault.account-unknown` (the admin),
 * `vault.account-kind-fixed`, `vault.account-invalid`.
 */
export async function declareAccounts(
  tx: Tx,
  desired: readonly AccountDeclaration[],
  { actor, prune }: DeclareOptions,
): Promise<Change[]> {
  const before = new Map((await accountsOf(tx)).map((account) => [account.label, account]));
  const changes: Change[] = [];
  const declared = new Set<string>();
  for (const declaration of desired) {
    if (declared.has(declaration.name)) throw new VaultError('vault.account-invalid', `${declaration.name} twice`);
    declared.add(declaration.name);
    changes.push(await declareOne(tx, declaration, before.get(declaration.name), actor));
  }
  // The admin may be declared later in the list than the account it changes.
  for (const declaration of desired) await declareReferences(tx, declaration, changes, actor);
  if (!prune) return changes;
  for (const account of before.values()) {
    if (declared.has(account.label)) continue;
    await tx
      .updateTable('account')
      .set({ removed_at: new Date(), target_name: account.target.name })
      .where('id', '=', account.id)
      .execute();
    const about = { account: account.id, target: account.target.id };
    await record(tx, actor, { type: 'vault.account.removed', about, details: { name: account.label } });
    changes.push({ object: 'account', name: account.label, change: 'removed' });
  }
  return changes;
}

async function declareOne(
  tx: Tx,
  declaration: AccountDeclaration,
  before: Account | undefined,
  actor: Actor,
): Promise<Change> {
  const object = 'account';
  const { name: label, kind } = declaration;
  const names = splitAccountLabel(label);
  if (names === undefined) throw new VaultError('vault.account-invalid', `${label} is not written account@target`);
  const target = await tx.selectFrom('target').select('id').where('name', '=', names.target).executeTakeFirst();
  if (target === undefined) throw new VaultError('vault.target-unknown', `${names.target}, of ${label}`);
  const wished = {
    kind,
    connector: declaration.connector ?? null,
    policy: declaration.policy ?? 'Standard',
    rotateAfterSession: declaration.rotateAfterSession ?? false,
    autoReconcile: declaration.autoReconcile ?? false,
    settings: declaration.settings ?? {},
  };
  const policy = await tx.selectFrom('policy').select('id').where('name', '=', wished.policy).executeTakeFirst();
  if (policy === undefined) throw new VaultError('vault.policy-unknown', `${wished.policy}, of ${label}`);
  const row = {
    kind,
    connector: wished.connector,
    policy_id: policy.id,
    rotate_after_session: wished.rotateAfterSession,
    auto_reconcile: wished.autoReconcile,
    settings: JSON.stringify(wished.settings),
  };
  if (before === undefined) {
    const id = await createOrRevive(tx, names.account, { id: target.id, name: names.target }, row);
    const about = { account: id, target: target.id };
    await record(tx, actor, { type: 'vault.account.created', about, details: { name: label, after: textual(wished) } });
    return { object, name: label, change: 'created' };
  }
  const was = { ...before, policy: await policyName(tx, before.policyId) };
  const fields = (['kind', 'connector', 'policy', 'rotateAfterSession', 'autoReconcile', 'settings'] as const).filter(
    (field) => sorted(was[field]) !== sorted(wished[field]),
  );
  if (fields.length === 0) return { object, name: label, change: 'same' };
  if (fields.includes('kind')) await refuseKindChange(tx, before.id, label);
  await tx
    .updateTable('account')
    .set({ ...row, changed_at: new Date() })
    .where('id', '=', before.id)
    .execute();
  const pick = (from: typeof was | typeof wished) => textual(Object.fromEntries(fields.map((f) => [f, from[f]])));
  await record(tx, actor, {
    type: 'vault.account.changed',
    about: { account: before.id, target: target.id },
    details: { name: label, before: pick(was), after: pick(wished) },
  });
  return { object, name: label, change: 'changed', fields };
}

async function createOrRevive(
  tx: Tx,
  name: string,
  target: { id: TargetId; name: string },
  row: {
    kind: CredentialKind;
    connector: string | null;
    policy_id: PolicyId;
    rotate_after_session: boolean;
    auto_reconcile: boolean;
    settings: string;
  },
): Promise<AccountId> {
  const removed = await tx
    .selectFrom('account')
    .select(['id', 'kind'])
    .where('target_id', '=', target.id)
    .where('name', '=', name)
    .executeTakeFirst();
  if (removed === undefined) {
    const id = accountIdOf(name, target.name);
    const fresh = {
      id,
      target_id: target.id,
      target_name: target.name,
      name,
      ...noReferences,
      removed_at: null,
    };
    await tx
      .insertInto('account')
      .values({ ...fresh, ...row })
      .execute();
    return id;
  }
  if (removed.kind !== row.kind) await refuseKindChange(tx, removed.id, `${name}@${target.name}`);
  await tx
    .updateTable('account')
    .set({ ...row, ...noReferences, target_name: target.name, removed_at: null, changed_at: new Date() })
    .where('id', '=', removed.id)
    .execute();
  return removed.id;
}

/** The kind is sealed into every version, so it stays once there is one. */
async function refuseKindChange(tx: Tx, account: AccountId, label: string): Promise<void> {
  const versions = tx.selectFrom('credential_version').select('sigkey').where('account_id', '=', account);
  if ((await versions.executeTakeFirst()) !== undefined) throw new VaultError('vault.account-kind-fixed', label);
}

async function policyName(tx: Tx, id: PolicyId): Promise<string> {
  return (await tx.selectFrom('policy').select('name').where('id', '=', id).executeTakeFirstOrThrow()).name;
}

/** JSON with sorted names, because jsonb gives names back in an order of its own. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** Values as the audit trail takes them: settings as one JSON text. */
function textual(fields: Readonly<Record<string, unknown>>): Record<string, string | number | boolean | null> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) =>
      typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number' || value === null
        ? [name, value]
        : [name, sorted(value)],
    ),
  );
}
