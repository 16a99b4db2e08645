/**
 * How each policy is managed: its schedule, its managing node, and what happens by itself. It stands beside the policy's
 * rules and not among them: rules are versions that the vault keeps for ever, and those of the four templates never
 * change, but every policy, a template too, can be managed.
 */
import type { Selectable } from 'kysely';
import { record } from '../audit/audit.ts';
import type { AccountId, PolicyId, TargetId } from '../base/ids.ts';
import type { Db, Tx } from '../db/db.ts';
import type { Tables } from '../db/tables.ts';
import { type Policy, policies } from '../vault/vault.ts';
import { RotationError } from './errors.ts';
import type { Ready } from './plan/choose.ts';
import { type Calendar, dueOf, firstTryAt } from './plan/due.ts';
import type { Management as Nodes } from './plan/management.ts';
import { type Change, type DeclareOptions, scheduleNamed, schedules, type StoredSchedule } from './schedules.ts';

/** What a checkout gets when its value could not be changed before it was shown (W-28). */
export type RotateOnCheckout = 'never' | 'or-deny' | 'or-serve-current';

export interface ManagementDeclaration {
  readonly policy: string;
  readonly schedule?: string | null;
  readonly managingNode?: string | null;
  readonly localFallback?: boolean;
  readonly automaticResolution?: boolean;
  readonly rotateOnCheckout?: RotateOnCheckout;
}

export interface Management extends Required<ManagementDeclaration> {
  readonly calendar: Calendar;
}

/** What holds for a policy of which nothing is declared. */
const usual = {
  schedule: null,
  managingNode: null,
  localFallback: true,
  automaticResolution: true,
  rotateOnCheckout: 'never',
} as const satisfies Omit<ManagementDeclaration, 'policy'>;

const fieldNames = ['schedule', 'managingNode', 'localFallback', 'automaticResolution', 'rotateOnCheckout'] as const;

/** The management of every policy by its id, those of which nothing is declared included. */
export async function managements(db: Db | Tx): Promise<Map<PolicyId, Management>> {
  const known = new Map((await schedules(db)).map((stored) => [stored.schedule.name, stored]));
  const rows = new Map((await declaredRows(db)).map((row) => [row.policy_id, row]));
  return new Map(
    (await policies(db)).map((policy) => {
      const row = rows.get(policy.id);
      return [policy.id, managementBy(policy, row, row?.schedule == null ? undefined : known.get(row.schedule))];
    }),
  );
}

/** The management of one policy. */
export async function managementOf(db: Db | Tx, policy: Policy): Promise<Management> {
  const row = await rowOf(db, policy.id);
  return managementBy(policy, row, row?.schedule == null ? undefined : await scheduleNamed(db, row.schedule));
}

/** What a policy says of nodes. */
export async function nodesOf(db: Db | Tx, policy: PolicyId): Promise<Nodes> {
  return fieldsOf(await rowOf(db, policy));
}

function managementBy(policy: Policy, row: Row | undefined, stored: StoredSchedule | undefined): Management {
  const calendar: Calendar = {
    schedule: stored?.schedule ?? null,
    since: Math.max(stored?.timesSince ?? 0, row?.scheduled_since.getTime() ?? 0),
    maxAgeDays: policy.maxAgeDays,
  };
  return { policy: policy.name, ...fieldsOf(row), calendar };
}

/** Names of the policies whose management is declared. */
export async function managedPolicies(db: Db | Tx): Promise<string[]> {
  return (await declaredRows(db)).map((row) => row.name);
}

/**
 * Makes the managements be as declared, in the caller's transaction, after policies and schedules. `prune` takes away
 * what is not declared: the policy is managed as usual then. Throws `rotation.management-invalid`.
 */
export async function declareManagement(
  tx: Tx,
  desired: readonly ManagementDeclaration[],
  { actor, prune }: DeclareOptions,
): Promise<Change[]> {
  const before = new Map((await declaredRows(tx)).map((row) => [row.name, row]));
  const byName = new Map((await policies(tx)).map((policy) => [policy.name, policy]));
  const names = new Set((await schedules(tx)).map(({ schedule }) => schedule.name));
  const declared = new Set<string>();
  const changes: Change[] = [];
  for (const declaration of desired) {
    const policy = byName.get(declaration.policy);
    const fault = faultOf(declaration, policy, names, declared);
    if (policy === undefined || fault !== undefined)
      throw new RotationError('rotation.management-invalid', `${declaration.policy}: ${fault}`);
    declared.add(policy.name);
    changes.push(await declareOne(tx, declaration, policy, before.get(policy.name), actor));
  }
  if (!prune) return changes;
  for (const { name, policy_id: policy } of before.values()) {
    if (declared.has(name)) continue;
    await tx.deleteFrom('policy_management').where('policy_id', '=', policy).execute();
    await record(tx, actor, { type: 'rotation.management.removed', about: { policy }, details: { name } });
    changes.push({ object: 'management', name, change: 'removed' });
  }
  return changes;
}

function faultOf(
  { policy, schedule }: ManagementDeclaration,
  found: Policy | undefined,
  schedulesThere: ReadonlySet<string>,
  declared: ReadonlySet<string>,
): string | undefined {
  if (found === undefined) return 'there is no such policy';
  if (declared.has(policy)) return 'declared twice';
  return schedule == null || schedulesThere.has(schedule) ? undefined : `there is no schedule ${schedule}`;
}

async function declareOne(
  tx: Tx,
  { policy: name, ...declaration }: ManagementDeclaration,
  policy: Policy,
  row: Row | undefined,
  actor: DeclareOptions['actor'],
): Promise<Change> {
  const object = 'management';
  const [was, wished] = [fieldsOf(row), { ...usual, ...declaration }];
  const fields = fieldNames.filter((field) => was[field] !== wished[field]);
  if (row !== undefined && fields.length === 0) return { object, name, change: 'same' };
  const now = new Date();
  const values = {
    schedule: wished.schedule,
    managing_node: wished.managingNode,
    local_fallback: wished.localFallback,
    automatic_resolution: wished.automaticResolution,
    rotate_on_checkout: wished.rotateOnCheckout,
    changed_at: now,
    // Only another schedule begins anew: what is due stays due whatever else is changed.
    scheduled_since: row !== undefined && row.schedule === wished.schedule ? row.scheduled_since : now,
  };
  await tx
    .insertInto('policy_management')
    .values({ policy_id: policy.id, ...values })
    .onConflict((on) => on.column('policy_id').doUpdateSet(values))
    .execute();
  await record(tx, actor, {
    type: 'rotation.management.changed',
    about: { policy: policy.id },
    details: { name, before: was, after: wished },
  });
  return row === undefined ? { object, name, change: 'created' } : { object, name, change: 'changed', fields };
}

async function declaredRows(db: Db | Tx) {
  return await db
    .selectFrom('policy_management')
    .innerJoin('policy', 'policy.id', 'policy_management.policy_id')
    .selectAll('policy_management')
    .select('policy.name')
    .orderBy('policy.name')
    .execute();
}

type Row = Selectable<Tables['policy_management']>;

async function rowOf(db: Db | Tx, policy: PolicyId): Promise<Row | undefined> {
  return await db.selectFrom('policy_management').selectAll().where('policy_id', '=', policy).executeTakeFirst();
}

function fieldsOf(row: Row | undefined): Omit<Required<ManagementDeclaration>, 'policy'> {
  if (row === undefined) return usual;
  return {
    schedule: row.schedule,
    managingNode: row.managing_node,
    localFallback: row.local_fallback,
    automaticResolution: row.automatic_resolution,
    rotateOnCheckout: row.rotate_on_checkout,
  };
}

/**
 * Accounts that schedule or age makes due, and whose first try may have begun by `now`: whom to plan for, found without
 * asking account by account. Retries, uses and conflicts are not looked at here; `plan` does.
 */
export async function dueAccounts(db: Db | Tx, now: number): Promise<Ready[]> {
  const calendars = await managements(db);
  const rows = await db
    .selectFrom('account')
    .innerJoin('ledger_place as place', 'place.account_id', 'account.id')
    .innerJoin('randomization as fact', 'fact.sigkey', 'place.sigkey')
    .select(['account.id', 'account.policy_id', 'account.target_id', 'fact.created_at'])
    .where('place.is_current', '=', true)
    .where('account.removed_at', 'is', null)
    .where('account.connector', 'is not', null)
    .execute();
  return rows.flatMap(({ id, policy_id: policy, target_id: target, created_at: from }) => {
    const calendar = calendars.get(policy)?.calendar;
    if (calendar === undefined || target === null) return [];
    return readyOf(calendar, id, target, from.getTime(), now);
  });
}

function readyOf(calendar: Calendar, account: AccountId, target: TargetId, base: number, now: number): Ready[] {
  const due = dueOf(calendar, base, now);
  if (due === undefined || due.occurrence === null) return [];
  const since = firstTryAt(calendar.schedule, account, { occurrence: due.occurrence, next: due.next }, now);
  return since > now ? [] : [{ account, target, since }];
}
