/**
 * The sessions that run in gates, as the keeper holds them: each bound to its gate, with its hold and its recording. What
 * is here is also in the database, so that another keeper can go on: a gate that comes back is given its sessions again,
 * and what no gate comes back for is ended, its hold released and its recording sealed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Authorization,
  demandSession,
  endSession,
  openSession,
  type SessionRecord,
  sessionLive,
  sessionsInProgress,
} from '../access/access.ts';
import { type Actor, record } from '../audit/audit.ts';
import { isRefusal, type Refusal, refuse, wordsOf } from '../base/errors.ts';
import { type GateId, parseId, type RecordingId, type SessionId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import { inTransaction, type Tx } from '../db/db.ts';
import { meetCertificate, meetHostKey, recordMismatch } from '../estate/estate.ts';
import type { Answers, GateQuestions } from '../link/link.ts';
import { recordBlock, sealRecording, startRecording } from '../recording/recording.ts';
import { type Hold, holdAfterChange, holdsOf, releaseHoldsOf, resumeHold } from '../vault/vault.ts';
import { KeeperError } from './errors.ts';
import type { Rooms } from './rooms.ts';

type Fields<N extends keyof GateQuestions> = Parameters<Answers<GateQuestions>[N]>[0];
type Given<N extends keyof GateQuestions> = Awaited<ReturnType<Answers<GateQuestions>[N]>>;
type Event = Fields<'session.event'>['event'];

/** A change of the credential takes seconds; who comes meanwhile waits for so long, in milliseconds. */
const changeMs = 45_000;

export interface Ending {
  readonly outcome: string;
  readonly detail: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** One session, for the gate that it belongs to. */
export interface LiveSession {
  readonly id: SessionId;
  readonly gate: GateId;
  block(block: Omit<Fields<'recording.block'>, 'session'>): Promise<Refusal | undefined>;
  /** Waits while the credential is being changed. */
  hold(signal: AbortSignal): Promise<Given<'hold.open'>>;
  hostKey(publicKey: Uint8Array): Promise<'trusted' | 'unknown' | 'changed'>;
  certificate(chain: readonly Uint8Array[]): Promise<'trusted' | 'unknown' | 'changed'>;
  live(front: Record<string, string>, back: Record<string, string>): Promise<void>;
  event(event: Event): Promise<void>;
}

/** A hold of a session, for the gate that it was given to. */
export interface Holding {
  credential(): Promise<Given<'credential.open'>>;
  sign(algorithm: string, data: Uint8Array, signal: AbortSignal): Promise<Uint8Array | Refusal>;
}

export interface LiveSessions {
  open(authorization: Authorization, gate: GateId): Promise<Given<'session.open'>>;
  /** Throws `keeper.unknown-handle` if this gate runs no such session. */
  of(gate: GateId, session: string): LiveSession;
  holding(gate: GateId, hold: string): Holding;
  end(gate: GateId, session: string, ending: Ending, signal: AbortSignal): Promise<void>;
  /** A gate came back: it goes on with what is still in progress; returns those of `running` that are not. */
  readopt(gate: GateId, running: readonly { session: string; blocks: number }[]): Promise<string[]>;
  /** A gate names what it runs: what it no longer runs is ended; returns what is not in progress any more. */
  heard(gate: GateId, running: readonly string[], signal: AbortSignal): string[];
  /**
   * Ends the sessions that `which` names; `claimed` says whether a gate of this keeper runs it. False if something could
   * not be finished and has to be tried again.
   */
  abandon(which: Which, why: string, signal: AbortSignal): Promise<boolean>;
  count(gate?: GateId): number;
}

/** Says of a session's gate, and of whether it is claimed, whether the session is to be given up. */
export type Which = (gate: GateId, claimed: boolean) => boolean;

interface Entry {
  readonly row: SessionRecord;
  hold: Hold | undefined;
  ending: Promise<void> | undefined;
  /** How often in a row its gate did not name it among those that it runs. */
  missed: number;
}

/**
 * So often a gate leaves a session out before it is believed not to run it. Once is not enough: it may not have read the
 * answer that opened it. By the time of its next word it has, because both came over the same line.
 */
const believed = 2;

export function openLiveSessions(rooms: Rooms): LiveSessions {
  const { db, vault, clock, log } = rooms;
  const sessions = new Map<SessionId, Entry>();
  const holds = new Map<string, SessionId>();

  function entryOf(gate: GateId, session: string): Entry {
    const entry = sessions.get(session as SessionId);
    if (entry === undefined || entry.row.gate !== gate) throw new KeeperError('keeper.unknown-handle', 'session');
    return entry;
  }

  const actorOf = (row: SessionRecord): Actor => ({ kind: 'gate', id: row.gate, address: row.peerAddress });

  const sealOptions = (reason: string): Parameters<typeof sealRecording>[2] => ({
    spool: rooms.spool,
    store: rooms.recordings,
    signer: rooms.recordingSigner,
    reason,
    now: clock.now(),
  });

  /**
   * Row ended and hold released, in one step, because whoever looks for what is left looks for rows; then the recording
   * sealed. All of it can be repeated.
   */
  async function finish(row: SessionRecord, ending: Ending, signal: AbortSignal): Promise<void> {
    await inTransaction(db, async (tx) => {
      await endSession(tx, row.id, ending, clock.now());
      await releaseHoldsOf(tx, { subject: row.id });
    });
    if (row.recording !== undefined)
      await sealRecording(db, row.recording, sealOptions(ending.detail || ending.outcome), signal);
    sessions.delete(row.id);
    for (const [handle, session] of holds) if (session === row.id) holds.delete(handle);
  }

  /** As `finish`, once however often it is wanted; a failure leaves it to be wanted again. */
  function finishOnce(entry: Entry, ending: Ending, signal: AbortSignal): Promise<void> {
    entry.ending ??= finish(entry.row, ending, signal).catch((error: unknown) => {
      entry.ending = undefined;
      throw error;
    });
    return entry.ending;
  }

  /** Runs `work`; false, and the log says why, if it failed. */
  async function tried(session: SessionId, work: Promise<unknown>): Promise<boolean> {
    try {
      await work;
      return true;
    } catch (error) {
      log.warn({ session, error: wordsOf(error) }, 'what is left of a session could not be finished yet');
      return false;
    }
  }

  /** Recordings of sessions that have ended and that nobody is finishing: those in our spool, and of the gates in `which`. */
  async function sealLeftOver(which: Which, signal: AbortSignal): Promise<boolean> {
    const left = await db
      .selectFrom('recording')
      .innerJoin('session', 'session.id', 'recording.session_id')
      .select(['recording.id', 'recording.gate_id', 'session.id as session', 'session.outcome', 'session.detail'])
      .where('recording.state', '=', 'open')
      .where('session.state', '=', 'ended')
      .execute();
    let done = true;
    for (const { id, gate_id, session, outcome, detail } of left) {
      const entry = sessions.get(session);
      // Being finished just now: whether that succeeds is seen when this is tried again.
      if (entry?.ending !== undefined) {
        done = false;
        continue;
      }
      // Its gate lives and will say again that it has ended.
      if (entry !== undefined && !which(gate_id as GateId, true)) continue;
      if (entry === undefined && !which(gate_id as GateId, false) && !existsSync(join(rooms.spool, id))) continue;
      const sealing = sealRecording(db, id, sealOptions(detail || (outcome ?? 'its session is over')), signal);
      if (await tried(session, sealing)) sessions.delete(session);
      else done = false;
    }
    return done;
  }

  return {
    open: async (authorization, gate) => {
      const recording = newId<RecordingId>();
      const { key, row } = await inTransaction(db, async (tx) => {
        const opened = await openSession(tx, authorization, { gate, recording }, clock.now());
        await startRecording(tx, {
          id: recording,
          session: opened.id,
          gate,
          protocol: opened.protocol,
          user: opened.user,
          account: `${opened.account}@${opened.target}`,
          target: opened.target,
          client: opened.peerAddress,
          startedAt: opened.openedAt,
        });
        return { row: opened, key: await vault.recordingKey(tx, recording) };
      });
      using secret = key;
      sessions.set(row.id, { row, hold: undefined, ending: undefined, missed: 0 });
      return { session: row.id, recording, key: secret.reveal().slice(), startedAt: row.openedAt.getTime() };
    },

    of: (gate, session) => {
      const entry = entryOf(gate, session);
      const { row } = entry;
      return {
        id: row.id,
        gate,
        block: async (block) => {
          if (row.recording === undefined) return refuse('keeper.unknown-handle', 'the session has no recording');
          return await recordBlock(db, row.recording, gate, block);
        },
        hold: async (signal) => {
          if (row.accountId === undefined) return refuse('keeper.no-such-thing', 'the account is gone');
          const request = { kind: 'session', subject: row.id, gateId: gate } as const;
          const patience = { clock, patienceMs: changeMs, demand: (tx: Tx) => demandSession(tx, row.id) };
          entry.hold ??= await holdAfterChange(db, row.accountId, request, patience, signal);
          holds.set(entry.hold.id, row.id);
          return { hold: entry.hold.id };
        },
        hostKey: async (publicKey) => {
          if (row.serviceId === undefined) return 'unknown';
          const check = await meetHostKey(db, row.serviceId, publicKey, actorOf(row));
          if (check.verdict !== 'trusted') await recordMismatch(db, row.serviceId, check, actorOf(row));
          return check.verdict;
        },
        certificate: async (chain) => {
          if (row.serviceId === undefined) return 'unknown';
          const check = await meetCertificate(db, row.serviceId, chain, clock.now(), actorOf(row));
          if (check.verdict !== 'trusted') await recordMismatch(db, row.serviceId, check, actorOf(row));
          return check.verdict;
        },
        live: async (front, back) => {
          await sessionLive(db, row.id, clock.now());
          await record(db, actorOf(row), {
            type: 'session.started',
            about: { session: row.id },
            details: { front, back },
          });
        },
        event: async (event) => {
          await record(db, actorOf(row), auditEventOf(event, row));
        },
      };
    },

    holding: (gate, handle) => {
      const session = holds.get(handle);
      const entry = session === undefined ? undefined : entryOf(gate, session);
      const held = entry?.hold;
      if (entry === undefined || held === undefined) throw new KeeperError('keeper.unknown-handle', 'hold');
      return {
        credential: async () => {
          const answer = await vault.open(held, actorOf(entry.row));
          if (isRefusal(answer)) return answer;
          using opened = answer;
          if (opened.kind === 'ssh-key')
            return { kind: 'ssh-key', publicKey: opened.publicKey, algorithms: [...opened.signer.algorithms] };
          if (opened.kind !== 'password') throw new KeeperError('keeper.not-injectable', opened.kind);
          return { kind: 'password', secret: opened.secret.reveal().slice() };
        },
        sign: async (algorithm, data, signal) => {
          const answer = await vault.open(held, actorOf(entry.row));
          if (isRefusal(answer)) return answer;
          using opened = answer;
          if (opened.kind !== 'ssh-key') throw new KeeperError('keeper.unknown-handle', 'the account has no key');
          return await opened.signer.sign(data, algorithm, signal);
        },
      };
    },

    end: async (gate, session, ending, signal) => {
      const id = parseId<SessionId>(session);
      const entry = id === undefined ? undefined : sessions.get(id);
      // Told twice, because the first answer was lost: it has ended.
      if (entry === undefined || entry.row.gate !== gate) return;
      await finishOnce(entry, ending, signal);
    },

    readopt: async (gate, running) => {
      const rows = await sessionsInProgress(db, gate);
      // Those that it does not name, too: it will not name them again, and then they are ended.
      for (const row of rows) {
        if (sessions.has(row.id)) continue;
        const present = row.accountId === undefined ? [] : await holdsOf(db, row.accountId);
        const mine = present.find((one) => one.subject === row.id);
        const held = mine === undefined ? undefined : await resumeHold(db, mine.id);
        sessions.set(row.id, { row, hold: held, ending: undefined, missed: 0 });
        if (held !== undefined) holds.set(held.id, row.id);
      }
      const known = new Set<string>(rows.map((row) => row.id));
      return running.map(({ session }) => session).filter((session) => !known.has(session));
    },

    heard: (gate, running, signal) => {
      const named = new Set(running);
      for (const entry of sessions.values()) {
        if (entry.row.gate !== gate) continue;
        entry.missed = named.has(entry.row.id) ? 0 : entry.missed + 1;
        if (entry.missed < believed) continue;
        const lost = { outcome: 'lost', detail: 'its gate does not run it any more', bytesIn: 0, bytesOut: 0 };
        void tried(entry.row.id, finishOnce(entry, lost, signal));
      }
      return running.filter((session) => sessions.get(session as SessionId)?.row.gate !== gate);
    },

    abandon: async (which, why, signal) => {
      let done = true;
      for (const row of await sessionsInProgress(db)) {
        if (!which(row.gate, sessions.has(row.id))) continue;
        const lost = { outcome: 'lost', detail: why, bytesIn: 0, bytesOut: 0 };
        done = (await tried(row.id, finish(row, lost, signal))) && done;
      }
      return (await sealLeftOver(which, signal)) && done;
    },

    count: (gate) =>
      gate === undefined ? sessions.size : [...sessions.values()].filter((entry) => entry.row.gate === gate).length,
  };
}

/** What a gate tells of a session, as the audit trail's event. */
function auditEventOf(event: Event, row: SessionRecord): Parameters<typeof record>[2] {
  const about = { session: row.id };
  switch (event.type) {
    case 'channel.opened': {
      const { channel, what, command } = event;
      return {
        type: 'session.channel.opened',
        about,
        details: { channel, kind: what, ...(command === undefined ? {} : { command }) },
      };
    }
    case 'channel.refused': {
      const { channel, what, reason } = event;
      return {
        type: 'session.channel.refused',
        about,
        details: { channel, kind: what, code: 'keeper.not-allowed', reason },
      };
    }
    case 'file.transferred': {
      const { channel, direction, path, size, sha256, complete } = event;
      return {
        type: 'session.file.transferred',
        about,
        details: { channel, direction, path, size, complete, ...(sha256 === undefined ? {} : { sha256 }) },
      };
    }
    case 'file.changed': {
      const { what, path, to } = event;
      return { type: 'session.file.changed', about, details: { what, path, ...(to === undefined ? {} : { to }) } };
    }
    case 'clipboard.text': {
      const { direction, length, sha256 } = event;
      return { type: 'session.clipboard.text', about, details: { direction, length, sha256 } };
    }
    case 'clipboard.data': {
      const { direction, format, bytes, sha256 } = event;
      return { type: 'session.clipboard.data', about, details: { direction, format, bytes, sha256 } };
    }
    case 'clipboard.files':
      return { type: 'session.clipboard.files', about, details: { direction: event.direction, names: event.names } };
    case 'device.announced':
    case 'device.refused':
      return { type: `session.${event.type}`, about, details: { kind: event.kind, name: event.name } };
    default:
      return event satisfies never;
  }
}
