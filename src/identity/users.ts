/** Reading who there is: users with roles, groups, keys and standing. It decides nothing and changes nothing. */
import { BlockList, isIP } from 'node:net';
import type { GroupId, UserId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import type { Db, Tx } from '../db/db.ts';
import type { Role } from './rights.ts';

export interface User {
  readonly id: UserId;
  /** Canonical: lower case, NFC. */
  readonly name: string;
  readonly displayName: string;
  readonly roles: readonly Role[];
  readonly groups: readonly { readonly id: GroupId; readonly name: string }[];
  /** What the user has to log in with. */
  readonly factors: readonly ('password' | 'publickey' | 'totp')[];
  readonly keys: readonly UserKey[];
  readonly disabled: boolean;
  readonly expiresAt: Date | undefined;
  /** Addresses and networks from which the user may come; empty means anywhere. */
  readonly sources: readonly string[];
  readonly mustChange: boolean;
  readonly lockedUntil: Date | undefined;
}

export interface UserKey {
  readonly type: string;
  readonly blob: Uint8Array;
  readonly fingerprint: string;
  readonly comment: string;
  readonly expiresAt: Date | undefined;
}

/** Why a user may not be let in at all, whatever he knows. */
export type Bar = 'disabled' | 'expired' | 'source' | 'locked';

/** All users, by name. */
export function users(db: Db | Tx): Promise<User[]> {
  return load(db, {});
}

export async function userNamed(db: Db | Tx, name: string): Promise<User | undefined> {
  return (await load(db, { name: canonicalName(name) }))[0];
}

export async function userById(db: Db | Tx, id: UserId): Promise<User | undefined> {
  return (await load(db, { id }))[0];
}

/** Some users at once, in no particular order. */
export function usersById(db: Db | Tx, ids: readonly UserId[]): Promise<User[]> {
  return ids.length === 0 ? Promise.resolve([]) : load(db, { ids });
}

/** One spelling for one person. */
export function canonicalName(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** Names people can type as part of a login name: letters, digits and `. _ + - @`, not beginning with a sign. */
export function isUserName(name: string): boolean {
  return name === canonicalName(name) && /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}._+@-]{0,254}$/u.test(name);
}

/** What stands in the user's way at `now` (ms), coming from `address`; undefined when nothing does. */
export function barOf(user: Standing, address: string, now: number): Bar | undefined {
  if (user.disabled) return 'disabled';
  if (user.expiresAt !== undefined && user.expiresAt.getTime() <= now) return 'expired';
  if (!comesFrom(address, user.sources)) return 'source';
  if (user.lockedUntil !== undefined && user.lockedUntil.getTime() > now) return 'locked';
  return undefined;
}

export type Standing = Pick<User, 'disabled' | 'expiresAt' | 'sources' | 'lockedUntil'>;

/** Whether `text` is an address or a network in CIDR form. */
export function isSource(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

function comesFrom(address: string, sources: readonly string[]): boolean {
  if (sources.length === 0) return true;
  const family = isIP(address);
  if (family === 0) return false;
  const allowed = new BlockList();
  for (const source of sources) {
    if (!isSource(source)) continue;
    const [net = '', bits] = source.split('/');
    const kind = isIP(net) === 4 ? 'ipv4' : 'ipv6';
    allowed.addSubnet(net, bits === undefined ? (kind === 'ipv4' ? 32 : 128) : Number(bits), kind);
  }
  // An IPv4 client on a dual-stack listener shows as ::ffff:192.0.2.1; BlockList matches that with IPv4 rules.
  return allowed.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

interface By {
  readonly id?: UserId;
  readonly ids?: readonly UserId[];
  readonly name?: string;
}

async function load(db: Db | Tx, by: By): Promise<User[]> {
  let query = db
    .selectFrom('users')
    .leftJoin('user_totp', 'user_totp.user_id', 'users.id')
    .selectAll('users')
    .select('user_totp.user_id as totp')
    .orderBy('users.name');
  if (by.id !== undefined) query = query.where('users.id', '=', by.id);
  if (by.ids !== undefined) query = query.where('users.id', 'in', by.ids);
  if (by.name !== undefined) query = query.where('users.name', '=', by.name);
  const rows = await query.execute();
  // Asked for nobody too: whoever waits for the answer does not learn whether the user exists.
  const ids = rows.length === 0 ? [newId<UserId>()] : rows.map((row) => row.id);
  const roles = await db.selectFrom('user_role').selectAll().where('user_id', 'in', ids).orderBy('role').execute();
  const groups = await db
    .selectFrom('user_group_member')
    .innerJoin('user_group', 'user_group.id', 'user_group_member.group_id')
    .select(['user_group_member.user_id', 'user_group.id', 'user_group.name'])
    .where('user_group_member.user_id', 'in', ids)
    .orderBy('user_group.name')
    .execute();
  const keys = await db.selectFrom('user_key').selectAll().where('user_id', 'in', ids).orderBy('added_at').execute();
  return rows.map((row) => {
    const own = keys.filter((key) => key.user_id === row.id);
    const factors: User['factors'][number][] = [];
    if (row.password_hash !== null) factors.push('password');
    if (own.length > 0) factors.push('publickey');
    if (row.totp !== null) factors.push('totp');
    return {
      id: row.id,
      name: row.name,
      displayName: row.display_name,
      roles: roles.filter((role) => role.user_id === row.id).map((role) => role.role),
      groups: groups.filter((group) => group.user_id === row.id).map(({ id, name }) => ({ id, name })),
      factors,
      keys: own.map((key) => ({
        type: key.type,
        blob: new Uint8Array(key.blob),
        fingerprint: key.fingerprint,
        comment: key.comment,
        expiresAt: key.expires_at ?? undefined,
      })),
      disabled: row.disabled,
      expiresAt: row.expires_at ?? undefined,
      sources: row.sources,
      mustChange: row.must_change,
      lockedUntil: row.locked_until ?? undefined,
    };
  });
}
