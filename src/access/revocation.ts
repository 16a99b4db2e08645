/**
 * Revocation acts on what runs: sessions are judged again by the function that let them begin. The keeper calls this
 * after every NOTIFY `access_changed`, after a lost connection, and on a timer for what only time changes.
 */
import type { Actor } from '../audit/audit.ts';
import type { AccountId, GateId, SessionId } from '../base/ids.ts';
import type { Db } from '../db/db.ts';
import { type Target, targetMemberships, targets } from '../estate/estate.ts';
import { barOf, liveTokens, pruneTokens, revokeToken, type User, usersById } from '../identity/identity.ts';
import { accountsOf } from '../vault/vault.ts';
import { grantsOf } from './grants.ts';
import { evaluate, type Grant, type Zones } from './plan/evaluate.ts';
import { isStricter } from './plan/rdp-terms.ts';
import { killSession, type SessionRecord, sessionsInProgress } from './sessions.ts';
import { zoneOffset } from '../base/zones.ts';

export interface Ending {
  readonly session: SessionId;
  readonly gate: GateId;
  /** For the person and the audit trail. */
  readonly reason: string;
}

interface Standing {
  readonly users: readonly User[];
  readonly targets: readonly Target[];
  readonly memberships: Awaited<ReturnType<typeof targetMemberships>>;
  readonly accounts: ReadonlySet<AccountId>;
  readonly grants: readonly Grant[];
}

/** Which running sessions would not be allowed any more at `now` (ms), and why. Changes nothing. */
export async function sessionsToEnd(db: Db, now: number): Promise<Ending[]> {
  const running = await sessionsInProgress(db);
  if (running.length === 0) return [];
  const ids = new Set(running.flatMap(({ userId }) => (userId === undefined ? [] : [userId])));
  const standing: Standing = {
    users: await usersById(db, [...ids]),
    targets: await targets(db),
    memberships: await targetMemberships(db),
    accounts: new Set((await accountsOf(db)).map((account) => account.id)),
    grants: await grantsOf(db),
  };
  return running.flatMap((session) => {
    const reason = whyEnd(session, standing, now, zoneOffset);
    return reason === undefined ? [] : [{ session: session.id, gate: session.gate, reason }];
  });
}

/** Kills what `sessionsToEnd` names, takes back connection tokens that lead nowhere now, and says how many it killed. */
export async function endRevoked(db: Db, now: number): Promise<number> {
  const actor: Actor = { kind: 'system', part: 'access' };
  await revokeTokens(db, now, actor);
  const endings = await sessionsToEnd(db, now);
  for (const { session, reason } of endings) await killSession(db, session, reason, actor);
  return endings.length;
}

/** A token whose user, place or grant is gone is taken back, so that it is worth nothing when they return. */
async function revokeTokens(db: Db, now: number, actor: Actor): Promise<void> {
  const tokens = await liveTokens(db, now);
  if (tokens.length > 0) {
    const people = await usersById(db, [...new Set(tokens.map((token) => token.user))]);
    const [places, memberships, grants] = [await targets(db), await targetMemberships(db), await grantsOf(db)];
    for (const token of tokens) {
      const user = people.find((at) => at.id === token.user);
      const service = places.find((at) => at.id === token.target)?.services.find((at) => at.id === token.service);
      const protocol = service?.protocol;
      const wish = {
        groups: user?.groups.map((group) => group.id) ?? [],
        account: token.account,
        target: token.target,
        targetGroups: memberships.filter((at) => at.target === token.target).map((at) => at.group),
      };
      const stands =
        user !== undefined &&
        !user.disabled &&
        (protocol === 'ssh' || protocol === 'rdp') &&
        evaluate(grants, { ...wish, protocol }, now, zoneOffset).allowed;
      if (!stands) await revokeToken(db, token.id, user?.name ?? '', 'the right that it was made for has gone', actor);
    }
  }
  await pruneTokens(db, now);
}

function whyEnd(
  session: SessionRecord,
  { users, targets, memberships, accounts, grants }: Standing,
  now: number,
  zones: Zones,
): string | undefined {
  if (session.until !== undefined && session.until.getTime() <= now) return 'the time of this session is over';
  const user = users.find((at) => at.id === session.userId);
  if (user === undefined) return 'the user was removed';
  // Only what happened to the user: a lock keeps others out and throws nobody out.
  const bar = barOf({ ...user, lockedUntil: undefined }, session.peerAddress, now);
  if (bar === 'disabled') return 'the user was disabled';
  if (bar === 'expired') return 'the user has expired';
  if (bar === 'source') return 'the user may not come from here any more';
  const target = targets.find((at) => at.id === session.targetId);
  if (target === undefined) return 'the target was removed';
  if (session.accountId === undefined || !accounts.has(session.accountId)) return 'the account was removed';
  if (target.disabled) return 'the target was disabled';
  const decision = evaluate(
    grants,
    {
      groups: user.groups.map((group) => group.id),
      account: session.accountId,
      target: target.id,
      targetGroups: memberships.filter((at) => at.target === target.id).map((at) => at.group),
      protocol: session.protocol,
      since: session.openedAt.getTime(),
    },
    now,
    zones,
  );
  if (!decision.allowed) return 'the right to be here was withdrawn';
  if (session.subprotocols.some((what) => !decision.subprotocols.includes(what))) return 'the rights here were reduced';
  if (session.rdp !== undefined && isStricter(decision.rdp, session.rdp)) return 'the conditions here became stricter';
  return undefined;
}
