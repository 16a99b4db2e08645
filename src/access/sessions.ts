/**
 * Sessions as rows: opening → live → ended. An Authorization opens one; ending is idempotent, because gate, kill and
 * recovery may all come to say so. The database holds the machine too (`session_transition`).
 */
import { type Selectable, sql } from 'kysely';
import { type Actor, record } from '../audit/audit.ts';
import { type Refusal, refuse } from '../base/errors.ts';
import type { AccountId, GateId, RecordingId, SessionId, TargetId, UserId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import type { Tables } from '../db/tables.ts';
import { actorOf } from '../identity/identity.ts';
import type { Authorization } from './authorize.ts';
import { AccessError, accessErrors } from './errors.ts';

/** NOTIFY channel: a session is to end. The payload is `SessionKill` as JSON. */
export const sessionKill = 'session_kill';

export interface SessionKill {
  readonly session: SessionId;
  readonly gate: string;
  readonly reason: string;
}

interface Common {
  readonly id: SessionId;
  readonly user: { readonly id: UserId | undefined; readonly name: string };
  readonly account: { readonly id: AccountId | undefined; readonly name: string };
  readonly target: { readonly id: TargetId | undefined; readonly name: string };
  readonly protocol: 'ssh' | 'rdp';
  readonly subprotocols: readonly string[];
  readonly recordContent: boolean;
  readonly gate: string;
  readonly peer: string;
  readonly recording: RecordingId | undefined;
  readonly openedAt: Date;
  readonly until: Date | undefined;
  /** Somebody wants it to end, and why. */
  readonly killReason: string | undefined;
}

export type Session =
  | (Common & { readonly state: 'opening' })
  | (Common & { readonly state: 'live'; readonly liveAt: Date })
  | (Common & {
      readonly state: 'ended';
      readonly liveAt: Date | undefined;
      readonly endedAt: Date;
      readonly outcome: string;
      readonly detail: string | undefined;
    });

/**
 * Opens the row of a session. Throws `access.authorization-used` if the authorization has opened one before; refused
 * when its time is over. `recording` may be given now or with `setRecording`.
 */
export async function openSession(
  db: Db | Tx,
  authorization: Authorization,
  gate: GateId,
  recording: RecordingId | undefined,
  now: number,
): Promise<SessionId | Refusal<'access.refused'>> {
  if (!authorization.use()) throw new AccessError('access.authorization-used');
  if (authorization.until !== undefined && authorization.until <= now) {
    return refuse('access.refused', accessErrors['access.refused'].meaning);
  }
  const { identity, account, target, service } = authorization;
  const id: SessionId = newId();
  await inTransaction(db, async (tx) => {
    await tx
      .insertInto('session')
      .values({
        id,
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
        until: authorization.until === undefined ? null : new Date(authorization.until),
        kill_reason: null,
      })
      .execute();
    await record(tx, actorOf(identity), {
      type: 'session.opened',
      about: { session: id, user: identity.user, account: account.id, target: target.id, gate, recording },
      details: { selector: account.label, protocol: service.protocol },
    });
  });
  return id;
}

/** Notes which recording is this session's. */
export async function setRecording(db: Db | Tx, id: SessionId, recording: RecordingId): Promise<void> {
  await db.updateTable('session').set({ recording_id: recording }).where('id', '=', id).execute();
}

/** What both legs agreed on, for the audit trail. */
export interface Legs {
  readonly address?: string;
  readonly hostKey?: string;
  readonly front?: Readonly<Record<string, string>>;
  readonly back?: Readonly<Record<string, string>>;
}

/** The target took the credential. False if the session has ended meanwhile: then nothing may flow. */
export function sessionLive(db: Db | Tx, id: SessionId, legs: Legs, now: number): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const row = await tx
      .updateTable('session')
      .set({ state: 'live', live_at: new Date(now) })
      .where('id', '=', id)
      .where('state', '=', 'opening')
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) return false;
    await record(
      tx,
      { kind: 'gate', id: row.gate_id as GateId },
      {
        type: 'session.started',
        about: aboutOf(row),
        details: { ...legs },
      },
    );
    return true;
  });
}

export interface Outcome {
  /** `closed`, `killed`, `expired`, `refused`, `lost`…: one word. */
  readonly outcome: string;
  readonly detail?: string;
  readonly bytesIn?: number;
  readonly bytesOut?: number;
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
 * Asks the gate of a session to end it (NOTIFY `sessionKill`, at commit). False if it has ended already. Asked again it
 * notifies again, in case the first was lost, and keeps the first reason.
 */
export function killSession(db: Db | Tx, id: SessionId, reason: string, actor: Actor): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const row = await tx.selectFrom('session').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
    if (row === undefined) throw new AccessError('access.session-unknown', id);
    if (row.state === 'ended') return false;
    const words = row.kill_reason ?? reason.slice(0, 500);
    if (row.kill_reason === null) {
      await tx.updateTable('session').set({ kill_reason: words }).where('id', '=', id).execute();
      await record(tx, actor, { type: 'session.killed', about: aboutOf(row), details: { reason: words } });
    }
    const kill: SessionKill = { session: id, gate: row.gate_id, reason: words };
    await sql`select pg_notify(${sessionKill}, ${JSON.stringify(kill)})`.execute(tx);
    return true;
  });
}

/** One session, or undefined. */
export async function sessionById(db: Db | Tx, id: SessionId): Promise<Session | undefined> {
  const row = await db.selectFrom('session').selectAll().where('id', '=', id).executeTakeFirst();
  return row && sessionOf(row);
}

/** What runs on one gate: opening and live sessions. */
export async function sessionsOf(db: Db | Tx, gate: string): Promise<Session[]> {
  const rows = await db
    .selectFrom('session')
    .selectAll()
    .where('gate_id', '=', gate)
    .where('state', '<>', 'ended')
    .execute();
  return rows.map(sessionOf);
}

/** Sessions, newest first; `live`: only those that have not ended. */
export async function sessions(
  db: Db | Tx,
  options: { readonly live: boolean; readonly limit?: number },
): Promise<Session[]> {
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
  return rows.map((row) => ({ session: row.id, gate: row.gate_id, reason: row.kill_reason ?? '' }));
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

function sessionOf(row: Row): Session {
  const common: Common = {
    id: row.id,
    user: { id: row.user_id ?? undefined, name: row.user_name },
    account: { id: row.account_id ?? undefined, name: row.account_name },
    target: { id: row.target_id ?? undefined, name: row.target_name },
    protocol: row.protocol === 'rdp' ? 'rdp' : 'ssh',
    subprotocols: row.subprotocols,
    recordContent: row.record_content,
    gate: row.gate_id,
    peer: row.peer_address,
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
