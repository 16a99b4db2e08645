/**
 * Logging in. A login takes factors one after another and ends in an Identity: the proof that this person, by these
 * factors, is here now. Only this file can make one.
 *
 * "This factor was right" and "the login is complete" are two facts: a right password of somebody who also has a
 * one-time password device is `partial`. Whoever is unknown, disabled, expired, locked or comes from elsewhere gets the
 * answer of a wrong password after the same work; the reason goes to the audit trail and nowhere else.
 */
import { type Actor, record } from '../audit/audit.ts';
import { canonicalAddress } from '../base/addresses.ts';
import type { Clock } from '../base/clock.ts';
import type { ConnectionTokenId, UserId } from '../base/ids.ts';
import type { Secret } from '../base/secret.ts';
import type { Db } from '../db/db.ts';
import type { NtlmClaim } from '../protocol/ntlm/ntlm.ts';
import { publickeySignedData, verifySignature } from '../protocol/ssh/ssh.ts';
import { provenToken, type UsedToken, useToken } from './connection-tokens.ts';
import type { IdentityErrorCode } from './errors.ts';
import {
  forgetAttempts,
  type LockoutPolicy,
  type Reservation,
  reserveAttempt,
  returnAttempt,
  usualLockout,
} from './lockout.ts';
import { checkPassword } from './password.ts';
import type { Role } from './rights.ts';
import { type Sealer, takeTotp } from './totp.ts';
import { type Bar, barOf, canonicalName, type User, userNamed } from './users.ts';

export type FactorKind = 'password' | 'publickey' | 'totp' | 'token';

/** Secrets stay the caller's to dispose. */
export type Factor =
  | { readonly kind: 'password'; readonly password: Secret }
  | { readonly kind: 'totp'; readonly code: Secret }
  /** A connection token, which stands for a login that was complete when it was made. */
  | { readonly kind: 'token'; readonly token: Secret }
  | {
      readonly kind: 'publickey';
      readonly algorithm: string;
      readonly blob: Uint8Array;
      readonly signature: Uint8Array;
      /** What was signed (RFC 4252 §7), in its parts; the bytes are put together here. */
      readonly sessionId: Uint8Array;
      /** The whole login name as the client sent it: `alice@root@web-01`. */
      readonly user: string;
      readonly service: string;
    };

export type Verdict =
  | { readonly kind: 'accepted'; readonly identity: Identity }
  | { readonly kind: 'partial'; readonly next: readonly FactorKind[] }
  | { readonly kind: 'refused'; readonly next: readonly FactorKind[] };

export interface LoginContext {
  readonly db: Db;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly lockout?: LockoutPolicy;
}

export interface LoginRequest {
  /** The user's name alone. */
  readonly user: string;
  /** Where the client comes from, without port. */
  readonly address: string;
  readonly protocol: string;
}

/** INVARIANT: constructed only after every factor that was asked for was right, for a user with nothing in his way. */
class ProvenIdentity {
  readonly #proven = true;
  readonly user: UserId;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly factors: readonly FactorKind[];
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The password has to be changed before anything else. Nothing to those who came without one. */
  readonly mustChange: boolean;
  /** The connection token that was used: it leads to one place. */
  readonly token: UsedToken | undefined;

  constructor(user: User, factors: readonly FactorKind[], address: string, at: number, token?: UsedToken) {
    this.user = user.id;
    this.name = user.name;
    this.roles = user.roles;
    this.factors = factors;
    this.address = address;
    this.at = at;
    this.token = token;
    this.mustChange = user.mustChange && factors.includes('password');
  }

  static is(value: unknown): value is ProvenIdentity {
    return typeof value === 'object' && value !== null && #proven in value && value.#proven;
  }
}

export type Identity = ProvenIdentity;

/** Whether a value is a genuine Identity; for the edge where handles are looked up. */
export function isIdentity(value: unknown): value is Identity {
  return ProvenIdentity.is(value);
}

/** The actor of the audit trail that this person is. */
export function actorOf(identity: Identity): Actor {
  return { kind: 'user', id: identity.user, name: identity.name, address: identity.address };
}

const firstFactors: Readonly<Record<string, readonly FactorKind[]>> = {
  ssh: ['publickey', 'password'],
  rdp: ['token', 'password'],
};
const anyFirst: readonly FactorKind[] = ['publickey', 'password'];
/** Of one login; the gate ends connections sooner. */
const mostAttempts = 20;

class OpenLogin {
  readonly context: LoginContext;
  readonly name: string;
  /** Canonical. */
  readonly address: string;
  readonly protocol: string;
  first: 'password' | 'publickey' | undefined;
  attempts = 0;
  over = false;
  /** The token whose proof the client gave: no other one is taken afterwards. */
  proven: ConnectionTokenId | undefined;
  /** Factors of one login are judged one after another. */
  turn: Promise<unknown> = Promise.resolve();

  constructor(context: LoginContext, request: LoginRequest) {
    this.context = context;
    this.name = canonicalName(request.user);
    this.address = canonicalAddress(request.address);
    this.protocol = request.protocol;
  }

  get next(): readonly FactorKind[] {
    if (this.over) return [];
    if (this.proven !== undefined) return ['token'];
    return this.first === undefined ? (firstFactors[this.protocol] ?? anyFirst) : ['totp'];
  }
}

export type Login = OpenLogin;

/** Begins a login. Asks nobody and tells nothing: what comes next is the same for every name. */
export function beginLogin(context: LoginContext, request: LoginRequest): Login {
  return new OpenLogin(context, request);
}

/** Whether a signature by this key would be looked at: it is a key of a user who might be let in. Proves nothing. */
export async function knowsKey(login: Login, blob: Uint8Array): Promise<boolean> {
  if (login.over || login.first !== undefined) return false;
  const now = login.context.clock.now();
  const user = await userNamed(login.context.db, login.name);
  return user !== undefined && barOf(user, login.address, now) === undefined && hasKey(user, blob, now);
}

/** Judges one factor. */
export function submitFactor(login: Login, factor: Factor): Promise<Verdict> {
  const verdict = login.turn.then(() => judge(login, factor));
  login.turn = verdict.catch(() => {});
  return verdict;
}

/**
 * Judges the proof of NTLM of a client that was given a connection token. Its session base key if one of the user's tokens
 * made it; the login goes on with the token itself. A wrong one counts like a wrong password.
 */
export function submitNtlm(login: Login, claim: NtlmClaim): Promise<Secret | undefined> {
  const key = login.turn.then(() => judgeNtlm(login, claim));
  login.turn = key.catch(() => {});
  return key;
}

async function judgeNtlm(login: Login, claim: NtlmClaim): Promise<Secret | undefined> {
  const { db, sealer, clock, lockout } = login.context;
  const now = clock.now();
  const user = login.over ? undefined : await userNamed(db, login.name);
  const bar = user === undefined ? 'unknown' : barOf(user, login.address, now);
  const letIn = bar === undefined ? user : undefined;
  const late = ++login.attempts > mostAttempts || !login.next.includes('token');
  const reservation = await reserveAttempt(db, letIn?.id, now, lockout ?? usualLockout);
  const judged = reservation === undefined || late ? undefined : letIn?.id;
  const found = await provenToken(db, sealer, judged, login.address, claim, now);
  if (found === undefined || found === 'over' || user === undefined || reservation === undefined) {
    const code = late ? 'identity.too-many-attempts' : bar === undefined ? 'identity.token-wrong' : barCode[bar];
    if (late) login.over = true;
    const counted = await unlessOver(db, user, reservation, found);
    await refused(login, user, { kind: 'token' }, { right: false, code, reservation: counted });
    return undefined;
  }
  await returnAttempt(db, user.id, reservation);
  login.proven = found.id;
  const actor: Actor = { kind: 'system', part: 'identity' };
  const details = { user: user.name, client: `${login.protocol} from ${login.address}` };
  await record(db, actor, { type: 'identity.token.proven', about: { user: user.id }, details });
  return found.sessionBaseKey;
}

/**
 * Whoever carried the login saw that somebody stands between it and the client. Ends the login and tells the audit
 * trail; it is nobody's wrong guess, so no attempt is counted, and the client's token stays as it was.
 */
export function interceptedLogin(login: Login): Promise<void> {
  const told = login.turn.then(async () => {
    login.over = true;
    const user = await userNamed(login.context.db, login.name);
    await refused(login, user, { kind: 'token' }, { right: false, code: 'identity.intercepted' });
  });
  login.turn = told.catch(() => {});
  return told;
}

interface Judgement {
  readonly right: boolean;
  readonly code: IdentityErrorCode;
  readonly reservation?: Reservation | undefined;
  readonly token?: UsedToken;
}

async function judge(login: Login, factor: Factor): Promise<Verdict> {
  const { db, clock } = login.context;
  if (login.over) return { kind: 'refused', next: [] };
  if (++login.attempts > mostAttempts) {
    login.over = true;
    return await refused(login, undefined, factor, { right: false, code: 'identity.too-many-attempts' });
  }
  // Read anew for each factor: who is disabled between two of them does not come in.
  const now = clock.now();
  const user = await userNamed(db, login.name);
  const bar = user === undefined ? 'unknown' : barOf(user, login.address, now);
  const judgement = await judgeFactor(login, factor, bar === undefined ? user : undefined, bar, now);
  if (!judgement.right || user === undefined || bar !== undefined) return await refused(login, user, factor, judgement);

  const needsTotp = user.factors.includes('totp');
  if ((factor.kind === 'password' || factor.kind === 'publickey') && needsTotp) {
    if (judgement.reservation !== undefined) await returnAttempt(db, user.id, judgement.reservation);
    login.first = factor.kind;
    return { kind: 'partial', next: login.next };
  }
  await forgetAttempts(db, user.id);
  const factors: FactorKind[] = factor.kind === 'totp' ? [login.first ?? 'password', 'totp'] : [factor.kind];
  const identity = new ProvenIdentity(user, factors, login.address, now, judgement.token);
  await record(db, actorOf(identity), {
    type: 'identity.login.succeeded',
    about: { user: user.id },
    details: { factors: factors.map(auditName), client: login.protocol },
  });
  login.over = true;
  return { kind: 'accepted', identity };
}

/** `user` is undefined for everybody who is not to be let in; the work is the same. */
async function judgeFactor(
  login: Login,
  factor: Factor,
  user: User | undefined,
  bar: Bar | 'unknown' | undefined,
  now: number,
): Promise<Judgement> {
  const { db, sealer, lockout } = login.context;
  const wrong = (code: IdentityErrorCode): Judgement => ({
    right: false,
    code: bar === undefined ? code : barCode[bar],
  });
  if (!login.next.includes(factor.kind)) return wrong('identity.factor-unexpected');
  switch (factor.kind) {
    case 'publickey': {
      const { algorithm, blob, sessionId, service } = factor;
      const data = publickeySignedData(sessionId, factor.user, service, algorithm, blob);
      const good = verifySignature(blob, algorithm, data, factor.signature) && namesUser(factor.user, login.name);
      const known = user !== undefined && hasKey(user, blob, now);
      if (good && known) return { right: true, code: 'identity.key-unknown' };
      return wrong(good ? 'identity.key-unknown' : 'identity.signature-wrong');
    }
    case 'password': {
      const reservation = await reserveAttempt(db, user?.id, now, lockout ?? usualLockout);
      const row = await db
        .selectFrom('users')
        .select('password_hash')
        .where('name', '=', login.name)
        .executeTakeFirst();
      const hash = user === undefined || reservation === undefined ? undefined : (row?.password_hash ?? undefined);
      const right = await checkPassword(factor.password, hash);
      if (right && reservation !== undefined) return { right, code: 'identity.password-wrong', reservation };
      if (reservation === undefined) return wrong('identity.user-locked');
      return { ...wrong('identity.password-wrong'), reservation };
    }
    case 'totp': {
      const reservation = await reserveAttempt(db, user?.id, now, lockout ?? usualLockout);
      if (user === undefined || reservation === undefined) return wrong('identity.user-locked');
      const answer = await takeTotp(db, sealer, user.id, factor.code, now);
      if (answer === 'right') return { right: true, code: 'identity.totp-wrong', reservation };
      return { ...wrong(answer === 'replayed' ? 'identity.totp-replayed' : 'identity.totp-wrong'), reservation };
    }
    case 'token': {
      const reservation = await reserveAttempt(db, user?.id, now, lockout ?? usualLockout);
      const judged = reservation === undefined ? undefined : user;
      const token = await useToken(db, judged, login.address, factor.token, login.proven, now);
      if (token !== undefined && token !== 'over' && reservation !== undefined)
        return { right: true, code: 'identity.token-wrong', reservation, token };
      const counted = await unlessOver(db, user, reservation, token);
      if (reservation === undefined) return wrong('identity.user-locked');
      return { ...wrong('identity.token-wrong'), reservation: counted };
    }
    default:
      return factor satisfies never;
  }
}

/**
 * A token that is over is no guess: its client tries again by itself with what it remembers, and must not lock its user
 * out. The attempt is given back, and the same statement runs for everybody else. Returns what still counts.
 */
async function unlessOver(
  db: Db,
  user: Pick<User, 'id'> | undefined,
  reservation: Reservation | undefined,
  token: unknown,
): Promise<Reservation | undefined> {
  const over = token === 'over' && reservation !== undefined;
  await returnAttempt(db, over ? user?.id : undefined, reservation ?? { locks: false });
  return over ? undefined : reservation;
}

const barCode: Readonly<Record<Bar | 'unknown', IdentityErrorCode>> = {
  unknown: 'identity.user-unknown',
  disabled: 'identity.user-disabled',
  expired: 'identity.user-expired',
  source: 'identity.source-outside',
  locked: 'identity.user-locked',
};

async function refused(
  login: Login,
  user: User | undefined,
  factor: Pick<Factor, 'kind'>,
  judgement: Judgement,
): Promise<Verdict> {
  const { db } = login.context;
  const actor: Actor = { kind: 'system', part: 'identity' };
  const about = { user: user?.id };
  await record(db, actor, {
    type: 'identity.login.refused',
    about,
    details: {
      // Names that nobody has may be passwords typed into the wrong line.
      user: user?.name ?? '(unknown)',
      factor: auditName(factor.kind),
      code: judgement.code,
      reason: `${factor.kind} from ${login.address}`,
      client: login.protocol,
    },
  });
  const { reservation } = judgement;
  if (user !== undefined && reservation?.locks === true) {
    const until = reservation.until?.toISOString() ?? '';
    await record(db, actor, {
      type: 'identity.login.locked',
      about,
      details: { user: user.name, failures: reservation.failures, until },
    });
  }
  return { kind: 'refused', next: login.next };
}

function hasKey(user: User, blob: Uint8Array, now: number): boolean {
  return user.keys.some(
    (key) => Buffer.compare(key.blob, blob) === 0 && (key.expiresAt === undefined || key.expiresAt.getTime() > now),
  );
}

/** Whether a signed login name begins with this user: a signature for one person is none for another. */
function namesUser(signed: string, name: string): boolean {
  const plain = canonicalName(signed).replaceAll('%40', '@').replaceAll('%2b', '+').replaceAll('%25', '%');
  return plain === name || plain.startsWith(`${name}@`) || plain.startsWith(`${name}+`);
}

function auditName(kind: FactorKind): 'password' | 'key' | 'totp' | 'token' {
  return kind === 'publickey' ? 'key' : kind;
}
