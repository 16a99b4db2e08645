/** The recorder of one session: opened before anything happens, and its loss ends the session. */
import { join } from 'node:path';
import type { RecordingId, SessionId } from '../base/ids.ts';
import { isRefusal, wordsOf } from '../base/errors.ts';
import type { AuthorizationAnswer } from '../link/link.ts';
import { openRecorder, type Recorder } from '../recording/recorder.ts';
import { ProxyError } from './errors.ts';
import type { Session } from './open-session.ts';
import type { Place } from './place.ts';
import type { Front } from './session.ts';

/** Resolves when the first block is durable and the keeper knows it. Throws otherwise: no recorder, no session. */
export async function startRecorder(
  protocol: 'ssh' | 'rdp',
  place: Place,
  session: Session,
  authorization: AuthorizationAnswer,
  front: Front,
): Promise<Recorder> {
  using key = session.key;
  const recorder = await openRecorder(
    {
      header: {
        id: session.recording as RecordingId,
        session: session.id as SessionId,
        protocol,
        user: authorization.user,
        account: `${authorization.account}@${authorization.target}`,
        target: authorization.target,
        client: front.client,
        startedAt: session.startedAt,
      },
      key,
      spool: join(place.spool, session.recording),
      clock: place.clock,
      keys: authorization.rdp?.keys === 'all' ? 'all' : 'masked',
      limits: { keeperMs: place.comebackMs },
      report: async (block, signal) => {
        session.blocks = block.number + 1;
        const answer = await place.keeper['recording.block']({ session: session.id, ...block }, signal);
        return isRefusal(answer) ? answer : undefined;
      },
    },
    session.signal,
  );
  recorder.failed.addEventListener('abort', () => {
    session.end(new ProxyError('proxy.recorder-lost', wordsOf(recorder.failed.reason)));
  });
  return recorder;
}
