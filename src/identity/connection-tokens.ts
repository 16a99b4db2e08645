/**
 * Connection tokens: what a person types as password of a client that knows nothing else, such as one for RDP. One is
 * bound to a user and one place, lives for minutes and opens one session. Tokens are of identity, because they prove who
 * somebody is; whether he may go there is decided anew at every use, by access.
 *
 * INVARIANT: a token is consumed by one login. Only its own client comes back with it, from the same address, for two
 * minutes or while a session of it lives, and for twelve hours at most: clients of RDP reconnect with the password that
 * they remember. It has one session at a time (access/sessions.ts). Stored are a SHA-256, which finds 140 random bits
 * and cannot be turned around, and the NT hash, sealed: NTLM needs it.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { ExpressionBuilder } from 'kysely';
import { type Actor, record } from '../audit/audit.ts';
import { canonicalAddress } from '../base/addresses.ts';
import { text } from '../base/bytes.ts';
import { type Refusal, refuse } from '../base/errors.ts';
import type { AccountId, ConnectionTokenId, Id, TargetId, UserId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import { Secret } from '../base/secret.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import type { Tables } from '../db/tables.ts';
import { type NtlmClaim, ntHash, ntlmVerdict } from '../protocol/ntlm/ntlm.ts';
import { identityErrors } from './errors.ts';
import type { Sealer } from './totp.ts';

/** Where a token leads, and nowhere else. */
export interface TokenPlace {
  readonly target: TargetId;
  readonly account: AccountId;
  readonly service: Id<'service'>;
}

export interface MintRequest extends TokenPlace {
  readonly user: UserId;
  readonly userName: string;
  /** For the audit trail: `root@win-01`, and the service's name. */
  readonly label: string;
  readonly serviceName: string;
  /** The only address that it may be used from. */
  readonly source?: string;
  readonly minutes: number;
}

export interface Minted {
  readonly id: ConnectionTokenId;
  /** Shown once. */
  readonly token: Secret;
  readonly expiresAt: Date;
}

export interface UsedToken {
  readonly id: ConnectionTokenId;
  readonly place: TokenPlace;
  /** Its own client came back with it. */
  readonly reconnect: boolean;
}

export const usualMinutes = 10;
export const mostMinutes = 60;
/** Of one user at a time. */
export const mostTokens = 20;
/** So many proofs are tried for every name, whether somebody has tokens or not. */
const tries = 24;
const graceMs = 2 * 60 * 1000;
/** Of a token that was used, however long its session lasts. */
const mostConsumedMs = 12 * 60 * 60 * 1000;
/** From its making: longer than any token can be of use, so that one that is over is known for what it was. */
const keptMs = 24 * 60 * 60 * 1000;
/** No l and o, which look like other letters. */
const letters = 'abcdefghijkmnpqrstuvwxyz23456789';
const groups = 7;
const perGroup = 4;

/** A new token: 28 letters of five bits, in groups of four, as it is typed and hashed. */
export function newToken(): Secret {
  const random = randomBytes(groups * perGroup);
  const text = new Uint8Array(groups * (perGroup + 1) - 1).fill(0x2d);
  for (let i = 0; i < random.length; i++)
    text[i + Math.floor(i / perGroup)] = letters.charCodeAt((random[i] ?? 0) & 31);
  random.fill(0);
  return new Secret(text);
}

/**
 * Makes a token. Refused with `identity.token-limit` if the user has as many as may live at a time, and with
 * `identity.token-minutes`. The caller has asked access whether the user may go there.
 */
export function mintToken(
  db: Db | Tx,
  sealer: Sealer,
  request: MintRequest,
  now: number,
  actor: Actor,
): Promise<Minted | Refusal<'identity.token-limit' | 'identity.token-minutes'>> {
  const { user, minutes, source } = request;
  return inTransaction(db, async (tx) => {
    if (!Number.isInteger(minutes) || minutes < 1 || minutes > mostMinutes)
      return refuse('identity.token-minutes', identityErrors['identity.token-minutes'].meaning);
    // Two who mint at once wait for each other: both must not be the twentieth.
    await tx.selectFrom('users').select('id').where('id', '=', user).forUpdate().executeTakeFirst();
    await pruneTokens(tx, now);
    const live = await tx
      .selectFrom('connection_token')
      .select((eb) => eb.fn.countAll<string>().as('count'))
      .where('user_id', '=', user)
      .where('consumed_at', 'is', null)
      .where('expires_at', '>', new Date(now))
      .executeTakeFirst();
    if (Number(live?.count ?? 0) >= mostTokens)
      return refuse('identity.token-limit', identityErrors['identity.token-limit'].meaning);
    const id = newId<ConnectionTokenId>();
    const expiresAt = new Date(now + minutes * 60_000);
    const token = newToken();
    using hash = ntHash(token);
    await tx
      .insertInto('connection_token')
      .values({
        id,
        user_id: user,
        target_id: request.target,
        account_id: request.account,
        service_id: request.service,
        lookup: lookupOf(token),
        nt_hash: Buffer.from(await sealer.sealBytes(contextOf(id), hash.reveal())),
        source: source === undefined ? null : canonicalAddress(source),
        created_at: new Date(now),
        expires_at: expiresAt,
        consumed_at: null,
        consumed_from: null,
      })
      .execute();
    await record(tx, actor, {
      type: 'identity.token.minted',
      about: { user, target: request.target, account: request.account },
      details: {
        user: request.userName,
        account: request.label,
        service: request.serviceName,
        expires: expiresAt.toISOString(),
        ...(source === undefined ? {} : { from: source }),
      },
    });
    return { id, token, expiresAt };
  });
}

/** A token of this user that would have been right at another time, or from another address: no guess, and no way in. */
export type Over = 'over';

/**
 * Which of the user's tokens, usable from `address` now, made this claim, and its session base key. The work is the same
 * for everybody, nobody (`user` undefined) included. Consumes nothing.
 */
export async function provenToken(
  db: Db,
  sealer: Sealer,
  user: UserId | undefined,
  address: string,
  claim: NtlmClaim,
  now: number,
): Promise<{ readonly id: ConnectionTokenId; readonly sessionBaseKey: Secret } | Over | undefined> {
  const rows = await tokensOf(db, user, address, now)
    .orderBy('usable', 'desc')
    .orderBy('created_at', 'desc')
    .limit(tries)
    .execute();
  let found: { id: ConnectionTokenId; sessionBaseKey: Secret } | Over | undefined;
  const nothing = new Uint8Array(16);
  for (let at = 0; at < tries; at++) {
    const row = rows[at];
    if (row === undefined) {
      await sealer.sealBytes('connection-token/nobody', nothing);
      ntlmVerdict(undefined, claim);
      continue;
    }
    using hash = await sealer.openSealed(contextOf(row.id), new Uint8Array(row.nt_hash));
    const key = ntlmVerdict(hash.reveal(), claim);
    if (key === undefined) continue;
    found = row.usable ? { id: row.id, sessionBaseKey: new Secret(key) } : 'over';
  }
  return found;
}

/**
 * Uses the token up, if it is this user's and may be used from `address` now; of two logins that bring it at once one
 * gets it. `only`: the token whose proof the client gave before.
 */
export function useToken(
  db: Db | Tx,
  user: { readonly id: UserId; readonly name: string } | undefined,
  address: string,
  token: Secret,
  only: ConnectionTokenId | undefined,
  now: number,
): Promise<UsedToken | Over | undefined> {
  return inTransaction(db, async (tx) => {
    const row = await tokensOf(tx, user?.id, address, now)
      .where('lookup', '=', lookupOf(token))
      .forUpdate()
      .executeTakeFirst();
    if (row?.usable === false) return 'over';
    if (row === undefined || user === undefined || (only !== undefined && row.id !== only)) return undefined;
    const reconnect = row.consumed_at !== null;
    if (!reconnect)
      await tx
        .updateTable('connection_token')
        .set({ consumed_at: new Date(now), consumed_from: address })
        .where('id', '=', row.id)
        .execute();
    const place = { target: row.target_id, account: row.account_id, service: row.service_id };
    const about = { user: user.id, target: row.target_id, account: row.account_id };
    const actor: Actor = { kind: 'user', id: user.id, name: user.name, address };
    await record(tx, actor, { type: 'identity.token.used', about, details: { user: user.name, reconnect } });
    return { id: row.id, place, reconnect };
  });
}

export interface LiveToken extends TokenPlace {
  readonly id: ConnectionTokenId;
  readonly user: UserId;
}

/** Tokens that can still be used, or used again by their own clients, of everybody. */
export async function liveTokens(db: Db | Tx, now: number): Promise<LiveToken[]> {
  const rows = await db
    .selectFrom('connection_token')
    .selectAll()
    .where((eb) => alive(eb, now))
    .execute();
  return rows.map((row) => ({
    id: row.id,
    user: row.user_id,
    target: row.target_id,
    account: row.account_id,
    service: row.service_id,
  }));
}

/** Takes a token back. Returns whether it was there. */
export function revokeToken(
  db: Db | Tx,
  id: ConnectionTokenId,
  userName: string,
  reason: string,
  actor: Actor,
): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const gone = await tx
      .deleteFrom('connection_token')
      .where('id', '=', id)
      .returning(['user_id', 'target_id', 'account_id'])
      .executeTakeFirst();
    if (gone === undefined) return false;
    const about = { user: gone.user_id, target: gone.target_id, account: gone.account_id };
    await record(tx, actor, { type: 'identity.token.revoked', about, details: { user: userName, reason } });
    return true;
  });
}

/** Removes what nobody could use any more for hours; until then it is known for a token that is over. */
export async function pruneTokens(db: Db | Tx, now: number): Promise<number> {
  const done = await db
    .deleteFrom('connection_token')
    .where('created_at', '<=', new Date(now - keptMs))
    .executeTakeFirst();
  return Number(done.numDeletedRows);
}

const nobody = '00000000-0000-7000-8000-000000000000' as UserId;

/** The tokens of a user, and whether each would be taken from `address` at `now`. */
function tokensOf(db: Db | Tx, user: UserId | undefined, address: string, now: number) {
  return db
    .selectFrom('connection_token')
    .selectAll()
    .select((eb) =>
      eb
        .and([
          alive(eb, now),
          eb.or([eb('source', 'is', null), eb('source', '=', address)]),
          eb.or([eb('consumed_from', 'is', null), eb('consumed_from', '=', address)]),
        ])
        .as('usable'),
    )
    .where('user_id', '=', user ?? nobody);
}

/** Not used yet and not too late; or used, and its client may come back. */
function alive(eb: ExpressionBuilder<Tables, 'connection_token'>, now: number) {
  return eb.or([
    eb.and([eb('consumed_at', 'is', null), eb('expires_at', '>', new Date(now))]),
    eb.and([
      // Never unknown, which would be neither yes nor no.
      eb('consumed_at', 'is not', null),
      eb('consumed_at', '>', new Date(now - mostConsumedMs)),
      eb.or([
        eb('consumed_at', '>', new Date(now - graceMs)),
        eb.exists(
          eb
            .selectFrom('session')
            .select('session.id')
            .whereRef('session.connection_token_id', '=', 'connection_token.id')
            .where('session.state', '<>', 'ended'),
        ),
      ]),
    ]),
  ]);
}

/** Over the letters alone: whoever types it leaves hyphens out, or writes capitals. NTLM forgives neither. */
function lookupOf(token: Secret): Buffer {
  const plain = token.length <= 256 ? text(token.reveal()).toLowerCase().replaceAll(/[\s-]/g, '') : '';
  return createHash('sha256').update(plain).digest();
}

function contextOf(id: ConnectionTokenId): string {
  return `connection-token/${id}`;
}
