/**
 * Changing one person: password, keys, disabling, unlocking. Each is audited in the transaction that makes it; disabling
 * tells whoever watches running sessions. The last administrator cannot be shut out.
 */
import { sql } from 'kysely';
import { type Actor, record } from '../audit/audit.ts';
import { type Refusal, refuse } from '../base/errors.ts';
import type { UserId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import type { Secret } from '../base/secret.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import { fingerprint, parseKeyLine } from '../protocol/ssh/ssh.ts';
import { IdentityError } from './errors.ts';
import { hashPassword, weakness } from './password.ts';
import { type User, userNamed } from './users.ts';

/** NOTIFY channel: what somebody may do has changed; running sessions are to be looked at again. */
export const accessChanged = 'access_changed';

/** Sends `accessChanged` when the transaction commits. */
export async function notifyAccessChanged(db: Db | Tx): Promise<void> {
  await sql`select pg_notify(${accessChanged}, '')`.execute(db);
}

/** Sets a password. `mustChange`: the user has to choose another before any session. */
export async function setPassword(
  db: Db | Tx,
  name: string,
  password: Secret,
  options: { readonly mustChange: boolean },
  actor: Actor,
): Promise<Refusal<'identity.password-weak'> | undefined> {
  const user = await mustFind(db, name);
  const weak = weakness(password, user.name);
  if (weak !== undefined) return weak;
  const hash = await hashPassword(password);
  await inTransaction(db, (tx) => storePassword(tx, user, hash, options.mustChange, actor));
  return undefined;
}

/** Writes a hash. For this room only: nobody else has one. */
export async function storePassword(
  tx: Tx,
  user: Pick<User, 'id' | 'name'>,
  hash: string,
  mustChange: boolean,
  actor: Actor,
): Promise<void> {
  const now = new Date();
  await tx
    .updateTable('users')
    .set({
      password_hash: hash,
      password_changed_at: now,
      must_change: mustChange,
      changed_at: now,
      failures: 0,
      locked_until: null,
    })
    .where('id', '=', user.id)
    .execute();
  await record(tx, actor, {
    type: 'identity.password.changed',
    about: { user: user.id },
    details: { name: user.name, reason: mustChange ? 'set, to be changed at the next login' : 'set' },
  });
}

/** Adds the key of one `.pub` line; its options are refused, because they would not be obeyed. Returns the fingerprint. */
export async function addKey(
  db: Db | Tx,
  name: string,
  line: string,
  expiresAt: Date | undefined,
  actor: Actor,
): Promise<string | Refusal<'identity.key-malformed'>> {
  const parsed = parseKeyLine(line);
  if ('refused' in parsed) return refuse('identity.key-malformed', parsed.reason);
  if (parsed.options !== '') return refuse('identity.key-malformed', 'options before the key are not supported');
  const print = fingerprint(parsed.blob);
  await inTransaction(db, async (tx) => {
    const user = await mustFind(tx, name);
    await tx
      .insertInto('user_key')
      .values({
        id: newId(),
        user_id: user.id,
        type: parsed.key.type,
        blob: Buffer.from(parsed.blob),
        fingerprint: print,
        comment: parsed.comment,
        expires_at: expiresAt ?? null,
      })
      .onConflict((conflict) =>
        conflict.columns(['user_id', 'blob']).doUpdateSet({ comment: parsed.comment, expires_at: expiresAt ?? null }),
      )
      .execute();
    await record(tx, actor, {
      type: 'identity.key.added',
      about: { user: user.id },
      details: { fingerprint: print, algorithm: parsed.key.type, label: parsed.comment },
    });
  });
  return print;
}

/** Removes a key by fingerprint. Returns whether there was one. */
export function removeKey(db: Db | Tx, name: string, print: string, actor: Actor): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const user = await mustFind(tx, name);
    const done = await tx
      .deleteFrom('user_key')
      .where('user_id', '=', user.id)
      .where('fingerprint', '=', print)
      .executeTakeFirst();
    if (done.numDeletedRows === 0n) return false;
    await record(tx, actor, {
      type: 'identity.key.removed',
      about: { user: user.id },
      details: { fingerprint: print },
    });
    return true;
  });
}

/** Disables or enables a user. Running sessions of a disabled user end. */
export function setDisabled(
  db: Db | Tx,
  name: string,
  disabled: boolean,
  actor: Actor,
): Promise<Refusal<'identity.last-administrator'> | undefined> {
  return inTransaction(db, async (tx) => {
    const user = await mustFind(tx, name);
    if (disabled && (await isLastAdministrator(tx, user.id))) {
      return refuse('identity.last-administrator', `${user.name} is the last administrator`);
    }
    if (user.disabled === disabled) return undefined;
    await tx.updateTable('users').set({ disabled, changed_at: new Date() }).where('id', '=', user.id).execute();
    await record(
      tx,
      actor,
      disabled
        ? { type: 'identity.user.disabled', about: { user: user.id }, details: { name: user.name } }
        : {
            type: 'identity.user.changed',
            about: { user: user.id },
            details: { name: user.name, before: { disabled: true }, after: { disabled: false } },
          },
    );
    await notifyAccessChanged(tx);
    return undefined;
  });
}

/** Forgets wrong passwords and ends a lock. */
export async function unlock(db: Db | Tx, name: string, actor: Actor): Promise<void> {
  await inTransaction(db, async (tx) => {
    const user = await mustFind(tx, name);
    await tx.updateTable('users').set({ failures: 0, locked_until: null }).where('id', '=', user.id).execute();
    await record(tx, actor, {
      type: 'identity.login.unlocked',
      about: { user: user.id },
      details: { name: user.name },
    });
  });
}

/**
 * Whether without this user nobody enabled and unexpired would be administrator. Takes a lock until the end of the
 * transaction, so that two administrators cannot disable each other at the same moment.
 */
export async function isLastAdministrator(tx: Tx, user: UserId): Promise<boolean> {
  const left = await enabledAdministrators(tx);
  return left.length === 1 && left[0] === user;
}

/** Those who can administrate now, under the lock described above. */
export async function enabledAdministrators(tx: Tx): Promise<UserId[]> {
  await sql`select pg_advisory_xact_lock(hashtext('identity.administrators'))`.execute(tx);
  const rows = await tx
    .selectFrom('users')
    .innerJoin('user_role', 'user_role.user_id', 'users.id')
    .select('users.id')
    .where('user_role.role', '=', 'administrator')
    .where('users.disabled', '=', false)
    .where((eb) => eb.or([eb('users.expires_at', 'is', null), eb('users.expires_at', '>', new Date())]))
    .execute();
  return rows.map((row) => row.id);
}

export async function mustFind(db: Db | Tx, name: string): Promise<User> {
  const user = await userNamed(db, name);
  if (user === undefined) throw new IdentityError('identity.user-unknown', JSON.stringify(name));
  return user;
}
