/**
 * Declaring what there is: the same list twice changes nothing. Objects that a list does not mention stay, unless it is
 * told to prune. Every change is audited in the caller's transaction.
 */
import { type Actor, record } from '../audit/audit.ts';
import { newId } from '../base/new-id.ts';
import type { Tx } from '../db/db.ts';
import { trustCertificate } from './certificates.ts';
import { EstateError } from './errors.ts';
import { trustHostKey } from './host-keys.ts';
import { type Platform, type Protocol, type Target, targetGroups, targetNamed, targets } from './targets.ts';

export interface Change {
  readonly object: 'target' | 'target-group';
  readonly name: string;
  readonly change: 'created' | 'changed' | 'removed' | 'same';
  readonly fields?: readonly string[];
}

export interface ServiceDeclaration {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly hostKeyPolicy?: 'strict' | 'first-use';
  /** Public key blobs to trust. Keys that are trusted and not named here stay trusted. */
  readonly hostKeys?: readonly Uint8Array[];
  /** The same for certificates: SHA-256 of their DER. */
  readonly certificates?: readonly Uint8Array[];
  /** `tls`, and what its protocol wants to know. Nothing secret. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export interface TargetDeclaration {
  readonly name: string;
  readonly platform: Platform;
  readonly address: string;
  readonly description?: string;
  readonly disabled?: boolean;
  readonly services: readonly ServiceDeclaration[];
}

export interface TargetGroupDeclaration {
  readonly name: string;
  readonly description?: string;
  /** Names of targets. */
  readonly members: readonly string[];
}

export interface DeclareOptions {
  readonly actor: Actor;
  /** Removes what is not named. */
  readonly prune: boolean;
}

/** Makes the targets as declared. Throws `estate.target-invalid` where the database refuses a field. */
export async function declareTargets(
  tx: Tx,
  desired: readonly TargetDeclaration[],
  options: DeclareOptions,
): Promise<Change[]> {
  const changes: Change[] = [];
  for (const want of desired) changes.push(await declareTarget(tx, want, options.actor));
  if (!options.prune) return changes;
  const names = new Set(desired.map((want) => want.name));
  for (const target of await targets(tx)) {
    if (names.has(target.name)) continue;
    await tx.deleteFrom('target').where('id', '=', target.id).execute();
    await record(tx, options.actor, {
      type: 'estate.target.removed',
      about: { target: target.id },
      details: { name: target.name },
    });
    changes.push({ object: 'target', name: target.name, change: 'removed' });
  }
  return changes;
}

/** Makes the target groups as declared. Throws `estate.target-unknown` for a member that is no target. */
export async function declareTargetGroups(
  tx: Tx,
  desired: readonly TargetGroupDeclaration[],
  options: DeclareOptions,
): Promise<Change[]> {
  const changes: Change[] = [];
  const have = await targetGroups(tx);
  for (const want of desired) {
    const old = have.find((group) => group.name === want.name);
    const id = old?.id ?? newId();
    const description = want.description ?? '';
    const members = [...new Set(want.members)].sort();
    const fields = [];
    if (old?.description !== description) fields.push('description');
    if (old === undefined || old.members.join('\n') !== members.join('\n')) fields.push('members');
    if (old !== undefined && fields.length === 0) {
      changes.push({ object: 'target-group', name: want.name, change: 'same' });
      continue;
    }
    await tx
      .insertInto('target_group')
      .values({ id, name: want.name, description })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ description }))
      .execute();
    await tx.deleteFrom('target_group_member').where('group_id', '=', id).execute();
    for (const name of members) {
      const target = await targetNamed(tx, name);
      if (target === undefined) throw new EstateError('estate.target-unknown', `${name}, in group ${want.name}`);
      await tx.insertInto('target_group_member').values({ group_id: id, target_id: target.id }).execute();
    }
    const change: Change =
      old === undefined
        ? { object: 'target-group', name: want.name, change: 'created' }
        : { object: 'target-group', name: want.name, change: 'changed', fields };
    await recordGroup(tx, change, options.actor);
    changes.push(change);
  }
  if (!options.prune) return changes;
  for (const group of have.filter((old) => !desired.some((want) => want.name === old.name))) {
    await tx.deleteFrom('target_group').where('id', '=', group.id).execute();
    const change: Change = { object: 'target-group', name: group.name, change: 'removed' };
    await recordGroup(tx, change, options.actor);
    changes.push(change);
  }
  return changes;
}

async function declareTarget(tx: Tx, want: TargetDeclaration, actor: Actor): Promise<Change> {
  const old = await targetNamed(tx, want.name);
  const id = old?.id ?? newId();
  const row = {
    platform: want.platform,
    address: want.address,
    description: want.description ?? '',
    disabled: want.disabled ?? false,
  };
  const fields: string[] = (Object.keys(row) as (keyof typeof row)[]).filter((field) => old?.[field] !== row[field]);
  if (old === undefined) {
    await tx
      .insertInto('target')
      .values({ id, name: want.name, ...row })
      .execute();
  } else if (fields.length > 0) {
    await tx
      .updateTable('target')
      .set({ ...row, changed_at: new Date() })
      .where('id', '=', id)
      .execute();
  }
  if (await declareServices(tx, id, want.services, old, actor)) fields.push('services');
  if (old === undefined) {
    await record(tx, actor, {
      type: 'estate.target.created',
      about: { target: id },
      details: { name: want.name, after: row },
    });
    return { object: 'target', name: want.name, change: 'created' };
  }
  if (fields.length === 0) return { object: 'target', name: want.name, change: 'same' };
  const { platform, address, description, disabled } = old;
  await record(tx, actor, {
    type: 'estate.target.changed',
    about: { target: id },
    details: { name: want.name, before: { platform, address, description, disabled }, after: row },
  });
  return { object: 'target', name: want.name, change: 'changed', fields };
}

/** Returns whether anything differed. Services are part of their target: one that is not named goes. */
async function declareServices(
  tx: Tx,
  target: Target['id'],
  desired: readonly ServiceDeclaration[],
  old: Target | undefined,
  actor: Actor,
): Promise<boolean> {
  let differs = false;
  // Removed first, so that a port can move from one service to another.
  for (const gone of old?.services.filter((service) => !desired.some((want) => want.name === service.name)) ?? []) {
    await tx.deleteFrom('service').where('id', '=', gone.id).execute();
    differs = true;
  }
  for (const want of desired) {
    const have = old?.services.find((service) => service.name === want.name);
    const id = have?.id ?? newId();
    const hostKeyPolicy = want.hostKeyPolicy ?? 'strict';
    const settings = sorted(want.settings ?? {});
    const row = { protocol: want.protocol, port: want.port, host_key_policy: hostKeyPolicy, settings };
    if (have === undefined) {
      await tx
        .insertInto('service')
        .values({ id, target_id: target, name: want.name, ...row })
        .execute();
      differs = true;
    } else if (
      have.protocol !== want.protocol ||
      have.port !== want.port ||
      have.hostKeyPolicy !== hostKeyPolicy ||
      sorted(have.settings) !== settings
    ) {
      await tx.updateTable('service').set(row).where('id', '=', id).execute();
      differs = true;
    }
    for (const blob of want.hostKeys ?? []) if (await trustHostKey(tx, id, blob, actor)) differs = true;
    for (const pin of want.certificates ?? []) if (await trustCertificate(tx, id, pin, actor)) differs = true;
  }
  return differs;
}

/** JSON with sorted names, because jsonb gives names back in an order of its own. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

async function recordGroup(tx: Tx, change: Change, actor: Actor): Promise<void> {
  const fields = change.fields === undefined ? {} : { after: { fields: change.fields } };
  await record(tx, actor, {
    type: change.change === 'created' ? 'estate.target.created' : 'estate.target.changed',
    about: {},
    details: { name: `group ${change.name}`, ...(change.change === 'removed' ? { reason: 'removed' } : fields) },
  });
}
