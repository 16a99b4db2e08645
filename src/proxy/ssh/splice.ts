/**
 * The splice: two transports, one relay, and back-pressure. A side that cannot take more, or a recorder that cannot keep
 * up, stops the reading of the other side; nothing is queued here. Ends when either transport ends or the signal fires.
 */
import { wordsOf } from '../../base/errors.ts';
import { disconnectReason, type Transport, type TransportEnd } from '../../protocol/ssh/ssh.ts';
import type { Recorder } from '../../recording/recorder.ts';
import type { Session } from '../open-session.ts';
import type { Place } from '../place.ts';
import type { Outcome } from '../session.ts';
import { Relay } from './relay.ts';
import { watchChannels } from './watch.ts';

export async function spliceSsh(
  client: Transport,
  target: Transport,
  session: Session,
  recorder: Recorder,
  place: Place,
  signal: AbortSignal,
): Promise<Outcome> {
  const broken = Promise.withResolvers<Error>();
  const watcher = watchChannels(session, recorder, place);
  const flow = openFlow(client, target, recorder);
  const relay = new Relay(
    new Set(session.authorization.subprotocols),
    {
      toClient: (payload) => {
        client.send(payload);
        flow.check();
      },
      toTarget: (payload) => {
        target.send(payload);
        flow.check();
      },
    },
    watcher,
  );
  const guard = (take: (payload: Uint8Array) => void) => (payload: Uint8Array) => {
    try {
      take(payload);
    } catch (error) {
      broken.resolve(error instanceof Error ? error : new Error(wordsOf(error)));
    }
  };
  client.relay(guard((payload) => relay.fromClient(payload)));
  target.relay(guard((payload) => relay.fromTarget(payload)));

  const aborted = new Promise<Error>((resolve) => {
    const fire = (): void => resolve(signal.reason as Error);
    if (signal.aborted) fire();
    else signal.addEventListener('abort', fire, { once: true });
  });
  const end = await Promise.race([
    client.ended.then((how) => ({ by: 'client' as const, words: wordsOfEnd(how) })),
    target.ended.then((how) => ({ by: 'target' as const, words: wordsOfEnd(how) })),
    aborted.then((reason) => ({ by: 'signal' as const, words: wordsOf(reason) })),
    broken.promise.then((error) => ({ by: 'broken' as const, words: wordsOf(error) })),
  ]);
  const rekeys = { client: client.rekeys, target: target.rekeys };
  place.log.debug({ session: session.id, by: end.by, rekeys }, 'the splice is over');
  for (const channel of relay.open()) watcher.closed(channel);
  await watcher.settled();
  if (end.by !== 'client') {
    const words = end.by === 'target' ? 'the target closed the connection' : end.words;
    await client.disconnect(disconnectReason.byApplication, `sallyport: ${words} (session ${session.id})`);
  }
  return { ...end, bytesIn: client.bytesIn, bytesOut: client.bytesOut };
}

interface Flow {
  /** Stops what must not be read now. */
  check(): void;
}

/** Who may be read: the client while target and recorder have room, the target while client and recorder have. */
function openFlow(client: Transport, target: Transport, recorder: Recorder): Flow {
  let clientPaused = false;
  let targetPaused = false;
  const check = (): void => {
    const pauseClient = target.congested || recorder.congested;
    const pauseTarget = client.congested || recorder.congested;
    if (pauseClient !== clientPaused) {
      clientPaused = pauseClient;
      if (pauseClient) client.pause();
      else client.resume();
    }
    if (pauseTarget !== targetPaused) {
      targetPaused = pauseTarget;
      if (pauseTarget) target.pause();
      else target.resume();
    }
  };
  client.onDrain(check);
  target.onDrain(check);
  recorder.onDrain(check);
  return { check };
}

function wordsOfEnd(end: TransportEnd): string {
  switch (end.kind) {
    case 'peer':
      return end.reason === disconnectReason.byApplication
        ? 'closed the connection'
        : `disconnected (${end.reason}): ${end.message.slice(0, 200)}`;
    case 'eof':
      return 'closed the connection';
    case 'local':
      return 'ended here';
    case 'broken':
      return wordsOf(end.error);
    default:
      return end satisfies never;
  }
}
