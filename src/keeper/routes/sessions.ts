/** Answers about sessions and about Sallyport itself. */
import { explain, killSession, type SessionRecord, sessions } from '../../access/access.ts';
import type { Actor } from '../../audit/audit.ts';
import { parseId, type SessionId } from '../../base/ids.ts';
import type { RouteAnswers } from '../../contract/contract.ts';
import { isEnrolmentOpen, users } from '../../identity/identity.ts';
import { KeeperError } from '../errors.ts';
import type { LiveSessions } from '../live-sessions.ts';
import type { Rooms } from '../rooms.ts';

type Names = 'status' | 'session.list' | 'session.kill' | 'access.explain';

export function sessionAnswers(rooms: Rooms, live: LiveSessions, actor: Actor): Pick<RouteAnswers, Names> {
  const { db, clock, gates } = rooms;
  return {
    status: async () => ({
      version: rooms.version,
      startedAt: rooms.startedAt.toISOString(),
      database: 'answers',
      gates: gates.connected().map(({ id, pid }) => ({ gate: id, pid, sessions: live.count(id) })),
      liveSessions: (await sessions(db, { live: true })).length,
      users: (await users(db)).length,
      enrolmentOpen: await isEnrolmentOpen(db),
    }),
    'session.list': async (fields) => ({ sessions: (await sessions(db, fields)).map(show) }),
    'session.kill': async ({ session, reason }) => {
      const id = parseId<SessionId>(session);
      if (id === undefined) throw new KeeperError('keeper.no-such-thing', `session ${session}`);
      if (!(await killSession(db, id, reason, actor))) throw new KeeperError('keeper.session-over', session);
      return { done: true };
    },
    'access.explain': async ({ user, account, target }) => {
      const destination = { target, protocol: 'ssh' as const, ...(account === undefined ? {} : { account }) };
      const { allowed, lines } = await explain(db, user, destination, clock.now());
      return { allowed, lines: [...lines] };
    },
  };
}

function show(session: SessionRecord): {
  session: string;
  user: string;
  account: string;
  peer: string;
  state: string;
  openedAt: string;
  endedAt?: string;
  outcome?: string;
  recording?: string;
} {
  return {
    session: session.id,
    user: session.user,
    account: `${session.account}@${session.target}`,
    peer: session.peerAddress,
    state: session.state,
    openedAt: session.openedAt.toISOString(),
    ...(session.state === 'ended'
      ? { endedAt: session.endedAt.toISOString(), outcome: session.detail ?? session.outcome }
      : {}),
    ...(session.recording === undefined ? {} : { recording: session.recording }),
  };
}
