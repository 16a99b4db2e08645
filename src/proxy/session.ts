/**
 * The story of one session, the same for every protocol. Read it from top to bottom: each result is the next step's
 * required argument, so no step can be left out or done in another order. Every way out is an early return; what was
 * opened is closed in reverse order on all of them.
 *
 * Kill, expiry, a lost recorder, a lost keeper and shutdown all arrive as the session's one AbortSignal.
 */
import { isRefusal, type Refusal, wordsOf } from '../base/errors.ts';
import type { AuthorizationAnswer } from '../link/link.ts';
import { openCredential, openHold, type OpenedCredential } from './credential.ts';
import { openSession, type Session } from './open-session.ts';
import type { Place } from './place.ts';
import { startRecorder } from './recorder.ts';
import type { Recorder } from '../recording/recorder.ts';

/** The person's side: a client that has proved who it is. */
export interface Front extends AsyncDisposable {
  /** The keeper's handle of the finished login. */
  readonly login: string;
  readonly account: string | undefined;
  /** Undefined where the login itself says where it leads. */
  readonly target: string | undefined;
  readonly service: string | undefined;
  readonly client: string;
  readonly negotiated: Record<string, string>;
  /** Fires when the client is gone. */
  readonly gone: AbortSignal;
  /**
   * Tells the person why it ends here, in one line, and ends it. `refused`: policy said no, nothing is broken. `ended`: from
   * outside.
   */
  turnAway(words: string, why: 'refused' | 'broken' | 'ended'): Promise<void>;
}

/** The target's side: connected, and its host key is the pinned one. Nothing secret was sent yet. */
export interface Back extends AsyncDisposable {
  readonly negotiated: Record<string, string>;
  /** Logs in. A refusal means that the target said no; anything else is thrown. */
  logIn(account: string, credential: OpenedCredential, signal: AbortSignal): Promise<Refusal | undefined>;
}

/** How a session ended, for the audit trail. */
export interface Outcome {
  readonly by: 'client' | 'target' | 'signal' | 'broken';
  readonly words: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** What a protocol brings to the story. */
export interface Protocol<F extends Front, B extends Back> {
  readonly name: 'ssh' | 'rdp';
  /** bytes → login: the handshake, and all factors that the keeper asks for. Undefined if nobody got in. */
  answer(signal: AbortSignal): Promise<F | undefined>;
  /** Connects to the target and checks its host key against the pinned ones, before anything secret is opened. */
  dial(front: F, authorization: AuthorizationAnswer, session: Session, signal: AbortSignal): Promise<B>;
  /** Copies both ways, each message under policy and into the recording, until either side or the signal ends it. */
  splice(front: F, back: B, session: Session, recorder: Recorder, signal: AbortSignal): Promise<Outcome>;
}

export async function runSession<F extends Front, B extends Back>(
  protocol: Protocol<F, B>,
  place: Place,
  shutdown: AbortSignal,
): Promise<void> {
  // -- Who is it? -------------------------------------------------------------------------------------------------
  await using front = await protocol.answer(shutdown);
  if (front === undefined) return;

  // -- May they, there, now? The keeper's words do not tell unknown from forbidden ---------------------------------
  const { login, account, target, service } = front;
  const asked = {
    login,
    ...(target === undefined ? {} : { target }),
    ...(account === undefined ? {} : { account }),
    ...(service === undefined ? {} : { service }),
  };
  const authorization = await orTurnAway(front, place.keeper.authorize(asked, shutdown));
  if (isRefusal(authorization)) return await front.turnAway(authorization.reason, 'refused');

  // -- From here there is a session: a row, and a signal that ends it ----------------------------------------------
  await using session = await orTurnAway(front, openSession(place, authorization, front, shutdown));
  try {
    // -- No recorder, no session: its first block is durable and known to the keeper before anything else happens ---
    await using recorder = await startRecorder(protocol.name, place, session, authorization, front);

    // -- Hold the account, so that nobody changes its credential while it is in use --------------------------------
    const hold = await openHold(place.keeper, session);

    // -- Reach the target: its host key first, then the secret, and only for as long as the login takes ------------
    await using back = await protocol.dial(front, authorization, session, session.signal);
    {
      using credential = await openCredential(place.keeper, hold, session.signal);
      const rejected = await back.logIn(authorization.account, credential, session.signal);
      if (rejected !== undefined) return await session.fail(front, rejected.reason);
    }
    await session.live(front.negotiated, back.negotiated);

    // -- Copy both ways until it ends --------------------------------------------------------------------------------
    session.outcome = await protocol.splice(front, back, session, recorder, session.signal);
    recorder.finish(session.outcome.words);
  } catch (error) {
    if (!front.gone.aborted) place.log.info({ session: session.id, reason: wordsOf(error) }, 'a session ended early');
    await session.fail(front, wordsOf(session.signal.aborted ? session.signal.reason : error));
  }
}

/** Before there is a session: who is let down is told why, and the failure goes on to whoever took the connection. */
async function orTurnAway<T>(front: Front, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    await front.turnAway(wordsOf(error), 'broken');
    throw error;
  }
}
