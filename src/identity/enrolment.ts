/**
 * One-time codes. There is no default password: as long as there is no administrator, the keeper prints a code at its
 * start, and whoever has it chooses name and password of the first one. Later users get codes the same way. Only the
 * hash of a code is stored (it has 120 random bits, so a plain hash is enough); it expires and works once.
 */
import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { type Actor, record } from '../audit/audit.ts';
import { type Refusal, refuse } from '../base/errors.ts';
import type { UserId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import { Secret } from '../base/secret.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import { addKey, mustFind, storePassword } from './changes.ts';
import { hashPassword, weakness } from './password.ts';
import type { Role } from './rights.ts';
import { canonicalName, isUserName } from './users.ts';

export interface Enrolment {
  /** Shown once. */
  readonly code: Secret;
  readonly expiresAt: Date;
}

export interface EnrolRequest {
  readonly code: Secret;
  readonly name: string;
  readonly password: Secret;
  /** One line of a `.pub` file. */
  readonly publicKey?: string;
}

export interface Enrolled {
  readonly user: UserId;
  readonly name: string;
  readonly roles: readonly Role[];
}

export type EnrolRefusal = Refusal<
  'identity.code-wrong' | 'identity.password-weak' | 'identity.user-invalid' | 'identity.key-malformed'
>;

const lifeMs = 24 * 60 * 60 * 1000;
const system: Actor = { kind: 'system', part: 'identity' };

/** Whether the first administrator is still missing. */
export async function isEnrolmentOpen(db: Db | Tx): Promise<boolean> {
  const row = await db
    .selectFrom('user_role')
    .select('user_id')
    .where('role', '=', 'administrator')
    .limit(1)
    .executeTakeFirst();
  return row === undefined;
}

/** While there is no administrator: a fresh code for the first one, and older ones stop working. Otherwise undefined. */
export function ensureEnrolment(db: Db | Tx, now: number): Promise<Enrolment | undefined> {
  return inTransaction(db, async (tx) => {
    await lockEnrolment(tx);
    if (!(await isEnrolmentOpen(tx))) return undefined;
    await tx.deleteFrom('user_enrolment').where('user_id', 'is', null).where('used_at', 'is', null).execute();
    return await issue(tx, undefined, 'the first administrator', now, system);
  });
}

/** A code with which an existing user chooses a new password; it replaces older codes of the same user. */
export function inviteUser(db: Db | Tx, name: string, now: number, actor: Actor): Promise<Enrolment> {
  return inTransaction(db, async (tx) => {
    const user = await mustFind(tx, name);
    await tx.deleteFrom('user_enrolment').where('user_id', '=', user.id).where('used_at', 'is', null).execute();
    return await issue(tx, user.id, user.name, now, actor);
  });
}

/**
 * Takes up a code: sets the password (and key) of its user, or makes the first administrator. A refused password, name
 * or key leaves the code usable; of two who use it at once, one is refused.
 */
export async function enrol(db: Db, request: EnrolRequest, now: number): Promise<Enrolled | EnrolRefusal> {
  const name = canonicalName(request.name);
  if (!isUserName(name))
    return refuse('identity.user-invalid', 'letters, digits and . _ + - @, not beginning with a sign');
  const weak = weakness(request.password, name);
  if (weak !== undefined) return weak;
  const hash = await hashPassword(request.password);
  return await rollbackRefusals(db, async (tx) => {
    await lockEnrolment(tx);
    const row = await tx
      .updateTable('user_enrolment')
      .set({ used_at: new Date(now) })
      .where('code_hash', '=', hashOf(request.code))
      .where('used_at', 'is', null)
      .where('expires_at', '>', new Date(now))
      .returning('user_id')
      .executeTakeFirst();
    if (row === undefined) return refuse('identity.code-wrong', 'no such code, or used, or expired');
    const user = row.user_id === null ? await firstAdministrator(tx, name) : await invited(tx, row.user_id, name);
    if ('refused' in user) return user;
    const actor: Actor = { kind: 'user', id: user.user, name };
    await storePassword(tx, { id: user.user, name }, hash, false, actor);
    if (request.publicKey !== undefined) {
      const added = await addKey(tx, name, request.publicKey, undefined, actor);
      if (typeof added !== 'string') return added;
    }
    const factors = request.publicKey === undefined ? ['password'] : ['password', 'key'];
    await record(tx, actor, {
      type: 'identity.enrolment.enrolled',
      about: { user: user.user },
      details: { user: name, factors },
    });
    return user;
  });
}

async function firstAdministrator(tx: Tx, name: string): Promise<Enrolled | EnrolRefusal> {
  if (!(await isEnrolmentOpen(tx))) return refuse('identity.code-wrong', 'there is an administrator by now');
  const user: UserId = newId();
  const taken = await tx.selectFrom('users').select('id').where('name', '=', name).executeTakeFirst();
  if (taken !== undefined) return refuse('identity.user-invalid', 'that name is taken');
  await tx
    .insertInto('users')
    .values({ id: user, name, expires_at: null, password_hash: null, password_changed_at: null, locked_until: null })
    .execute();
  await tx.insertInto('user_role').values({ user_id: user, role: 'administrator' }).execute();
  await record(tx, system, {
    type: 'identity.user.created',
    about: { user },
    details: { name, after: { roles: ['administrator'] } },
  });
  return { user, name, roles: ['administrator'] };
}

async function invited(tx: Tx, id: UserId, name: string): Promise<Enrolled | EnrolRefusal> {
  const user = await tx.selectFrom('users').select(['id', 'name']).where('id', '=', id).executeTakeFirst();
  if (user === undefined || user.name !== name) return refuse('identity.code-wrong', 'the code is for another user');
  const roles = await tx.selectFrom('user_role').select('role').where('user_id', '=', id).execute();
  return { user: id, name, roles: roles.map((row) => row.role) };
}

async function issue(tx: Tx, user: UserId | undefined, name: string, now: number, actor: Actor): Promise<Enrolment> {
  const code = Secret.fromText(spell(randomBytes(15)));
  const expiresAt = new Date(now + lifeMs);
  await tx
    .insertInto('user_enrolment')
    .values({ id: newId(), code_hash: hashOf(code), user_id: user ?? null, expires_at: expiresAt, used_at: null })
    .execute();
  await record(tx, actor, {
    type: 'identity.enrolment.created',
    about: { user },
    details: { user: name, expires: expiresAt.toISOString() },
  });
  return { code, expiresAt };
}

async function lockEnrolment(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('identity.enrolment'))`.execute(tx);
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** Crockford's base 32 in four groups of six: no letter that looks like a digit. */
function spell(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let out = '';
  for (let i = 0; i < 24; i++) {
    if (i > 0 && i % 6 === 0) out = `-${out}`;
    out = (alphabet[Number(bits & 31n)] ?? '') + out;
    bits >>= 5n;
  }
  return out;
}

/** Of what was meant rather than typed: case, dashes and blanks do not count. */
function hashOf(code: Secret): Buffer {
  const bare = code.length <= 256 ? code.revealText().toLowerCase().replace(/[\s-]/g, '') : '';
  return createHash('sha256').update('sallyport enrolment\0').update(bare).digest();
}

/** A refusal undoes what its transaction did. */
async function rollbackRefusals(
  db: Db,
  fn: (tx: Tx) => Promise<Enrolled | EnrolRefusal>,
): Promise<Enrolled | EnrolRefusal> {
  class Undo extends Error {
    readonly refusal: EnrolRefusal;
    constructor(refusal: EnrolRefusal) {
      super(refusal.code);
      this.refusal = refusal;
    }
  }
  try {
    return await inTransaction(db, async (tx) => {
      const answer = await fn(tx);
      if ('refused' in answer) throw new Undo(answer);
      return answer;
    });
  } catch (error) {
    if (error instanceof Undo) return error.refusal;
    throw error;
  }
}
