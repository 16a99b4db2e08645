/**
 * A gate's line to the keeper, for as long as the gate lives: connected, lost, connected again. Both sides say every
 * few seconds that they are there; a keeper that says nothing is lost like one that has ended. After a loss the gate
 * names the sessions that it still runs; those that the keeper does not know any more are ended. When the keeper stays
 * away for `comebackMs` every session is ended: without it nothing can be recorded durably or looked up.
 */
import { connect, type Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { isRefusal, wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { deadline } from '../base/signals.ts';
import { checkFields, type Keeper, keeperOver, Line, told } from '../link/link.ts';
import { LinkError } from '../link/errors.ts';
import { ProxyError } from '../proxy/errors.ts';
import { GateError } from './errors.ts';
import type { Register } from './register.ts';

const retryMs = 100;

export type Hello = Awaited<ReturnType<Keeper['gate.hello']>>;
export type Welcome = Exclude<Hello, { refused: true }>;

export interface KeeperLine {
  readonly keeper: Keeper;
  /** What the keeper said at the first connection. Rejects with `gate.refused`. */
  readonly welcome: Promise<Welcome>;
  /** Whether the keeper answers now; a gate without one accepts nothing new. */
  readonly connected: boolean;
}

interface Options {
  readonly socket: string;
  readonly token: Uint8Array;
  readonly register: Register;
  readonly clock: Clock;
  readonly log: Log;
  /** How long sessions go on without a word of the keeper. */
  readonly comebackMs: number;
  /** Makes the gate take nothing new and end by then: its keeper does not know it. */
  readonly drain: (until: number) => void;
}

/** Keeps the line until `signal` fires. */
export function keepLine(options: Options, signal: AbortSignal): KeeperLine {
  const { register, clock, log, comebackMs } = options;
  // A silence is noticed, and a new line tried, well before the sessions must end.
  const beatMs = comebackMs / 10;
  const silenceMs = comebackMs / 3;
  const { promise: welcome, resolve: welcomed, reject: refused } = Promise.withResolvers<Welcome>();
  welcome.catch(() => {});
  let line: Line | undefined;
  let heardAt = clock.now();
  const keeper = keeperOver(() => {
    if (line === undefined) throw new LinkError('link.lost', 'the keeper is being started again');
    return line;
  });
  void run();
  void endWhenAlone();

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await connectOnce();
      } catch (error) {
        if (error instanceof GateError) return giveUp(error);
        if (line === undefined) log.debug({ reason: wordsOf(error) }, 'the keeper does not answer yet');
        else if (!signal.aborted) log.warn({ running: register.size, reason: wordsOf(error) }, 'the keeper is lost');
      }
      line = undefined;
      await clock.sleep(retryMs, signal).catch(() => {});
    }
  }

  /** A keeper that does not know this gate is another one, and has given up what ran here. */
  function giveUp(error: GateError): void {
    refused(error);
    log.warn({ running: register.size, reason: wordsOf(error) }, 'the keeper does not know this gate');
    register.endAll(new ProxyError('proxy.keeper-gone', 'another one has taken over'));
    options.drain(clock.now());
  }

  /** Connects, is welcomed, and stays; throws when that line is lost. */
  async function connectOnce(): Promise<void> {
    const socket = connect(options.socket);
    try {
      await opened(socket);
      const fresh = new Line(
        socket,
        async (name) => {
          throw new LinkError('link.unknown-question', name);
        },
        hear,
      );
      const ask = keeperOver(() => fresh);
      const answer = await inTime((late) =>
        ask['gate.hello']({ token: options.token, pid: process.pid, running: register.progress() }, late),
      );
      if (isRefusal(answer)) throw new GateError('gate.refused', answer.reason);
      endUnknown(answer.unknown);
      line = fresh;
      welcomed(answer);
      await beat(fresh, ask);
    } finally {
      socket.destroy();
    }
  }

  /** Goes on until the line is lost or silent; then throws. */
  async function beat(fresh: Line, ask: Keeper): Promise<never> {
    const over = AbortSignal.any([signal, fresh.over]);
    for (;;) {
      heardAt = clock.now();
      await clock.sleep(beatMs, over);
      const answer = await inTime((late) => ask['gate.alive']({ running: register.sessions() }, late));
      if (isRefusal(answer)) throw new LinkError('link.broken', answer.reason);
      endUnknown(answer.unknown);
    }
  }

  async function inTime<T>(work: (late: AbortSignal) => Promise<T>): Promise<T> {
    using limit = deadline(signal, silenceMs, () => new LinkError('link.lost', 'the keeper does not answer'));
    return await work(limit.signal);
  }

  function endUnknown(sessions: readonly string[]): void {
    for (const session of sessions)
      register.end(session, new ProxyError('proxy.keeper-gone', 'the session was given up meanwhile'));
  }

  /** Its own loop: whatever the line is waiting for, sessions end when they must. */
  async function endWhenAlone(): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(Math.min(beatMs, 1000), signal).catch(() => {});
      if (clock.now() - heardAt > comebackMs) register.endAll(new ProxyError('proxy.keeper-gone'));
    }
  }

  function hear(name: string, fields: unknown): void {
    if (name !== 'session.kill') return;
    const { session, reason } = checkFields(told['session.kill'], fields, name);
    register.end(session, new ProxyError('proxy.killed', reason));
  }

  return {
    keeper,
    welcome,
    get connected() {
      return line !== undefined && !line.over.aborted && clock.now() - heardAt < beatMs + silenceMs;
    },
  };
}

function opened(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
}
