/** Accounts: which login on which target, how it is kept and by whose rights it is changed. Written `root@web-01`. */
import { createHash } from 'node:crypto';
import type { AccountId, PolicyId, Sigkey, TargetId } from '../base/ids.ts';
import type { Db, Tx } from '../db/db.ts';
import { type CredentialKind, type RotationClass, rotationClass } from './credential.ts';

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
  /** Two-account mode (P-21): the account that logs in to the target, from where this one is become; null: it logs in itself. */
  readonly viaAccountId: AccountId | null;
  /** The account that may set a new value where the present one is lost (W-39); null means none. */
  readonly reconcileAccountId: AccountId | null;
  /** Reconciled without being asked when no known value works. */
  readonly autoReconcile: boolean;
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
  /** Other accounts' labels: see `Account`. */
  readonly admin?: string | null;
  readonly via?: string | null;
  readonly reconcile?: string | null;
  readonly autoReconcile?: boolean;
  readonly rotateAfterSession?: boolean;
  readonly settings?: Readonly<Record<string, unknown>>;
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
      'account.via_account_id',
      'account.reconcile_account_id',
      'account.auto_reconcile',
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
    viaAccountId: row.via_account_id,
    reconcileAccountId: row.reconcile_account_id,
    autoReconcile: row.auto_reconcile,
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
 * The same account has the same id on every node, because its facts travel between them: SHA-256 over its label, in the
 * form of a UUID of version 8 (RFC 9562 §5.8).
 */
export function accountIdOf(name: string, target: string): AccountId {
  const bytes = createHash('sha256').update(`sallyport account ${name}@${target}`).digest().subarray(0, 16);
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  return [8, 12, 16, 20, 32].map((end, at) => hex.slice([0, 8, 12, 16, 20][at], end)).join('-') as AccountId;
}
