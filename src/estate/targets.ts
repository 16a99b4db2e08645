/** Reading what there is: targets with their services, and the groups that targets are in. It decides nothing. */
import type { Id, TargetId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import type { Db, Tx } from '../db/db.ts';
import type { Tables } from '../db/tables.ts';

export type ServiceId = Id<'service'>;
export type TargetGroupId = Id<'target-group'>;
export type Platform = Tables['target']['platform'];
/** How a service is spoken to. Sessions go to ssh; connectors use them all. */
export type Protocol = Tables['service']['protocol'];
/** Those that people's sessions use. */
export type SessionProtocol = 'ssh' | 'rdp';

/** One protocol on one port of a target. Names are unique within the target; the usual one has the protocol's name. */
export interface Service {
  readonly id: ServiceId;
  readonly target: TargetId;
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** `strict`: only trusted host keys. `first-use`: the first key that is ever seen becomes trusted. */
  readonly hostKeyPolicy: 'strict' | 'first-use';
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface Target {
  readonly id: TargetId;
  readonly name: string;
  readonly platform: Platform;
  /** Where it is reached: a name or an address, without port. */
  readonly address: string;
  readonly description: string;
  readonly disabled: boolean;
  /** In the order of their names; the first of a protocol answers where none is named. */
  readonly services: readonly Service[];
}

/** All targets, by name. */
export function targets(db: Db | Tx): Promise<Target[]> {
  return load(db, {});
}

/** The target of that canonical (lower-case) name, disabled or not. */
export async function targetNamed(db: Db | Tx, name: string): Promise<Target | undefined> {
  return (await load(db, { name }))[0];
}

export async function targetById(db: Db | Tx, id: TargetId): Promise<Target | undefined> {
  return (await load(db, { id }))[0];
}

/**
 * The service of `target` that was asked for by name, or, unnamed, the one whose name is the protocol's, or else the
 * only one of that protocol. Undefined when none or several could be meant.
 */
export function serviceFor<P extends Protocol>(
  target: Target,
  protocol: P,
  name?: string,
): (Service & { readonly protocol: P }) | undefined {
  const speaks = (service: Service): service is Service & { readonly protocol: P } => service.protocol === protocol;
  const possible = target.services.filter(speaks);
  if (name !== undefined) return possible.find((service) => service.name === name);
  return possible.find((service) => service.name === protocol) ?? (possible.length === 1 ? possible[0] : undefined);
}

/** Which groups a target is in. */
export async function targetGroupsOf(db: Db | Tx, target: TargetId): Promise<TargetGroupId[]> {
  const rows = await db.selectFrom('target_group_member').select('group_id').where('target_id', '=', target).execute();
  return rows.map((row) => row.group_id);
}

/** Every membership of a target in a group, for evaluating many grants at a time. */
export async function targetMemberships(db: Db | Tx): Promise<{ group: TargetGroupId; target: TargetId }[]> {
  const rows = await db.selectFrom('target_group_member').selectAll().execute();
  return rows.map((row) => ({ group: row.group_id, target: row.target_id }));
}

export interface TargetGroup {
  readonly id: TargetGroupId;
  readonly name: string;
  readonly description: string;
  readonly members: readonly string[];
}

/** All target groups with the names of their targets, by name. */
export async function targetGroups(db: Db | Tx): Promise<TargetGroup[]> {
  const groups = await db.selectFrom('target_group').selectAll().orderBy('name').execute();
  const members = await db
    .selectFrom('target_group_member')
    .innerJoin('target', 'target.id', 'target_group_member.target_id')
    .select(['target_group_member.group_id', 'target.name'])
    .orderBy('target.name')
    .execute();
  return groups.map((group) => ({
    ...group,
    members: members.filter((row) => row.group_id === group.id).map((row) => row.name),
  }));
}

async function load(db: Db | Tx, by: { readonly id?: TargetId; readonly name?: string }): Promise<Target[]> {
  let query = db.selectFrom('target').selectAll().orderBy('name');
  if (by.id !== undefined) query = query.where('id', '=', by.id);
  if (by.name !== undefined) query = query.where('name', '=', by.name);
  const rows = await query.execute();
  // Asked for no target too: whoever waits for the answer does not learn whether there is one.
  const ids = rows.length === 0 ? [newId<TargetId>()] : rows.map((row) => row.id);
  const services = await db.selectFrom('service').selectAll().where('target_id', 'in', ids).orderBy('name').execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    platform: row.platform,
    address: row.address,
    description: row.description,
    disabled: row.disabled,
    services: services
      .filter((service) => service.target_id === row.id)
      .map((service) => ({
        id: service.id,
        target: service.target_id,
        name: service.name,
        protocol: service.protocol,
        port: service.port,
        hostKeyPolicy: service.host_key_policy,
        settings: service.settings,
      })),
  }));
}
