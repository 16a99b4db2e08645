/** A session as the gate has it: the keeper's handles, the one signal that ends it, and its end told to the keeper. */
import { isRefusal, wordsOf } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { AuthorizationAnswer } from '../link/link.ts';
import { ProxyError } from './errors.ts';
import type { Place } from './place.ts';
import type { Front, Outcome } from './session.ts';

const longestTimer = 2 ** 31 - 1;

export interface Session extends AsyncDisposable {
  readonly id: string;
  readonly recording: string;
  readonly startedAt: number;
  /** The recording's data key; disposed by the recorder's start. */
  readonly key: Secret;
  readonly authorization: AuthorizationAnswer;
  /** Fires on kill, expiry, the client's departure, loss of recorder or keeper, and shutdown. */
  readonly signal: AbortSignal;
  /** What is told to the keeper at the end. */
  outcome: Outcome;
  /** Blocks of the recording on disk. */
  blocks: number;
  end(reason: Error): void;
  live(front: Record<string, string>, back: Record<string, string>): Promise<void>;
  /** Ends without a splice: the outcome is `words`, and the person is told. */
  fail(front: Front, words: string): Promise<void>;
}

/** Opens the row at the keeper. Throws what the keeper refuses with. */
export async function openSession(
  place: Place,
  authorization: AuthorizationAnswer,
  front: Front,
  shutdown: AbortSignal,
): Promise<Session> {
  const opened = await place.keeper['session.open']({ authorization: authorization.authorization }, shutdown);
  if (isRefusal(opened)) throw new ProxyError('proxy.killed', opened.reason);
  const own = new AbortController();
  const expiry = authorization.until === undefined ? undefined : endAt(authorization.until, place.clock.now(), own);
  const session: Session = {
    id: opened.session,
    recording: opened.recording,
    startedAt: opened.startedAt,
    key: new Secret(opened.key),
    authorization,
    signal: AbortSignal.any([own.signal, front.gone, shutdown]),
    outcome: { by: 'broken', words: 'it did not begin', bytesIn: 0, bytesOut: 0 },
    blocks: 0,
    end: (reason) => own.abort(reason),
    live: async (frontSide, backSide) => {
      await place.keeper['session.live']({ session: opened.session, front: frontSide, back: backSide }, session.signal);
    },
    fail: async (side, words) => {
      const by = side.gone.aborted ? 'client' : session.signal.aborted ? 'signal' : 'broken';
      session.outcome = { ...session.outcome, by, words };
      await side.turnAway(`${words} (session ${opened.session})`, by === 'signal' ? 'ended' : 'broken');
    },
    [Symbol.asyncDispose]: async () => {
      clearTimeout(expiry);
      session.key[Symbol.dispose]();
      await tellEnd(place, session);
      registered[Symbol.dispose]();
    },
  };
  const registered = place.register({
    session: session.id,
    blocks: () => session.blocks,
    end: (reason) => own.abort(reason),
  });
  return session;
}

/** Ends the session when its time is over. Timers reach 24 days; a later end comes from the keeper, which looks by itself. */
function endAt(until: number, now: number, own: AbortController): NodeJS.Timeout | undefined {
  if (until - now > longestTimer) return undefined;
  const timer = setTimeout(() => own.abort(new ProxyError('proxy.time-over')), Math.max(until - now, 0));
  timer.unref();
  return timer;
}

/**
 * The keeper releases the hold and seals the recording. While it is away the session stays registered; when it stays
 * away it finds out by itself, from what the gate says that it runs.
 */
async function tellEnd(place: Place, session: Session): Promise<void> {
  const { by, words, bytesIn, bytesOut } = session.outcome;
  const late = AbortSignal.timeout(place.comebackMs);
  while (!late.aborted) {
    try {
      await place.keeper['session.end'](
        { session: session.id, outcome: by, detail: words.slice(0, 1000), bytesIn, bytesOut },
        late,
      );
      return;
    } catch (error) {
      place.log.warn({ session: session.id, reason: wordsOf(error) }, 'the end of a session could not be told yet');
      await place.clock.sleep(200, late).catch(() => {});
    }
  }
}
