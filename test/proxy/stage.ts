/** What stands around the proxy in its tests: a keeper that answers as told, a recorder that is a list, two legs of a transport. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silent } from '../../src/base/log.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import type { AuthorizationAnswer, Keeper } from '../../src/link/link.ts';
import type { Transport, TransportEnd } from '../../src/protocol/ssh/ssh.ts';
import type { Session } from '../../src/proxy/open-session.ts';
import type { Place, RunningSession } from '../../src/proxy/proxy.ts';
import type { Recorder } from '../../src/recording/recorder.ts';

export const authorization: AuthorizationAnswer = {
  authorization: 'a1',
  protocol: 'ssh',
  user: 'ana',
  account: 'root',
  domain: '',
  target: 'web-01',
  address: '192.0.2.1',
  port: 22,
  hostKeyTypes: [],
  subprotocols: ['shell', 'exec', 'sftp', 'scp-up', 'scp-down'],
  recordContent: false,
};

/** The bytes of the password that the keeper gives; zeroed when the proxy lets go of them. */
export interface Stage extends Disposable {
  readonly place: Place;
  /** Names of the questions, in order, and whatever else a test writes there. */
  readonly steps: string[];
  /** The fields of each question. */
  readonly asked: { readonly name: string; readonly fields: Record<string, unknown> }[];
  readonly registered: Set<RunningSession>;
  readonly password: Uint8Array;
}

type Told = Partial<Record<keyof Keeper, (fields: never, signal: AbortSignal) => unknown>>;

export function stage(told: Told = {}): Stage {
  const spool = mkdtempSync(join(tmpdir(), 'sallyport-proxy-'));
  const steps: string[] = [];
  const asked: { name: string; fields: Record<string, unknown> }[] = [];
  const registered = new Set<RunningSession>();
  const password = new TextEncoder().encode('correct horse');
  const usual: Told = {
    authorize: () => authorization,
    'session.open': () => ({
      session: newId(),
      recording: newId(),
      key: new Uint8Array(32).fill(7),
      startedAt: Date.now(),
    }),
    'recording.block': () => null,
    'hold.open': () => ({ hold: 'h1' }),
    'credential.open': () => ({ kind: 'password', secret: password }),
    'session.live': () => null,
    'session.event': () => null,
    'session.end': () => null,
    ...told,
  };
  const keeper = new Proxy({} as Keeper, {
    get: (_, name: keyof Keeper) => async (fields: Record<string, unknown>, signal: AbortSignal) => {
      steps.push(name);
      asked.push({ name, fields });
      const answer = usual[name];
      if (answer === undefined) throw new Error(`nobody answers ${name}`);
      return await answer(fields as never, signal);
    },
  });
  const place: Place = {
    keeper,
    spool,
    hostKeys: [],
    clock: systemClock,
    log: silent,
    comebackMs: 3000,
    register: (running) => {
      registered.add(running);
      return { [Symbol.dispose]: () => void registered.delete(running) };
    },
  };
  return {
    place,
    steps,
    asked,
    registered,
    password,
    [Symbol.dispose]: () => rmSync(spool, { recursive: true, force: true }),
  };
}

/** A session that nothing ends, for what needs only its name and grant. */
export function quietSession(grant: Partial<AuthorizationAnswer> = {}): Session {
  return {
    id: newId(),
    recording: newId(),
    startedAt: 0,
    key: new Secret(new Uint8Array(32)),
    authorization: { ...authorization, ...grant },
    signal: new AbortController().signal,
    outcome: { by: 'broken', words: '', bytesIn: 0, bytesOut: 0 },
    blocks: 0,
    end: () => {},
    live: async () => {},
    fail: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Something that may have enough, by the test's word. */
class Sink {
  congested = false;
  readonly #drained: (() => void)[] = [];

  onDrain(listener: () => void): void {
    this.#drained.push(listener);
  }

  drain(): void {
    this.congested = false;
    for (const listener of this.#drained) listener();
  }
}

/** A recorder whose recording is a list of short lines. */
export class ListRecorder extends Sink implements Recorder {
  readonly id = newId<Recorder['id']>();
  readonly failed = new AbortController().signal;
  readonly events: Record<string, unknown>[] = [];

  append(kind: string, channel: number, bytes: Uint8Array): void {
    this.events.push({ kind, channel, text: Buffer.from(bytes).toString() });
  }

  record(detail: object, channel: number): void {
    this.events.push({ channel, ...detail });
  }

  finish(): void {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

/** One leg in memory: what is sent to it is a list, what its peer says a test gives in. */
export class Leg extends Sink implements Transport {
  readonly role = 'server';
  readonly sessionId = new Uint8Array();
  readonly negotiated = { kex: '', hostKey: '', cipherOut: '', cipherIn: '', macOut: '', macIn: '', strict: true };
  readonly peerVersion = '';
  readonly peerExtensions = new Map<string, Uint8Array>();
  readonly rekeys = { ours: 0, theirs: 0 };
  bytesIn = 0;
  bytesOut = 0;
  paused = false;
  readonly sent: Uint8Array[] = [];
  readonly goodbyes: string[] = [];
  unknowns = 0;
  readonly #end = Promise.withResolvers<TransportEnd>();
  readonly ended = this.#end.promise;
  #take: (payload: Uint8Array) => void = () => {};

  /** The peer says this. */
  says(...payloads: readonly Uint8Array[]): void {
    for (const payload of payloads) {
      this.bytesIn += payload.length;
      this.#take(payload);
    }
  }

  ends(how: TransportEnd): void {
    this.#end.resolve(how);
  }

  send(payload: Uint8Array): void {
    this.bytesOut += payload.length;
    this.sent.push(payload.slice());
  }

  async next(): Promise<Uint8Array | undefined> {
    return undefined;
  }

  relay(take: (payload: Uint8Array) => void): void {
    this.#take = take;
  }

  unimplemented(): void {
    this.unknowns++;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  rekey(): void {}

  async disconnect(_reason: number, message: string): Promise<void> {
    this.goodbyes.push(message);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
