/**
 * The operators' socket: the contract's routes, for whoever may open it. It lies in a folder of mode 0700, so that is the
 * user who started Sallyport, and root; both could read the key file anyway, and so they hold every right: roles are
 * not asked about here.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { wordsOf } from '../base/errors.ts';
import { type RouteAnswers, routeAnswerer } from '../contract/contract.ts';
import { Line } from '../link/link.ts';
import type { Config } from '../config.ts';
import type { Authority } from './authority.ts';
import { operator, type Rooms } from './rooms.ts';
import { auditAnswers } from './routes/audit.ts';
import { conflictAnswers } from './routes/conflicts.ts';
import { estateAnswers } from './routes/estate.ts';
import { eventSourceAnswers } from './routes/event-sources.ts';
import { nodeAnswers } from './routes/nodes.ts';
import { peopleAnswers } from './routes/people.ts';
import { rdpAnswers } from './routes/rdp.ts';
import { recordingAnswers } from './routes/recordings.ts';
import { rotationAnswers } from './routes/rotation.ts';
import { scheduleAnswers } from './routes/schedules.ts';
import { sessionAnswers } from './routes/sessions.ts';
import type { LiveSessions } from './live-sessions.ts';

/** Listens until `signal` fires. */
export async function serveOperators(
  rooms: Rooms,
  live: LiveSessions,
  authority: Authority,
  rdp: Config['rdp'],
  socketPath: string,
  signal: AbortSignal,
): Promise<void> {
  rmSync(socketPath, { force: true });
  const answers: RouteAnswers = {
    ...peopleAnswers(rooms, operator),
    ...estateAnswers(rooms, operator),
    ...rotationAnswers(rooms, operator),
    ...conflictAnswers(rooms, operator),
    ...scheduleAnswers(rooms),
    ...eventSourceAnswers(rooms, operator),
    ...nodeAnswers(rooms, operator),
    ...recordingAnswers(rooms, operator),
    ...sessionAnswers(rooms, live, operator),
    ...rdpAnswers(rooms, authority, rdp, operator),
    ...auditAnswers(rooms, operator),
  };
  const answer = routeAnswerer(answers);
  const server = createServer((socket) => {
    const line = new Line(socket, answer, () => {});
    line.over.addEventListener('abort', () =>
      rooms.log.debug({ reason: wordsOf(line.over.reason) }, 'an operator left'),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  chmodSync(socketPath, 0o600);
  signal.addEventListener('abort', () => server.close());
}
