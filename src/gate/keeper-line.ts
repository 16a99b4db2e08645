/**
 * A gate's line to the keeper, for as long as the gate lives: connected, lost, connected again. After a loss the gate
 * says which sessions it still runs; those that the keeper does not know any more are ended. When the keeper stays away
 * for `graceMs` every session is ended: without it nothing can be recorded durably or looked up.
 */
import { connect } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { isRefusal, wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Keeper, keeperOver, Line, told, checkFields } from '../link/link.ts';
import { LinkError } from '../link/errors.ts';
import { ProxyError } from '../proxy/errors.ts';
import { GateError } from './errors.ts';
import type { Register } from './register.ts';

const retryMs = 100;
export const graceMs = 30_000;

export type Hello = Awaited<ReturnType<Keeper['gate.hello']>>;
export type Welcome = Exclude<Hello, { refused: true }>;

export interface KeeperLine {
  readonly keeper: Keeper;
  /** What the keeper said at the first connection. */
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
  /** The keeper wants this gate to take nothing new and end by then. */
  readonly drain: (until: number) => void;
}

/** Keeps the line until `signal` fires. */
export function keepLine(options: Options, signal: AbortSignal): KeeperLine {
  const { register, clock, log } = options;
  let line: Line | undefined;
  let welcomed: (welcome: Welcome) => void = () => {};
  let refused: (error: Error) => void = () => {};
  const welcome = new Promise<Welcome>((resolve, reject) => {
    welcomed = resolve;
    refused = reject;
  });
  welcome.catch(() => {});
  const keeper = keeperOver(() => {
    if (line === undefined) throw new LinkError('link.lost', 'the keeper is being started again');
    return line;
  });
  void run();

  async function run(): Promise<void> {
    let lostAt = clock.now();
    while (!signal.aborted) {
      try {
        await connectOnce();
        lostAt = clock.now();
        log.warn({ running: register.size }, 'the keeper is lost');
      } catch (error) {
        if (error instanceof GateError) return refused(error);
        log.debug({ reason: wordsOf(error) }, 'the keeper does not answer yet');
      }
      line = undefined;
      if (clock.now() - lostAt > graceMs) register.endAll(new ProxyError('proxy.keeper-gone'));
      await clock.sleep(retryMs, signal).catch(() => {});
    }
  }

  /** Connects and is welcomed; resolves when that line has ended. */
  async function connectOnce(): Promise<void> {
    const socket = connect(options.socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const fresh = new Line(
      socket,
      async (name) => {
        throw new LinkError('link.unknown-question', name);
      },
      hear,
    );
    const ask = keeperOver(() => fresh);
    const fields: Parameters<Keeper['gate.hello']>[0] = {
      token: options.token,
      pid: process.pid,
      running: register.progress(),
    };
    const answer = await ask['gate.hello'](fields, signal);
    if (isRefusal(answer)) throw new GateError('gate.refused', answer.reason);
    for (const session of answer.unknown)
      register.end(session, new ProxyError('proxy.keeper-gone', 'the session was given up meanwhile'));
    line = fresh;
    welcomed(answer);
    await new Promise<void>((resolve) => {
      const done = (): void => resolve();
      if (fresh.over.aborted) done();
      else fresh.over.addEventListener('abort', done, { once: true });
      signal.addEventListener('abort', () => {
        void fresh[Symbol.asyncDispose]();
        done();
      });
    });
  }

  function hear(name: string, fields: unknown): void {
    if (name === 'session.kill') {
      const { session, reason } = checkFields(told['session.kill'], fields, name);
      register.end(session, new ProxyError('proxy.killed', reason));
    } else if (name === 'drain') {
      options.drain(checkFields(told.drain, fields, name).until);
    }
  }

  return {
    keeper,
    welcome,
    get connected() {
      return line !== undefined && !line.over.aborted;
    },
  };
}
