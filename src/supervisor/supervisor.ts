/**
 * The supervisor: `sallyport start`. It starts the database (unless a server is given), the keeper and the gates, starts
 * again whatever dies, and ends them in the right order: gates first, so that sessions can finish, then the keeper,
 * then the database. It parses nothing from outside and holds no secret but the database's address, which may have a
 * password in it, and the gates' tokens, which it draws itself: a gate shows its token to the keeper, so that only
 * processes started here can be gates.
 */
import { randomBytes } from 'node:crypto';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { wordsOf } from '../base/errors.ts';
import type { GateId } from '../base/ids.ts';
import { type Log, openLog } from '../base/log.ts';
import { newId } from '../base/new-id.ts';
import type { Config } from '../config.ts';
import { type EmbeddedDatabase, type PeerPlace, startEmbedded } from '../db/embedded.ts';
import { type Child, keepRunning } from './child.ts';
import { PartError } from './errors.ts';
import { type Folders, prepareFolders } from './folders.ts';
import { lockData } from './lock.ts';
import { certificateMustWork } from './certificate.ts';
import { portMustBeFree } from './port.ts';
import { ownProgram, programFor } from './program.ts';

interface Place {
  readonly address: string;
  readonly port: number;
}

/** What the parts have said of themselves so far. */
export interface Running {
  readonly ssh: readonly Place[];
  readonly rdp: readonly Place[];
  /** Where signed events come in, if anywhere. */
  readonly events: readonly Place[];
  readonly keeperSocket: string;
  /** The code for the first administrator, as long as there is nobody. */
  readonly enrolment?: string;
  readonly pids: {
    readonly keeper: number | undefined;
    readonly gates: readonly (number | undefined)[];
    readonly database: number | undefined;
  };
}

/**
 * Runs Sallyport until `signal` fires and everything has ended. `ready` is called once, when the keeper and every gate
 * take work. Throws `supervisor.already-running`, `supervisor.data-unusable`, `supervisor.cannot-listen`, what the
 * database says, or what keeps keeper or gates from starting; once they have been ready, they are tried again instead.
 */
export async function supervise(config: Config, ready: (running: Running) => void, signal: AbortSignal): Promise<void> {
  const folders = prepareFolders(config.data);
  const logFd = process.stderr.isTTY ? openSync(join(folders.log, 'sallyport.log'), 'a', 0o600) : 2;
  const log = openLog('supervisor', config.logLevel, logFd === 2 ? 2 : join(folders.log, 'sallyport.log'));

  using lock = await lockData(folders.data, systemClock, log, signal);
  await portMustBeFree(config.ssh);
  if (config.rdp !== undefined) {
    await portMustBeFree(config.rdp);
    certificateMustWork(config.rdp);
  }
  if (config.events !== undefined) {
    await portMustBeFree(config.events);
    certificateMustWork(config.events);
  }
  await using database = await startDatabase(config, folders, log, signal);
  const stopKeeper = new AbortController();
  const stopGates = new AbortController();
  const parts = startParts(config, folders, database, lock.fd, logFd, log, ready, stopGates.signal, stopKeeper.signal);

  try {
    await Promise.race([parts.failed, new Promise<void>((resolve) => onAbort(signal, resolve))]);
  } finally {
    log.info({}, 'stopping');
    stopGates.abort();
    await Promise.all(parts.gates.map((gate) => gate.over));
    stopKeeper.abort();
    await parts.keeper.over;
  }
}

function onAbort(signal: AbortSignal, then: () => void): void {
  if (signal.aborted) then();
  else signal.addEventListener('abort', then, { once: true });
}

interface Parts {
  readonly keeper: Child;
  readonly gates: readonly Child[];
  /** Rejects when a part says, before all were ready once, why it cannot run, e.g. because the root key is missing. */
  readonly failed: Promise<never>;
}

function startParts(
  config: Config,
  folders: Folders,
  database: Database,
  lock: number,
  logFd: number,
  log: Log,
  ready: (running: Running) => void,
  stopGates: AbortSignal,
  stopKeeper: AbortSignal,
): Parts {
  const gateProgram = programFor(folders.gateUid, folders.program);
  const listening = new Map<number, (Place & { readonly protocol: 'ssh' | 'rdp' | 'events' })[]>();
  const tokens = new Map<number, { readonly id: GateId; readonly token: string }>();
  let enrolment: string | undefined;
  let keeperReady = false;
  let announced = false;
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  failed.catch(() => {});

  /** What ran once can run again: then the log has it, and it is tried until it does. */
  function heardFailure(line: Record<string, unknown>): void {
    if (line['failed'] === undefined || announced) return;
    fail(new PartError(line['failed'] as ConstructorParameters<typeof PartError>[0]));
  }

  const keeper = keepRunning(
    {
      name: 'keeper',
      program: ownProgram,
      log: logFd,
      lock,
      greeting: () => ({
        config,
        folders,
        ownerUrl: database.ownerUrl(),
        appUrl: database.appUrl(),
        ...database.own(),
        gates: [...tokens.values()],
      }),
      said: (line) => {
        heardFailure(line);
        if (line['ready'] === true) {
          keeperReady = true;
          enrolment = line['enrolment'] as string | undefined;
          announce();
        }
      },
      exited: () => {
        keeperReady = false;
      },
    },
    10_000,
    log,
    stopKeeper,
  );

  const gates = Array.from({ length: config.gates }, (_, index) =>
    keepRunning(
      {
        name: `gate-${index + 1}`,
        program: gateProgram,
        ...(folders.gateUid === undefined ? {} : { uid: folders.gateUid, gid: folders.gateUid }),
        log: logFd,
        lock,
        greeting: () => {
          const gate = { id: newId<GateId>(), token: randomBytes(32).toString('hex') };
          tokens.set(index, gate);
          keeper.tell({ gate });
          return {
            token: gate.token,
            link: folders.linkSocket,
            logLevel: config.logLevel,
            drainSeconds: config.drainSeconds,
            comebackSeconds: config.comebackSeconds,
          };
        },
        said: (line) => {
          heardFailure(line);
          if (line['listening'] === undefined) return;
          listening.set(index, line['listening'] as (Place & { readonly protocol: 'ssh' | 'rdp' | 'events' })[]);
          announce();
        },
        exited: () => {
          const gate = tokens.get(index);
          tokens.delete(index);
          listening.delete(index);
          if (gate !== undefined) keeper.tell({ gone: gate.token });
        },
      },
      (config.drainSeconds + 10) * 1000,
      log,
      stopGates,
    ),
  );

  /** Gates share their places; each is named once. */
  function places(wanted: 'ssh' | 'rdp' | 'events'): Place[] {
    const all = [...listening.values()].flat().filter(({ protocol }) => protocol === wanted);
    return [...new Map(all.map(({ address, port }) => [`${address}:${port}`, { address, port }])).values()];
  }

  function announce(): void {
    if (announced || !keeperReady || listening.size < config.gates) return;
    announced = true;
    ready({
      ssh: places('ssh'),
      rdp: places('rdp'),
      events: places('events'),
      keeperSocket: folders.keeperSocket,
      ...(enrolment === undefined ? {} : { enrolment }),
      pids: { keeper: keeper.pid, gates: gates.map((gate) => gate.pid), database: database.pid() },
    });
  }

  return { keeper, gates, failed };
}

interface Database extends AsyncDisposable {
  ownerUrl(): string;
  appUrl(): string;
  /** Of our own server only: the superuser, and where files for it lie. Given to the keeper for what nodes need. */
  own(): { readonly adminUrl: string; readonly peers?: PeerPlace } | undefined;
  pid(): number | undefined;
}

/** The server that was given, or one of our own that is started again when it dies. */
async function startDatabase(config: Config, folders: Folders, log: Log, signal: AbortSignal): Promise<Database> {
  if (config.databaseUrl !== undefined) {
    const url = config.databaseUrl;
    return {
      ownerUrl: () => url,
      appUrl: () => url,
      own: () => undefined,
      pid: () => undefined,
      [Symbol.asyncDispose]: async () => {},
    };
  }
  const stopped = new AbortController();
  const start = (): Promise<EmbeddedDatabase> =>
    startEmbedded({ dir: folders.db, log, peers: config.node }, stopped.signal);
  let database = await start();
  const watching = watch();
  async function watch(): Promise<void> {
    while (!stopped.signal.aborted) {
      await Promise.race([database.exited, new Promise<void>((resolve) => onAbort(stopped.signal, resolve))]);
      if (stopped.signal.aborted) return;
      log.warn({}, 'the database ended and is started again');
      try {
        await database[Symbol.asyncDispose]();
        database = await start();
      } catch (error) {
        log.error({ error: wordsOf(error) }, 'the database does not start');
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  }
  signal.throwIfAborted();
  return {
    ownerUrl: () => database.ownerUrl,
    appUrl: () => database.appUrl,
    own: () => ({
      adminUrl: database.adminUrl,
      ...(database.peers === undefined ? {} : { peers: database.peers }),
    }),
    pid: () => database.pid,
    [Symbol.asyncDispose]: async () => {
      stopped.abort();
      await watching;
      await database[Symbol.asyncDispose]();
    },
  };
}
