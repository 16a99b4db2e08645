/**
 * One-time passwords (RFC 6238) by otplib: six digits, thirty seconds, one step of drift either way. The seed is sealed
 * by the vault and leaves this room once, in the URI that is shown at enrolment. A step is taken once and none before it.
 */
import { randomBytes } from 'node:crypto';
import { generateURI, ScureBase32Plugin, verify } from 'otplib';
import { type Actor, record } from '../audit/audit.ts';
import { text } from '../base/bytes.ts';
import type { UserId } from '../base/ids.ts';
import { Secret } from '../base/secret.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import { mustFind } from './changes.ts';

/** What seals and opens seeds: the vault. */
export interface Sealer {
  sealBytes(context: string, bytes: Uint8Array): Promise<Uint8Array>;
  openSealed(context: string, sealed: Uint8Array): Promise<Secret>;
}

export type TotpAnswer = 'right' | 'wrong' | 'replayed';

const seedLength = 20;
const period = 30;
const issuer = 'Sallyport';

/**
 * Gives the user a new seed; from now on every login asks for its codes, and codes of an older seed are worth nothing.
 * Returns the otpauth URI, which holds the seed: it is shown once and cannot be had again.
 */
export async function enrolTotp(db: Db | Tx, sealer: Sealer, name: string, actor: Actor): Promise<Secret> {
  const user = await mustFind(db, name);
  using seed = new Secret(new Uint8Array(randomBytes(seedLength)));
  const sealed = Buffer.from(await sealer.sealBytes(contextOf(user.id), seed.reveal()));
  await inTransaction(db, async (tx) => {
    await tx
      .insertInto('user_totp')
      .values({ user_id: user.id, sealed, confirmed_at: null })
      .onConflict((conflict) => conflict.column('user_id').doUpdateSet({ sealed, confirmed_at: null, last_step: 0 }))
      .execute();
    await record(tx, actor, { type: 'identity.totp.enrolled', about: { user: user.id }, details: { name: user.name } });
  });
  const secret = new ScureBase32Plugin().encode(seed.reveal());
  return Secret.fromText(generateURI({ issuer, label: user.name, secret }));
}

/** Takes the second factor away. Returns whether there was one. */
export function removeTotp(db: Db | Tx, name: string, actor: Actor): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const user = await mustFind(tx, name);
    const done = await tx.deleteFrom('user_totp').where('user_id', '=', user.id).executeTakeFirst();
    if (done.numDeletedRows === 0n) return false;
    await record(tx, actor, {
      type: 'identity.user.changed',
      about: { user: user.id },
      details: { name: user.name, before: { totp: true }, after: { totp: false } },
    });
    return true;
  });
}

/** Checks a code at `now` (ms) and, if it is right, takes its step: of two logins with one code, one is `replayed`. */
export async function takeTotp(
  db: Db | Tx,
  sealer: Sealer,
  user: UserId,
  code: Secret,
  now: number,
): Promise<TotpAnswer> {
  const row = await db.selectFrom('user_totp').select('sealed').where('user_id', '=', user).executeTakeFirst();
  if (row === undefined) return 'wrong';
  const token = code.length <= 16 ? text(code.reveal()).replaceAll(' ', '') : '';
  if (!/^\d{6}$/.test(token)) return 'wrong';
  using seed = await sealer.openSealed(contextOf(user), new Uint8Array(row.sealed));
  const answer = await verify({ secret: seed.reveal(), token, epoch: Math.floor(now / 1000), epochTolerance: period });
  if (!answer.valid || !('timeStep' in answer)) return 'wrong';
  const taken = await db
    .updateTable('user_totp')
    .set((eb) => ({ last_step: answer.timeStep, confirmed_at: eb.fn.coalesce('confirmed_at', eb.val(new Date(now))) }))
    .where('user_id', '=', user)
    .where('last_step', '<', answer.timeStep)
    .executeTakeFirst();
  return taken.numUpdatedRows === 1n ? 'right' : 'replayed';
}

function contextOf(user: UserId): string {
  return `totp/${user}`;
}
