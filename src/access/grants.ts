/** Grants as rows: reading them as facts for the decision, and declaring them. It decides nothing. */
import { type Actor, record } from '../audit/audit.ts';
import type { GrantId, GroupId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import type { Db, Tx } from '../db/db.ts';
import { targetGroups, targetNamed } from '../estate/estate.ts';
import { notifyAccessChanged, userGroups } from '../identity/identity.ts';
import { accountNamed } from '../vault/vault.ts';
import { AccessError } from './errors.ts';
import type { Grant } from './plan/evaluate.ts';
import { faultOfRdp, type RdpConditions } from './plan/rdp-terms.ts';
import { isSubprotocol, subprotocolsOf, usualSubprotocols } from './plan/subprotocols.ts';
import { faultOfPeriod, type TimeFrame } from './plan/time-frame.ts';
import { isZone } from '../base/zones.ts';

export interface Change {
  readonly object: 'grant';
  readonly name: string;
  readonly change: 'created' | 'changed' | 'removed' | 'same';
  readonly fields?: readonly string[];
}

export interface GrantDeclaration {
  readonly name: string;
  readonly description?: string;
  /** A user group's name. */
  readonly group: string;
  /** `root@web-01`. */
  readonly accounts?: readonly string[];
  /** Targets by name: all their accounts. */
  readonly targets?: readonly string[];
  readonly targetGroups?: readonly string[];
  /** Everything of ssh unless told. */
  readonly subprotocols?: readonly string[];
  readonly frames?: readonly TimeFrame[];
  readonly validFrom?: Date;
  readonly expiresAt?: Date;
  readonly overtimable?: boolean;
  readonly recordContent?: boolean;
  /** Conditions of desktops. */
  readonly rdp?: RdpConditions;
  readonly disabled?: boolean;
}

export interface DeclareOptions {
  readonly actor: Actor;
  /** Removes what is not named. */
  readonly prune: boolean;
}

/** The grants of some user groups, or all of them, by name. */
export async function grantsOf(db: Db | Tx, groups?: readonly GroupId[]): Promise<Grant[]> {
  let query = db.selectFrom('access_grant').selectAll().orderBy('name');
  if (groups !== undefined) query = query.where('group_id', 'in', groups.length === 0 ? [newId<GroupId>()] : groups);
  const rows = await query.execute();
  const ids = rows.map((row) => row.id);
  const some = ids.length === 0 ? [newId<GrantId>()] : ids;
  const accounts = await db.selectFrom('access_grant_account').selectAll().where('grant_id', 'in', some).execute();
  const targets = await db.selectFrom('access_grant_target').selectAll().where('grant_id', 'in', some).execute();
  const parts = await db.selectFrom('access_grant_target_group').selectAll().where('grant_id', 'in', some).execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    disabled: row.disabled,
    group: row.group_id,
    accounts: accounts.filter((at) => at.grant_id === row.id).map((at) => at.account_id),
    targets: targets.filter((at) => at.grant_id === row.id).map((at) => at.target_id),
    targetGroups: parts.filter((at) => at.grant_id === row.id).map((at) => at.group_id),
    subprotocols: row.subprotocols,
    frames: checkFrames(row.frames, row.name),
    validFrom: row.valid_from?.getTime(),
    expiresAt: row.expires_at?.getTime(),
    overtimable: row.overtimable,
    recordContent: row.record_content,
    rdp: checkRdp(row.rdp, row.name),
  }));
}

/**
 * Makes the grants as declared. Throws `access.grant-invalid` with the field. Whatever changes, running sessions are
 * looked at again once it is committed.
 */
export async function declareGrants(
  tx: Tx,
  desired: readonly GrantDeclaration[],
  options: DeclareOptions,
): Promise<Change[]> {
  const have = await grantsOf(tx);
  const groups = await userGroups(tx);
  const parts = await targetGroups(tx);
  const changes: Change[] = [];
  for (const want of desired) {
    const group = groups.find((at) => at.name === want.group);
    if (group === undefined) throw invalid(want, `no user group ${want.group}`);
    const old = have.find((grant) => grant.name === want.name);
    const grant = await resolve(tx, want, old?.id ?? newId(), group.id, parts);
    const fields = old === undefined ? [] : fieldsThatDiffer(old, grant);
    const description = want.description ?? '';
    if (old !== undefined) {
      const row = await tx.selectFrom('access_grant').select('description').where('id', '=', old.id).executeTakeFirst();
      if (row?.description !== description) fields.push('description');
    }
    if (old !== undefined && fields.length === 0) {
      changes.push({ object: 'grant', name: want.name, change: 'same' });
      continue;
    }
    await store(tx, grant, description, old === undefined);
    const type = old === undefined ? 'access.grant.created' : 'access.grant.changed';
    const after = { group: want.group, fields: old === undefined ? ['all'] : fields };
    await record(tx, options.actor, {
      type,
      about: { grant: grant.id, group: group.id },
      details: { name: want.name, after },
    });
    changes.push({
      object: 'grant',
      name: want.name,
      ...(old === undefined ? { change: 'created' } : { change: 'changed', fields }),
    });
  }
  if (options.prune) {
    for (const grant of have.filter((old) => !desired.some((want) => want.name === old.name))) {
      await removeGrant(tx, grant, options.actor);
      changes.push({ object: 'grant', name: grant.name, change: 'removed' });
    }
  }
  if (changes.some((change) => change.change !== 'same')) await notifyAccessChanged(tx);
  return changes;
}

/** Removes a grant. Sessions that nothing else allows end. */
export async function removeGrant(tx: Tx, grant: Pick<Grant, 'id' | 'name'>, actor: Actor): Promise<void> {
  await tx.deleteFrom('access_grant').where('id', '=', grant.id).execute();
  await record(tx, actor, { type: 'access.grant.removed', about: { grant: grant.id }, details: { name: grant.name } });
  await notifyAccessChanged(tx);
}

async function resolve(
  tx: Tx,
  want: GrantDeclaration,
  id: GrantId,
  group: GroupId,
  parts: Awaited<ReturnType<typeof targetGroups>>,
): Promise<Grant> {
  const accounts = await Promise.all(
    (want.accounts ?? []).map(async (label) => {
      const account = await accountNamed(tx, label);
      if (account === undefined) throw invalid(want, `no account ${label}`);
      return account.id;
    }),
  );
  const targets = await Promise.all(
    (want.targets ?? []).map(async (name) => {
      const target = await targetNamed(tx, name);
      if (target === undefined) throw invalid(want, `no target ${name}`);
      return target.id;
    }),
  );
  const targetGroupIds = (want.targetGroups ?? []).map((name) => {
    const part = parts.find((at) => at.name === name);
    if (part === undefined) throw invalid(want, `no target group ${name}`);
    return part.id;
  });
  const subprotocols = [...new Set(want.subprotocols ?? usualSubprotocols)];
  const strange = subprotocols.find((what) => !isSubprotocol(what));
  if (strange !== undefined) {
    const known = [...Object.values(subprotocolsOf).flat(), 'dynamic:NAME', 'static:NAME'];
    throw invalid(want, `subprotocols are ${known.join(', ')}, not ${strange}`);
  }
  if (subprotocols.length === 0) throw invalid(want, 'a grant without subprotocols allows nothing');
  return {
    id,
    name: want.name,
    disabled: want.disabled ?? false,
    group,
    accounts,
    targets,
    targetGroups: targetGroupIds,
    subprotocols,
    frames: checkFrames(want.frames ?? [], want.name),
    validFrom: want.validFrom?.getTime(),
    expiresAt: want.expiresAt?.getTime(),
    overtimable: want.overtimable ?? false,
    recordContent: want.recordContent ?? false,
    rdp: checkRdp(want.rdp ?? {}, want.name),
  };
}

async function store(tx: Tx, grant: Grant, description: string, isNew: boolean): Promise<void> {
  const row = {
    name: grant.name,
    description,
    group_id: grant.group,
    subprotocols: [...grant.subprotocols],
    frames: JSON.stringify(grant.frames),
    valid_from: grant.validFrom === undefined ? null : new Date(grant.validFrom),
    expires_at: grant.expiresAt === undefined ? null : new Date(grant.expiresAt),
    overtimable: grant.overtimable,
    record_content: grant.recordContent,
    rdp: JSON.stringify(grant.rdp),
    disabled: grant.disabled,
    changed_at: new Date(),
  };
  if (isNew)
    await tx
      .insertInto('access_grant')
      .values({ id: grant.id, ...row })
      .execute();
  else await tx.updateTable('access_grant').set(row).where('id', '=', grant.id).execute();
  const grant_id = grant.id;
  await tx.deleteFrom('access_grant_account').where('grant_id', '=', grant_id).execute();
  await tx.deleteFrom('access_grant_target').where('grant_id', '=', grant_id).execute();
  await tx.deleteFrom('access_grant_target_group').where('grant_id', '=', grant_id).execute();
  for (const account_id of new Set(grant.accounts))
    await tx.insertInto('access_grant_account').values({ grant_id, account_id }).execute();
  for (const target_id of new Set(grant.targets))
    await tx.insertInto('access_grant_target').values({ grant_id, target_id }).execute();
  for (const group_id of new Set(grant.targetGroups))
    await tx.insertInto('access_grant_target_group').values({ grant_id, group_id }).execute();
}

/** Frames out of the database or a declaration; one that cannot be read must not be taken for "always". */
function checkFrames(value: unknown, name: string): TimeFrame[] {
  const frames = value as TimeFrame[];
  if (!Array.isArray(frames)) throw new AccessError('access.grant-invalid', `${name}: time frames`);
  for (const frame of frames) {
    if (!isZone(frame.zone)) throw new AccessError('access.grant-invalid', `${name}: no time zone ${frame.zone}`);
    if (!Array.isArray(frame.periods) || frame.periods.length === 0) {
      throw new AccessError('access.grant-invalid', `${name}: a time frame without periods`);
    }
    const fault = frame.periods.map(faultOfPeriod).find((words) => words !== undefined);
    if (fault !== undefined) throw new AccessError('access.grant-invalid', `${name}: ${fault}`);
  }
  return frames;
}

/** As for frames: what cannot be read must not be taken for "no condition". */
function checkRdp(value: unknown, name: string): RdpConditions {
  const fault = faultOfRdp(value);
  if (fault !== undefined) throw new AccessError('access.grant-invalid', `${name}: ${fault}`);
  return value as RdpConditions;
}

function fieldsThatDiffer(old: Grant, want: Grant): string[] {
  const names = Object.keys(want) as (keyof Grant)[];
  return names.filter((name) => canonical(old[name]) !== canonical(want[name]));
}

/** Lists of ids and names are sets; time frames are lists of objects whose keys may come in any order. */
function canonical(value: unknown): string {
  if (!Array.isArray(value)) return JSON.stringify(value, (_, part: unknown) => sortKeys(part)) ?? 'undefined';
  return JSON.stringify([...new Set(value.map((part) => canonical(part)))].sort());
}

function sortKeys(part: unknown): unknown {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
  return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function invalid(want: GrantDeclaration, words: string): AccessError {
  return new AccessError('access.grant-invalid', `${want.name}: ${words}`);
}
