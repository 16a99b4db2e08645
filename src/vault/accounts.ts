/**
 * Accounts: which login on which target, how it is kept and by whose rights it is changed. Written `root@web-01`.
 * An account is never deleted: `removed` takes it out of use and keeps its history; declaring it again brings it back.
 */
import { type Actor, record } from '../audit/audit.ts';
import type { AccountId, PolicyId, Sigkey, TargetId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import type { Db, Tx } from '../db/db.ts';
import type { Change } from './change.ts';
import { type CredentialKind, type RotationClass, rotationClass } from './credential.ts';
import { VaultError } from './errors.ts';

export interface Account {
  readonly id: AccountId;
  readonly name: string;
  readonly target: { readonly id: TargetId; readonly name: string };
  /** `root@web-01`. */
  readonly label: string;
  readonly kind: CredentialKind;
  readonly rotationClass: RotationClass;
  /** The connector that changes it; null means nobody does. */
  readonly connector: string | null;
  readonly policyId: PolicyId;
  /** The account by whose rights this one is changed; null means by its own. */
  readonly adminAccountId: AccountId | null;
  readonly rotateAfterSession: boolean;
  /** The connector's own parameters; the connector checks them. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
  /** Null: "No password recorded yet". */
  readonly current: Sigkey | null;
}

export interface AccountDeclaration {
  /** `root@web-01`; the target must be declared. */
  readonly name: string;
  readonly kind: CredentialKind;
  readonly connector?: string | null;
  /** A policy's name; `Standard` unless told. */
  readonly policy?: string;
  /** Another account's label. */
  readonly admin?: string | null;
  readonly rotateAfterSession?: boolean;
  readonly settings?: Readonly<Record<string, unknown>>;
}

export interface DeclareOptions {
  readonly actor: Actor;
  /** Also removes what is there and not declared. */
  readonly prune: boolean;
}

/** The two names of a label, parted at the last `@`; undefined if one of them is missing. */
export function splitAccountLabel(label: string): { account: string; target: string } | undefined {
  const at = label.lastIndexOf('@');
  return at > 0 && at < label.length - 1 ? { account: label.slice(0, at), target: label.slice(at + 1) } : undefined;
}

function selectAccounts(db: Db | Tx) {
  return db
    .selectFrom('account')
    .innerJoin('target', 'target.id', 'account.target_id')
    .leftJoin('account_current', 'account_current.account_id', 'account.id')
    .where('account.removed_at', 'is', null)
    .select([
      'account.id',
      'account.name',
      'account.kind',
      'account.connector',
      'account.policy_id',
      'account.admin_account_id',
      'account.rotate_after_session',
      'account.settings',
      'account.created_at',
      'target.id as target_id',
      'target.name as target_name',
      'account_current.sigkey as current',
    ]);
}

type AccountRow = Awaited<ReturnType<ReturnType<typeof selectAccounts>['execute']>>[number];

function accountOf(row: AccountRow): Account {
  return {
    id: row.id,
    name: row.name,
    target: { id: row.target_id, name: row.target_name },
    label: `${row.name}@${row.target_name}`,
    kind: row.kind,
    rotationClass: rotationClass[row.kind],
    connector: row.connector,
    policyId: row.policy_id,
    adminAccountId: row.admin_account_id,
    rotateAfterSession: row.rotate_after_session,
    settings: row.settings,
    createdAt: row.created_at,
    current: row.current,
  };
}

/** The account, or undefined if there is none or it was removed. */
export async function accountById(db: Db | Tx, id: AccountId): Promise<Account | undefined> {
  const row = await selectAccounts(db).where('account.id', '=', id).executeTakeFirst();
  return row && accountOf(row);
}

/** The account written `root@web-01`, or undefined. */
export async function accountNamed(db: Db | Tx, label: string): Promise<Account | undefined> {
  const names = splitAccountLabel(label);
  if (names === undefined) return undefined;
  const row = await selectAccounts(db)
    .where('account.name', '=', names.account)
    .where('target.name', '=', names.target)
    .executeTakeFirst();
  return row && accountOf(row);
}

/** The accounts of one target, or all of them, by name. */
export async function accountsOf(db: Db | Tx, target?: TargetId): Promise<Account[]> {
  const all = selectAccounts(db);
  const some = target === undefined ? all : all.where('account.target_id', '=', target);
  const rows = await some.orderBy('target.name').orderBy('account.name').execute();
  return rows.map(accountOf);
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
  for (const declaration of desired) await declareAdmin(tx, declaration, changes, actor);
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
    settings: declaration.settings ?? {},
  };
  const policy = await tx.selectFrom('policy').select('id').where('name', '=', wished.policy).executeTakeFirst();
  if (policy === undefined) throw new VaultError('vault.policy-unknown', `${wished.policy}, of ${label}`);
  const row = {
    kind,
    connector: wished.connector,
    policy_id: policy.id,
    rotate_after_session: wished.rotateAfterSession,
    settings: JSON.stringify(wished.settings),
  };
  if (before === undefined) {
    const id = await createOrRevive(tx, names.account, { id: target.id, name: names.target }, row);
    const about = { account: id, target: target.id };
    await record(tx, actor, { type: 'vault.account.created', about, details: { name: label, after: textual(wished) } });
    return { object, name: label, change: 'created' };
  }
  const was = { ...before, policy: await policyName(tx, before.policyId) };
  const fields = (['kind', 'connector', 'policy', 'rotateAfterSession', 'settings'] as const).filter(
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
    const id = newId<AccountId>();
    const fresh = {
      id,
      target_id: target.id,
      target_name: target.name,
      name,
      admin_account_id: null,
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
    .set({ ...row, target_name: target.name, admin_account_id: null, removed_at: null, changed_at: new Date() })
    .where('id', '=', removed.id)
    .execute();
  return removed.id;
}

/** The kind is sealed into every version, so it stays once there is one. */
async function refuseKindChange(tx: Tx, account: AccountId, label: string): Promise<void> {
  const versions = tx.selectFrom('credential_version').select('sigkey').where('account_id', '=', account);
  if ((await versions.executeTakeFirst()) !== undefined) throw new VaultError('vault.account-kind-fixed', label);
}

async function declareAdmin(tx: Tx, declaration: AccountDeclaration, changes: Change[], actor: Actor): Promise<void> {
  const account = await accountNamed(tx, declaration.name);
  if (account === undefined) throw new VaultError('vault.account-unknown', declaration.name);
  const admin = declaration.admin == null ? undefined : await accountNamed(tx, declaration.admin);
  if (admin === undefined && declaration.admin != null)
    throw new VaultError('vault.account-unknown', `${declaration.admin}, the admin of ${declaration.name}`);
  if (admin?.id === account.id) throw new VaultError('vault.account-invalid', `${account.label} is its own admin`);
  const wished = admin?.id ?? null;
  if (wished === account.adminAccountId) return;
  await tx
    .updateTable('account')
    .set({ admin_account_id: wished, changed_at: new Date() })
    .where('id', '=', account.id)
    .execute();
  const at = changes.findIndex((change) => change.name === account.label);
  const change = changes[at];
  if (change === undefined || change.change === 'created') return;
  changes[at] = { ...change, change: 'changed', fields: [...(change.fields ?? []), 'admin'] };
  await record(tx, actor, {
    type: 'vault.account.changed',
    about: { account: account.id, target: account.target.id },
    details: { name: account.label, after: { admin: declaration.admin ?? null } },
  });
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
