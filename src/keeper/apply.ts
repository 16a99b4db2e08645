/**
 * Making Sallyport be what `estate.yaml` says, in one transaction: all of it or nothing. Applying twice changes nothing.
 * A dry run does everything and takes it back, so that its report is the truth and not a guess.
 */
import { createHash } from 'node:crypto';
import { declareGrants, grantsOf } from '../access/access.ts';
import { type Actor, record } from '../audit/audit.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import { declareTargetGroups, declareTargets, targetGroups, targets } from '../estate/estate.ts';
import { declareUserGroups, declareUsers, notifyAccessChanged, userGroups, users } from '../identity/identity.ts';
import { declareManagement, declareSchedules, managedPolicies, schedules } from '../rotation/rotation.ts';
import { accountsOf, declareAccounts, declarePolicies } from '../vault/vault.ts';
import type { Estate } from './estate-file.ts';

/** What was (or would be) done to one object. */
export interface Change {
  readonly object:
    | 'policy'
    | 'schedule'
    | 'management'
    | 'user-group'
    | 'user'
    | 'target'
    | 'target-group'
    | 'account'
    | 'grant';
  readonly name: string;
  readonly change: 'created' | 'changed' | 'removed' | 'same';
  readonly fields?: readonly string[];
}

export interface ApplyOptions {
  readonly actor: Actor;
  readonly dryRun: boolean;
  /** Removes what the file does not mention. Policies stay. */
  readonly prune: boolean;
}

export interface Applied {
  /** Everything that the file mentions, what stayed the same included, and what was pruned. */
  readonly changes: readonly Change[];
  /** What is there and not in the file (`user alice`); with `prune` it was removed. */
  readonly unmentioned: readonly string[];
}

/** Applies the estate. Whatever a room refuses is thrown with the room's code and undoes everything. */
export async function applyEstate(db: Db, estate: Estate, options: ApplyOptions): Promise<Applied> {
  let applied: Applied | undefined;
  try {
    return await inTransaction(db, async (tx) => {
      applied = await apply(tx, estate, options);
      if (options.dryRun) throw new TakenBack();
      return applied;
    });
  } catch (error) {
    if (error instanceof TakenBack && applied !== undefined) return applied;
    throw error;
  }
}

class TakenBack extends Error {}

async function apply(tx: Tx, estate: Estate, { actor, prune }: ApplyOptions): Promise<Applied> {
  const unmentioned = await drift(tx, estate);
  const keep = { actor, prune: false };
  // What others refer to comes first.
  const changes: Change[] = [
    ...(await declarePolicies(tx, estate.policies, keep)),
    ...(await declareSchedules(tx, estate.schedules, keep)),
    ...(await declareManagement(tx, estate.management, keep)),
    ...(await declareUserGroups(tx, estate.groups, keep)),
    ...(await declareUsers(tx, estate.users, keep)),
    ...(await declareTargets(tx, estate.targets, keep)),
    ...(await declareTargetGroups(tx, estate.targetGroups, keep)),
    ...(await declareAccounts(tx, estate.accounts, keep)),
    ...(await declareGrants(tx, estate.grants, keep)),
  ];
  if (prune) changes.push(...(await removeUnmentioned(tx, estate, actor)));
  const count = (what: Change['change']): number => changes.filter(({ change }) => change === what).length;
  if (count('same') < changes.length) {
    // A disabled target or a removed account ends sessions too, and their rooms do not know of sessions.
    await notifyAccessChanged(tx);
    await record(tx, actor, {
      type: 'estate.applied',
      about: {},
      details: {
        created: count('created'),
        changed: count('changed'),
        removed: count('removed'),
        digest: digestOf(estate),
      },
    });
  }
  return { changes, unmentioned };
}

/** In the opposite order; everything that is declared is the same by now. */
async function removeUnmentioned(tx: Tx, estate: Estate, actor: Actor): Promise<Change[]> {
  const cut = { actor, prune: true };
  const changes: Change[] = [
    ...(await declareGrants(tx, estate.grants, cut)),
    ...(await declareAccounts(tx, estate.accounts, cut)),
    ...(await declareTargetGroups(tx, estate.targetGroups, cut)),
    ...(await declareTargets(tx, estate.targets, cut)),
    ...(await declareUsers(tx, estate.users, cut)),
    ...(await declareUserGroups(tx, estate.groups, cut)),
    ...(await declareManagement(tx, estate.management, cut)),
    ...(await declareSchedules(tx, estate.schedules, cut)),
  ];
  return changes.filter(({ change }) => change === 'removed');
}

/** What the database has and the file does not mention. */
async function drift(tx: Tx, estate: Estate): Promise<string[]> {
  const managed = estate.management.map(({ policy }) => ({ name: policy }));
  const there: readonly (readonly [string, readonly string[], readonly { readonly name: string }[]])[] = [
    ['schedule', (await schedules(tx)).map(({ schedule }) => schedule.name), estate.schedules],
    ['management', await managedPolicies(tx), managed],
    ['group', (await userGroups(tx)).map(({ name }) => name), estate.groups],
    ['user', (await users(tx)).map(({ name }) => name), estate.users],
    ['target', (await targets(tx)).map(({ name }) => name), estate.targets],
    ['target group', (await targetGroups(tx)).map(({ name }) => name), estate.targetGroups],
    ['account', (await accountsOf(tx)).map(({ label }) => label), estate.accounts],
    ['grant', (await grantsOf(tx)).map(({ name }) => name), estate.grants],
  ];
  return there.flatMap(([object, names, declared]) => {
    const known = new Set(declared.map(({ name }) => name));
    return names.filter((name) => !known.has(name)).map((name) => `${object} ${name}`);
  });
}

/** Tells two applied files apart in the audit trail. */
function digestOf(estate: Estate): string {
  const plain = JSON.stringify(estate, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
  );
  return createHash('sha256').update(plain).digest('hex');
}
