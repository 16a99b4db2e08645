/**
 * Declaring users and their groups: the same list twice changes nothing. Passwords, second factors and locks are not
 * part of a declaration. Nobody can declare the last administrator away.
 */
import { type Actor, record } from '../audit/audit.ts';
import type { GroupId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import type { Db, Tx } from '../db/db.ts';
import { fingerprint, parseKeyLine } from '../protocol/ssh/ssh.ts';
import { addKey, enabledAdministrators, notifyAccessChanged, removeKey } from './changes.ts';
import { IdentityError } from './errors.ts';
import type { Role } from './rights.ts';
import { isSource, isUserName, type User, userNamed, users } from './users.ts';

export interface Change {
  readonly object: 'user' | 'user-group';
  readonly name: string;
  readonly change: 'created' | 'changed' | 'removed' | 'same';
  readonly fields?: readonly string[];
}

export interface UserGroupDeclaration {
  readonly name: string;
  readonly description?: string;
}

export interface UserDeclaration {
  readonly name: string;
  readonly displayName?: string;
  readonly roles: readonly Role[];
  /** Names of groups; all that the user is in. */
  readonly groups: readonly string[];
  /** Lines of `.pub` files; all that the user has. Undefined: the keys are not this declaration's business. */
  readonly publicKeys?: readonly string[];
  readonly expiresAt?: Date;
  readonly sources?: readonly string[];
  readonly disabled?: boolean;
}

export interface DeclareOptions {
  readonly actor: Actor;
  /** Removes what is not named. */
  readonly prune: boolean;
}

export interface UserGroup {
  readonly id: GroupId;
  readonly name: string;
  readonly description: string;
}

/** All user groups, by name. */
export async function userGroups(db: Db | Tx): Promise<UserGroup[]> {
  return await db.selectFrom('user_group').selectAll().orderBy('name').execute();
}

/** Makes the groups as declared; members are declared with the users. */
export async function declareUserGroups(
  tx: Tx,
  desired: readonly UserGroupDeclaration[],
  options: DeclareOptions,
): Promise<Change[]> {
  const changes: Change[] = [];
  const have = await userGroups(tx);
  for (const want of desired) {
    const old = have.find((group) => group.name === want.name);
    const description = want.description ?? '';
    if (old === undefined) {
      await tx.insertInto('user_group').values({ id: newId(), name: want.name, description }).execute();
      changes.push({ object: 'user-group', name: want.name, change: 'created' });
    } else if (old.description !== description) {
      await tx.updateTable('user_group').set({ description }).where('id', '=', old.id).execute();
      changes.push({ object: 'user-group', name: want.name, change: 'changed', fields: ['description'] });
    } else changes.push({ object: 'user-group', name: want.name, change: 'same' });
  }
  if (!options.prune) return changes;
  for (const group of have.filter((old) => !desired.some((want) => want.name === old.name))) {
    await tx.deleteFrom('user_group').where('id', '=', group.id).execute();
    await notifyAccessChanged(tx);
    changes.push({ object: 'user-group', name: group.name, change: 'removed' });
  }
  return changes;
}

/**
 * Makes the users as declared. Throws `identity.user-invalid`, `identity.key-malformed`, `identity.source-malformed`,
 * and `identity.last-administrator` if afterwards nobody could administrate though somebody can now.
 */
export async function declareUsers(
  tx: Tx,
  desired: readonly UserDeclaration[],
  options: DeclareOptions,
): Promise<Change[]> {
  const administrators = await enabledAdministrators(tx);
  const changes: Change[] = [];
  for (const want of desired) changes.push(await declareUser(tx, want, options.actor));
  if (options.prune) {
    const names = new Set(desired.map((want) => want.name));
    for (const user of await users(tx)) {
      if (names.has(user.name)) continue;
      await tx.deleteFrom('users').where('id', '=', user.id).execute();
      await record(tx, options.actor, {
        type: 'identity.user.changed',
        about: { user: user.id },
        details: { name: user.name, reason: 'removed' },
      });
      changes.push({ object: 'user', name: user.name, change: 'removed' });
    }
  }
  if (administrators.length > 0 && (await enabledAdministrators(tx)).length === 0) {
    throw new IdentityError('identity.last-administrator');
  }
  if (changes.some((change) => change.change !== 'same')) await notifyAccessChanged(tx);
  return changes;
}

async function declareUser(tx: Tx, want: UserDeclaration, actor: Actor): Promise<Change> {
  checkFields(want);
  const old = await userNamed(tx, want.name);
  const id = old?.id ?? newId();
  const sources = [...new Set(want.sources ?? [])].sort();
  const row = {
    display_name: want.displayName ?? '',
    disabled: want.disabled ?? false,
    expires_at: want.expiresAt ?? null,
    sources,
  };
  const fields = old === undefined ? [] : fieldsThatDiffer(old, row);
  if (old === undefined) {
    await tx
      .insertInto('users')
      .values({ id, name: want.name, password_hash: null, password_changed_at: null, locked_until: null, ...row })
      .execute();
  } else if (fields.length > 0) {
    await tx
      .updateTable('users')
      .set({ ...row, changed_at: new Date() })
      .where('id', '=', id)
      .execute();
  }
  const roles = [...new Set(want.roles)].sort();
  if (!sameList(old?.roles ?? [], roles)) {
    fields.push('roles');
    await tx.deleteFrom('user_role').where('user_id', '=', id).execute();
    for (const role of roles) await tx.insertInto('user_role').values({ user_id: id, role }).execute();
  }
  if (await declareMembership(tx, want, id, old)) fields.push('groups');
  if (old === undefined) {
    const after = { roles, groups: [...want.groups], ...shown(row) };
    await record(tx, actor, {
      type: 'identity.user.created',
      about: { user: id },
      details: { name: want.name, after },
    });
  }
  if (await declareKeys(tx, want, old, actor)) fields.push('publicKeys');
  if (old === undefined) return { object: 'user', name: want.name, change: 'created' };
  if (fields.length === 0) return { object: 'user', name: want.name, change: 'same' };
  await record(tx, actor, {
    type: 'identity.user.changed',
    about: { user: id },
    details: {
      name: want.name,
      before: { roles: [...old.roles], groups: old.groups.map((group) => group.name), disabled: old.disabled },
      after: { roles, groups: [...want.groups], ...shown(row) },
    },
  });
  return { object: 'user', name: want.name, change: 'changed', fields };
}

async function declareMembership(
  tx: Tx,
  want: UserDeclaration,
  id: User['id'],
  old: User | undefined,
): Promise<boolean> {
  const names = [...new Set(want.groups)].sort();
  if (
    sameList(
      (old?.groups ?? []).map((group) => group.name),
      names,
    )
  )
    return false;
  await tx.deleteFrom('user_group_member').where('user_id', '=', id).execute();
  for (const name of names) {
    const group = await tx.selectFrom('user_group').select('id').where('name', '=', name).executeTakeFirst();
    if (group === undefined) throw new IdentityError('identity.user-invalid', `${want.name}: no group ${name}`);
    await tx.insertInto('user_group_member').values({ group_id: group.id, user_id: id }).execute();
  }
  return true;
}

async function declareKeys(tx: Tx, want: UserDeclaration, old: User | undefined, actor: Actor): Promise<boolean> {
  if (want.publicKeys === undefined) return false;
  let differs = false;
  const prints = new Set<string>();
  for (const line of want.publicKeys) {
    const parsed = parseKeyLine(line);
    if ('refused' in parsed) throw new IdentityError('identity.key-malformed', `${want.name}: ${parsed.reason}`);
    const print = fingerprint(parsed.blob);
    prints.add(print);
    if (old?.keys.some((key) => key.fingerprint === print && key.comment === parsed.comment) === true) continue;
    const added = await addKey(tx, want.name, line, undefined, actor);
    if (typeof added !== 'string') throw new IdentityError('identity.key-malformed', `${want.name}: ${added.reason}`);
    differs = true;
  }
  for (const key of old?.keys ?? []) {
    if (prints.has(key.fingerprint)) continue;
    await removeKey(tx, want.name, key.fingerprint, actor);
    differs = true;
  }
  return differs;
}

function checkFields(want: UserDeclaration): void {
  if (!isUserName(want.name)) {
    throw new IdentityError(
      'identity.user-invalid',
      `name ${JSON.stringify(want.name)}: lower-case letters, digits and . _ + - @`,
    );
  }
  const bad = want.sources?.find((source) => !isSource(source));
  if (bad !== undefined) throw new IdentityError('identity.source-malformed', `${want.name}: ${JSON.stringify(bad)}`);
}

interface Row {
  readonly display_name: string;
  readonly disabled: boolean;
  readonly expires_at: Date | null;
  readonly sources: readonly string[];
}

function fieldsThatDiffer(old: User, row: Row): string[] {
  const fields: string[] = [];
  if (old.displayName !== row.display_name) fields.push('displayName');
  if (old.disabled !== row.disabled) fields.push('disabled');
  if (old.expiresAt?.getTime() !== row.expires_at?.getTime()) fields.push('expiresAt');
  if (!sameList([...old.sources].sort(), row.sources)) fields.push('sources');
  return fields;
}

function shown(row: Row): { disabled: boolean; expires: string | null; sources: readonly string[] } {
  return { disabled: row.disabled, expires: row.expires_at?.toISOString() ?? null, sources: row.sources };
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
