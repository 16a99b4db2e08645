/**
 * Sessions as rows: opening → live → ended. An Authorization opens one; ending is idempotent, because gate, kill and
 * recovery may all come to say so. The database holds the machine too (`session_transition`).
 */
import { type Selectable, sql } from 'kysely';
import { type Actor, record } from '../audit/audit.ts';
import type {
  AccountId,
  ConnectionTokenId,
  GateId,
  Id,
  RecordingId,
  SessionId,
  TargetId,
  UserId,
} from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import type { Tables } from '../db/tables.ts';
import { actorOf, revokeToken } from '../identity/identity.ts';
import type { Authorization } from './authorize.ts';
import { AccessError } from './errors.ts';
import { type RdpConditions, type RdpTerms, termsOf } from './plan/rdp-terms.ts';

/** NOTIFY channel: a session is to end. The payload is `SessionKill` as JSON. */
export const sessionKill = 'session_kill';

export interface SessionKill {
  readonly session: SessionId;
  readonly gate: GateId;
  readonly reason: string;
}

interface Common {
  readonly id: SessionId;
  /** Names as they were when the session was opened; ids are undefined once the object is deleted. */
  readonly user: string;
  readonly userId: UserId | undefined;
  readonly account: string;
  readonly accountId: AccountId | undefined;
  readonly target: string;
  readonly targetId: TargetId | undefined;
  readonly serviceId: Id<'service'> | undefined;
  readonly protocol: 'ssh' | 'rdp';
  readonly subprotocols: readonly string[];
  readonly recordContent: boolean;
  /** Of a desktop, as they were when it was opened. */
  readonly rdp: RdpTerms | undefined;
  readonly gate: GateId;
  readonly peerAddress: string;
  readonly recording: RecordingId | undefined;
  readonly openedAt: Date;
  readonly until: Date | undefined;
  /** Somebody wants it to end, and why. */
  readonly killReason: string | undefined;
}

export type SessionRecord =
  | (Common & { readonly state: 'opening' })
  | (Common & { readonly state: 'live'; readonly liveAt: Date })
  | (Common & {
      readonly state: 'ended';
      readonly liveAt: Date | undefined;
      readonly endedAt: Date;
      readonly outcome: string;
      readonly detail: string | undefined;
    });

export interface OpenRequest {
  readonly gate: GateId;
  readonly recording?: RecordingId;
}

/**
 * Opens the row of a session. Throws `access.authorization-used` if the authorization has opened one before, and
 * `access.session-ended` if its connection token was taken back meanwhile. A token has one session at a time: what it
 * opened before is killed, because its client has come back.
 */
export function openSession(
  db: Db | Tx,
  authorization: Authorization,
  { gate, recording }: OpenRequest,
  now: number,
): Promise<SessionRecord> {
  const { identity, account, target, service, until } = authorization;
  return inTransaction(db, async (tx) => {
    if (identity.token !== undefined) await endEarlier(tx, identity.token.id, actorOf(identity));
    const row = await tx
      .insertInto('session')
      .values({
        id: newId(),
        authorization_id: authorization.id,
        user_id: identity.user,
        user_name: identity.name,
        account_id: account.id,
        account_name: account.name,
        target_id: target.id,
        target_name: target.name,
        service_id: service.id,
        protocol: service.protocol,
        subprotocols: [...authorization.subprotocols],
        record_content: authorization.recordContent,
        gate_id: gate,
        peer_address: identity.address,
        opened_at: new Date(now),
        live_at: null,
        ended_at: null,
        outcome: null,
        detail: null,
        recording_id: recording ?? null,
        until: until ?? null,
        kill_reason: null,
        connection_token_id: identity.token?.id ?? null,
        rdp: service.protocol === 'rdp' ? JSON.stringify(authorization.rdp) : null,
      })
      .onConflict((conflict) => conflict.column('authorization_id').doNothing())
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw new AccessError('access.authorization-used');
    await record(tx, actorOf(identity), {
      type: 'session.opened',
      about: aboutOf(row),
      details: { selector: account.label, protocol: service.protocol },
    });
    return sessionOf(row);
  });
}

async function endEarlier(tx: Tx, token: ConnectionTokenId, actor: Actor): Promise<void> {
  // Two that open at once wait for each other here, and for a kill: the token goes before its sessions, everywhere.
  const there = await lockToken(tx, token);
  if (!there) throw new AccessError('access.session-ended', 'its connection token was taken back');
  const earlier = await tx
    .selectFrom('session')
    .selectAll()
    .where('connection_token_id', '=', token)
    .where('state', '<>', 'ended')
    .forUpdate()
    .execute();
  for (const row of earlier) await askToEnd(tx, row, 'the same client came back', actor);
}

async function lockToken(tx: Tx, token: ConnectionTokenId): Promise<boolean> {
  const row = await tx
    .selectFrom('connection_token')
    .select('id')
    .where('id', '=', token)
    .forUpdate()
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * The target took the credential. Throws `access.session-ended` if the session has ended meanwhile: then nothing may
 * flow. What both legs agreed on is for the caller to audit.
 */
export async function sessionLive(db: Db | Tx, id: SessionId, now: number): Promise<void> {
  const done = await db
    .updateTable('session')
    .set({ state: 'live', live_at: new Date(now) })
    .where('id', '=', id)
    .where('state', '=', 'opening')
    .executeTakeFirst();
  if (done.numUpdatedRows !== 1n) throw new AccessError('access.session-ended', id);
}

export interface Outcome {
  /** `closed`, `killed`, `expired`, `refused`, `lost`…: one word. */
  readonly outcome: string;
  readonly detail?: string;
  readonly bytesIn?: number;
  readonly bytesOut?: number;
}

/** Throws `access.session-ended` if the session has ended; it cannot end before the transaction does. */
export async function demandSession(tx: Tx, id: SessionId): Promise<void> {
  const row = await tx
    .selectFrom('session')
    .select('id')
    .where('id', '=', id)
    .where('state', '<>', 'ended')
    .forShare()
    .executeTakeFirst();
  if (row === undefined) throw new AccessError('access.session-ended', id);
}

/** Ends a session. True for the one that ended it; whoever comes later changes nothing and gets false. */
export function endSession(db: Db | Tx, id: SessionId, how: Outcome, now: number): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const row = await tx
      .updateTable('session')
      .set({ state: 'ended', ended_at: new Date(now), outcome: how.outcome, detail: how.detail ?? null })
      .where('id', '=', id)
      .where('state', '<>', 'ended')
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) return false;
    await record(
      tx,
      { kind: 'gate', id: row.gate_id as GateId },
      {
        type: 'session.ended',
        about: aboutOf(row),
        details: {
          outcome: how.outcome,
          seconds: Math.round((now - row.opened_at.getTime()) / 1000),
          ...(how.detail === undefined ? {} : { reason: how.detail }),
          ...(how.bytesIn === undefined ? {} : { bytesIn: how.bytesIn }),
          ...(how.bytesOut === undefined ? {} : { bytesOut: how.bytesOut }),
        },
      },
    );
    return true;
  });
}

/**
 * Asks the gate of a session to end it (NOTIFY `sessionKill`, at commit), and takes its connection token back, or its
 * client would come back by itself. False if it has ended already. Asked again it notifies again, in case the first was
 * lost, and keeps the first reason.
 */
export function killSession(db: Db | Tx, id: SessionId, reason: string, actor: Actor): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const { token } =
      (await tx.selectFrom('session').select('connection_token_id as token').where('id', '=', id).executeTakeFirst()) ??
      {};
    if (token !== undefined && token !== null) await lockToken(tx, token);
    const row = await tx.selectFrom('session').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
    if (row === undefined) throw new AccessError('access.session-unknown', id);
    if (row.state === 'ended') return false;
    await askToEnd(tx, row, reason, actor);
    if (row.connection_token_id !== null)
      await revokeToken(tx, row.connection_token_id, row.user_name, 'its session was killed', actor);
    return true;
  });
}

async function askToEnd(tx: Tx, row: Row, reason: string, actor: Actor): Promise<void> {
  const words = row.kill_reason ?? reason.slice(0, 500);
  if (row.kill_reason === null) {
    await tx.updateTable('session').set({ kill_reason: words }).where('id', '=', row.id).execute();
    await record(tx, actor, { type: 'session.killed', about: aboutOf(row), details: { reason: words } });
  }
  const kill: SessionKill = { session: row.id, gate: row.gate_id as GateId, reason: words };
  await sql`select pg_notify(${sessionKill}, ${JSON.stringify(kill)})`.execute(tx);
}

/** One session, or undefined. */
export async function sessionById(db: Db | Tx, id: SessionId): Promise<SessionRecord | undefined> {
  const row = await db.selectFrom('session').selectAll().where('id', '=', id).executeTakeFirst();
  return row && sessionOf(row);
}

/** What has not ended, oldest first; of one gate, or of all. */
export async function sessionsInProgress(db: Db | Tx, gate?: GateId): Promise<SessionRecord[]> {
  let query = db.selectFrom('session').selectAll().where('state', '<>', 'ended').orderBy('opened_at');
  if (gate !== undefined) query = query.where('gate_id', '=', gate);
  return (await query.execute()).map(sessionOf);
}

/** Sessions, newest first; `live`: only those that have not ended. */
export async function sessions(
  db: Db | Tx,
  options: { readonly live: boolean; readonly limit?: number },
): Promise<SessionRecord[]> {
  let query = db.selectFrom('session').selectAll().orderBy('opened_at', 'desc').orderBy('id', 'desc');
  if (options.live) query = query.where('state', '<>', 'ended');
  const rows = await query.limit(options.limit ?? 1000).execute();
  return rows.map(sessionOf);
}

/** The wish of `killReason` that a gate may have missed, after it or the keeper was away. */
export async function killsWaiting(db: Db | Tx): Promise<SessionKill[]> {
  const rows = await db
    .selectFrom('session')
    .select(['id', 'gate_id', 'kill_reason'])
    .where('state', '<>', 'ended')
    .where('kill_reason', 'is not', null)
    .execute();
  return rows.map((row) => ({ session: row.id, gate: row.gate_id as GateId, reason: row.kill_reason ?? '' }));
}

type Row = Selectable<Tables['session']>;

function aboutOf(row: Row) {
  return {
    session: row.id,
    user: row.user_id ?? undefined,
    account: row.account_id ?? undefined,
    target: row.target_id ?? undefined,
    recording: row.recording_id ?? undefined,
    gate: row.gate_id as GateId,
  };
}

function sessionOf(row: Row): SessionRecord {
  const common: Common = {
    id: row.id,
    user: row.user_name,
    userId: row.user_id ?? undefined,
    account: row.account_name,
    accountId: row.account_id ?? undefined,
    target: row.target_name,
    targetId: row.target_id ?? undefined,
    serviceId: row.service_id ?? undefined,
    protocol: row.protocol === 'rdp' ? 'rdp' : 'ssh',
    subprotocols: row.subprotocols,
    recordContent: row.record_content,
    // Terms are conditions of which nothing was left out but what has no bound.
    rdp: row.rdp === null ? undefined : termsOf([row.rdp as RdpConditions]),
    gate: row.gate_id as GateId,
    peerAddress: row.peer_address,
    recording: row.recording_id ?? undefined,
    openedAt: row.opened_at,
    until: row.until ?? undefined,
    killReason: row.kill_reason ?? undefined,
  };
  const liveAt = row.live_at ?? undefined;
  switch (row.state) {
    case 'opening':
      return { ...common, state: 'opening' };
    case 'live':
      return { ...common, state: 'live', liveAt: liveAt ?? row.opened_at };
    case 'ended':
      return {
        ...common,
        state: 'ended',
        liveAt,
        endedAt: row.ended_at ?? row.opened_at,
        outcome: row.outcome ?? '',
        detail: row.detail ?? undefined,
      };
    default:
      return row.state satisfies never;
  }
}
