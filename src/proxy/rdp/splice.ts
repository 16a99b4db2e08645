/**
 * The splice: two connections, one relay, and back-pressure. A side that cannot take more stops the reading of the other
 * side, a recorder or keeper that cannot keep up that of both; nothing is queued here. Ends when either side does, the
 * signal fires, or a message makes no sense; from that moment nothing passes any more, and the client is told why.
 */
import { wordsOf } from '../../base/errors.ts';
import {
  disconnectUltimatum,
  errorInfo,
  farewell,
  frameAt,
  isViolation,
  RdpError,
  type RdpStream,
} from '../../protocol/rdp/rdp.ts';
import { sessionChannel } from '../../recording/format/format.ts';
import type { Recorder } from '../../recording/recorder.ts';
import { ProxyError } from '../errors.ts';
import type { Session } from '../open-session.ts';
import type { Place } from '../place.ts';
import type { Outcome } from '../session.ts';
import type { RdpBack } from './back.ts';
import { openChannel } from './channels/open-channel.ts';
import type { RdpFront } from './front.ts';
import { openPictures } from './pictures.ts';
import { rdpPolicy } from './policy.ts';
import { type RelayedChannel, RdpRelay } from './relay.ts';
import { openTaps } from './taps.ts';

/** So long a side may take nothing of what the other one sends. */
const stalledMs = 300_000;

type End = Pick<Outcome, 'by' | 'words'>;

export async function spliceRdp(
  front: RdpFront,
  back: RdpBack,
  session: Session,
  recorder: Recorder,
  place: Place,
  signal: AbortSignal,
): Promise<Outcome> {
  const client = front.stream;
  const target = back.stream;
  const taps = openTaps(session, recorder, place);
  const { keyboardLayout: layout } = front.accepted.core;
  recorder.record({ kind: 'keyboard', layout }, sessionChannel, place.clock.now());
  for (const { name, allowed, silent, why } of back.decisions) taps.decided(name, allowed && !silent, why);
  const relay = new RdpRelay(
    {
      client: { io: front.accepted.io, user: front.accepted.user },
      target: { io: back.joined.io, user: back.joined.user },
      channels: relayedChannels(front, back, session),
    },
    {
      toClient: (bytes) => client.write(bytes),
      toTarget: (bytes) => target.write(bytes),
      pictures: openPictures(taps),
      input: (events) => taps.input(events),
      channelEvents: (name, events) => taps.channel(name, events),
      loggedIn: () => place.log.debug({ session: session.id }, 'the target has logged the account in'),
    },
  );
  front.spliced = true;

  const ended = Promise.withResolvers<End>();
  let over = false;
  const finish = (end: End): void => {
    over = true;
    ended.resolve(end);
  };
  const lookers = [recorder, taps];
  /** Gives how long it has been paused, in milliseconds. */
  const side = (from: RdpStream, to: RdpStream, take: (message: Uint8Array) => void): (() => number) => {
    let pausedAt: number | undefined;
    const cutter = openCutter(
      (message) => {
        take(message);
        if (relay.ending !== undefined) finish({ by: relay.ending, words: 'closed the connection' });
      },
      () => over || to.congested || lookers.some((one) => one.congested),
    );
    const work = (chunk: Uint8Array | undefined): void => {
      if (over) return;
      client.cork();
      target.cork();
      try {
        if (cutter(chunk) && !over) {
          pausedAt ??= place.clock.now();
          from.pause();
        } else {
          pausedAt = undefined;
          from.resume();
        }
      } catch (error) {
        finish({ by: 'broken', words: wordsOf(error) });
      } finally {
        client.uncork();
        target.uncork();
      }
    };
    for (const one of [to, ...lookers]) one.onDrain(() => work(undefined));
    from.relay(work);
    return () => (pausedAt === undefined ? 0 : place.clock.now() - pausedAt);
  };
  const aborted = (): void => {
    // the session's signal fires for a client that left, too
    if (client.gone.aborted) finish({ by: 'client', words: 'closed the connection' });
    else finish({ by: 'signal', words: wordsOf(signal.reason) });
  };
  signal.addEventListener('abort', aborted, { once: true });
  if (signal.aborted) aborted();
  target.gone.addEventListener('abort', () => finish({ by: 'target', words: 'closed the connection' }));
  const paused = [
    side(target, client, (message) => relay.fromTarget(message)),
    side(client, target, (message) => relay.fromClient(message)),
  ];
  using _time = everySecond(() => {
    const minutes = session.authorization.rdp?.idleMinutes;
    if (minutes !== undefined && place.clock.now() - taps.lastInput >= minutes * 60_000)
      session.end(new ProxyError('proxy.idle', `${minutes} minutes`));
    // whoever is paused is not heard leaving either
    if (paused.some((ms) => ms() >= stalledMs))
      finish({ by: 'broken', words: 'one side took nothing for five minutes' });
  });
  // it may have left before anybody listened; what it said until then has been taken
  if (target.gone.aborted) finish({ by: 'target', words: 'closed the connection' });

  const end = await ended.promise;
  // first whoever is there is told, then the audit trail: that may have to wait for a keeper
  relay.close();
  target.write(disconnectUltimatum());
  if (end.by === 'target' && relay.ending === undefined) client.write(disconnectUltimatum());
  if (end.by === 'signal' || end.by === 'broken')
    client.write(farewell(front.accepted.io, codeFor(end, signal), relay.licensed, relay.shareId));
  await Promise.all([client.flushed(), target.flushed()]);
  await taps.settled();
  return { ...end, bytesIn: client.bytesIn, bytesOut: client.bytesOut };
}

/** The channels that reach both sides, each with its filter. */
function relayedChannels(front: RdpFront, back: RdpBack, session: Session): RelayedChannel[] {
  const policy = rdpPolicy(session.authorization.subprotocols);
  const channels: RelayedChannel[] = [];
  let next = 0;
  for (const [i, { name, id }] of front.accepted.channels.entries()) {
    const decision = back.decisions[i];
    if (decision?.allowed !== true) continue;
    const target = back.joined.channels[next++] ?? 0;
    if (target !== 0) channels.push({ name, client: id, target, filter: openChannel(decision, policy) });
  }
  return channels;
}

/**
 * Cuts chunks into whole messages and hands them on while there is room, message by message: a compressed one may become a
 * thousand times as long. True if some have to wait; without a chunk it goes on with those.
 */
function openCutter(
  take: (message: Uint8Array) => void,
  full: () => boolean,
): (chunk: Uint8Array | undefined) => boolean {
  let held: Uint8Array = new Uint8Array(0);
  return (chunk) => {
    if (chunk !== undefined) held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let at = 0;
    try {
      while (at < held.length) {
        if (full()) return true;
        const frame = frameAt(held, at);
        if (isViolation(frame)) throw new RdpError('rdp.protocol', frame.violation);
        if (frame === undefined || at + frame.length > held.length) return false;
        const message = held.subarray(at, at + frame.length);
        at += frame.length;
        take(message);
      }
      return false;
    } finally {
      held = held.subarray(at);
    }
  };
}

function everySecond(look: () => void): Disposable {
  const timer = setInterval(look, 1000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** The number whose words the client shows. */
function codeFor(end: End, signal: AbortSignal): number {
  if (end.by === 'broken') return errorInfo.deniedConnection;
  const reason: unknown = signal.reason;
  const code = reason instanceof ProxyError ? reason.code : undefined;
  if (code === 'proxy.idle') return errorInfo.idleTimeout;
  if (code === 'proxy.time-over') return errorInfo.logonTimeout;
  return errorInfo.disconnectedByAdministrator;
}
