/**
 * The splice: two transports, one relay, and back-pressure. A side that cannot take more stops the reading of the other
 * side, a recorder or keeper that cannot keep up that of both; nothing is queued here. Ends when either transport ends, the
 * signal fires, or a message makes no sense; from that moment nothing passes any more.
 */
import { wordsOf } from '../../base/errors.ts';
import { connectionMsg, disconnectReason, type Transport, type TransportEnd } from '../../protocol/ssh/ssh.ts';
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
  const flow = openFlow(client, target, [recorder, watcher]);
  const relay = new Relay(
    new Set(session.authorization.subprotocols),
    { toClient: (payload) => client.send(payload), toTarget: (payload) => target.send(payload) },
    watcher,
  );
  let over = false;
  const guard = (side: Transport, take: (payload: Uint8Array) => void) => (payload: Uint8Array) => {
    if (over) return;
    try {
      if (isUnknown(payload[0] ?? 0)) side.unimplemented();
      else take(payload);
      flow.check();
    } catch (error) {
      over = true;
      broken.resolve(error instanceof Error ? error : new Error(wordsOf(error)));
    }
  };
  client.relay(guard(client, (payload) => relay.fromClient(payload)));
  target.relay(guard(target, (payload) => relay.fromTarget(payload)));

  const aborted = new Promise<Error>((resolve) => {
    const fire = (): void => {
      over = true;
      resolve(signal.reason as Error);
    };
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
  over = true;
  for (const channel of relay.open()) watcher.closed(channel);
  await watcher.settled();
  if (end.by !== 'client') {
    const words = end.by === 'target' ? 'the target closed the connection' : end.words;
    await client.disconnect(disconnectReason.byApplication, `sallyport: ${words} (session ${session.id})`);
  }
  return { ...end, bytesIn: client.bytesIn, bytesOut: client.bytesOut };
}

const meaningful: ReadonlySet<number> = new Set(Object.values(connectionMsg));

/** A number that nobody has given a meaning here: answered, and otherwise ignored (RFC 4253 §11.4). */
function isUnknown(number: number): boolean {
  return number >= 80 && !meaningful.has(number);
}

interface Flow {
  /** Stops what must not be read now. */
  check(): void;
}

/** Whatever takes what passes, and may have enough for now. */
type Sink = Pick<Recorder, 'congested' | 'onDrain'>;

/** Who may be read: the client while the target and all who look on have room, the target while the client and they have. */
function openFlow(client: Transport, target: Transport, lookers: readonly Sink[]): Flow {
  let clientPaused = false;
  let targetPaused = false;
  const check = (): void => {
    const full = lookers.some((one) => one.congested);
    const pauseClient = target.congested || full;
    const pauseTarget = client.congested || full;
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
  for (const one of [client, target, ...lookers]) one.onDrain(check);
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
