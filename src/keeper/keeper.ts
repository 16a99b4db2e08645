/**
 * The keeper process: everything that must be kept is here, and nothing here listens on a network or parses what strangers
 * send. It is composed in the order of the rooms, each handed what it needs, and taken down in reverse.
 *
 * It begins by taking over from a keeper that may have been killed: gates that still run get a while (`comebackSeconds`)
 * to come back to their sessions; what nobody comes back for is ended, released and sealed.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { endRevoked, killsWaiting, type SessionKill, sessionKill } from '../access/access.ts';
import { type Actor, record, signHead } from '../audit/audit.ts';
import { systemClock } from '../base/clock.ts';
import { codeOf, SallyportError, wordsOf } from '../base/errors.ts';
import type { GateId } from '../base/ids.ts';
import { type Log, openLog } from '../base/log.ts';
import type { Config } from '../config.ts';
import { type Db, listen, migrate, openDatabase } from '../db/db.ts';
import type { PeerPlace } from '../db/embedded.ts';
import { type JobQueue, openJobs } from '../db/jobs.ts';
import { accessChanged, ensureEnrolment, liveTokens, users } from '../identity/identity.ts';
import { eventSources, openMembership, openRotation, type OwnServer, timingFor } from '../rotation/rotation.ts';
import { createRootKey, openVault } from '../vault/vault.ts';
import { openAuthority } from './authority.ts';
import { serveOperators } from './contract-server.ts';
import { type Gates, type GateToken, openGates } from './gates.ts';
import { serveGates } from './link-server.ts';
import { type LiveSessions, openLiveSessions, type Which } from './live-sessions.ts';
import type { Rooms } from './rooms.ts';

/** What the supervisor says first. */
interface Greeting {
  readonly config: Config;
  readonly folders: {
    readonly keeperSocket: string;
    readonly linkSocket: string;
    readonly spool: string;
    readonly recordings: string;
    readonly anchors: string;
    readonly gateUid?: number;
  };
  readonly ownerUrl: string;
  readonly appUrl: string;
  /** Of our own server: its superuser, and where it reads what it needs for other nodes, if they may come in. */
  readonly adminUrl?: string;
  readonly peers?: PeerPlace;
  readonly gates: readonly GateToken[];
}

/** How long gates get to end in order when the supervisor is gone. */
const aloneMs = 11_000;
const longestPauseMs = 30_000;
/** Every minute the audit trail's newest row is signed and written outside the database. */
const signedHeads: JobQueue<object> = { name: 'audit-head', exclusive: true };
const self: Actor = { kind: 'system', part: 'keeper' };

/** Runs until SIGTERM or the end of `input` (the supervisor is gone). What keeps it from starting is told by `say`. */
export async function runKeeper(input: Readable, say: (line: object) => void, version: string): Promise<void> {
  const lines = createInterface({ input });
  const heard = lines[Symbol.asyncIterator]();
  const greeting = JSON.parse((await heard.next()).value as string) as Greeting;
  const log = openLog('keeper', greeting.config.logLevel);
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort(new Error('told to stop')));
  // A Ctrl-C reaches the whole process group; the supervisor turns it into what everybody has to do.
  process.on('SIGINT', () => {});
  const gates = openGates();
  for (const gate of greeting.gates) gates.expect(gate);
  try {
    await keep(greeting, gates, heard, say, version, log, stop);
  } catch (error) {
    if (!stop.signal.aborted) {
      log.error({ code: codeOf(error), error: wordsOf(error) }, 'the keeper cannot run');
      const remedy = error instanceof SallyportError ? error.remedy : 'look into the log';
      say({ failed: { code: codeOf(error), words: wordsOf(error), remedy } });
      process.exitCode = 1;
    }
  }
  process.exit();
}

async function keep(
  { config, folders, ownerUrl, appUrl, adminUrl, peers }: Greeting,
  gates: Gates,
  heard: AsyncIterator<string>,
  say: (line: object) => void,
  version: string,
  log: Log,
  stop: AbortController,
): Promise<void> {
  const signal = stop.signal;
  const clock = systemClock;

  // -- The rooms, from the ground up --------------------------------------------------------------------------------
  await migrate(ownerUrl);
  await using db = await openDatabase(appUrl, { max: 10, applicationName: 'sallyport-keeper' }, log);
  await firstKey(db, config.rootKey, config.data);
  await using vault = await openVault(
    { db, rootKeyPath: config.rootKey, dataDirectory: config.data, log, clock },
    signal,
  );
  const auditSigner = await vault.sealSigner('audit-head');
  const recordingSigner = await vault.sealSigner('recording-seal');
  const anchorFile = join(folders.anchors, 'audit.anchors');
  // First, so that a database that was set back changes nothing.
  const server = ownServer(config, adminUrl, peers);
  const sealedElsewhere = async (): Promise<boolean> =>
    (await users(db)).some((user) => user.factors.includes('totp')) ||
    (await eventSources(db)).length > 0 ||
    (await liveTokens(db, clock.now())).length > 0;
  await using membership = await openMembership(
    { db, url: appUrl, vault, log, clock, server, sealedElsewhere },
    signal,
  );
  const { heartbeatHours, discoverAt, discoverZone, ...rules } = config.rotation;
  const [hour, minute] = discoverAt.split(':');
  const discovery = discoverAt === 'never' ? null : { cron: `${minute} ${hour} * * *`, zone: discoverZone };
  await using rotation = await openRotation(
    {
      db,
      url: appUrl,
      vault,
      log,
      clock,
      timing: timingFor(config.connectorSeconds),
      rules: { ...rules, heartbeatMs: heartbeatHours * 3_600_000, discovery },
      plugins: config.plugins,
    },
    signal,
  );
  const rooms: Rooms = {
    db,
    url: appUrl,
    vault,
    rotation,
    membership,
    gates,
    clock,
    log,
    version,
    startedAt: new Date(clock.now()),
    auditSigner,
    recordingSigner,
    anchorFile,
    spool: folders.spool,
    recordings: folders.recordings,
  };
  await record(db, self, { type: 'keeper.started', about: {}, details: { version, node: process.version } });

  // -- Who may speak to it: gates, and operators --------------------------------------------------------------------
  const live = openLiveSessions(rooms);
  const hostKeys = [
    await vault.signer('host-ed25519'),
    await vault.signer('host-ecdsa-256'),
    await vault.signer('host-rsa-3072'),
  ];
  const { ssh, rdp, events } = config;
  const shown = rdp ?? { names: [], address: '127.0.0.1' };
  const authority = openAuthority({ db, vault, clock, log }, shown);
  const link = { socket: folders.linkSocket, gateUid: folders.gateUid, ssh, rdp, events, authority, hostKeys };
  // First, so that no gate knocks before its token is known.
  void listenToSupervisor(heard, gates, live, rooms, stop);
  await serveGates(rooms, live, link, signal);
  await serveOperators(rooms, live, authority, rdp, folders.keeperSocket, signal);

  // -- What another keeper left -------------------------------------------------------------------------------------
  void takeOver(gates, live, rooms, config.comebackSeconds * 1000, signal);

  // -- What must be heard of at once: kills, revoked rights ---------------------------------------------------------
  const look = (): void => void endWhatMustEnd(rooms, signal);
  const onEvent = (channel: string, payload: string): void => {
    if (channel === sessionKill) tellKill(rooms, JSON.parse(payload) as SessionKill);
    else if (channel === nodeChanged) void startAgain(rooms, stop);
    else look();
  };
  await listen(appUrl, [sessionKill, accessChanged, nodeChanged], { onEvent, onReconnected: look }, log, signal);
  const timer = setInterval(look, 5000);
  // A job and not a timer: of several keepers on one database one signs.
  await using jobs = await openJobs(appUrl, log);
  await jobs.work(signedHeads, () => anchor(rooms));
  await jobs.schedule(signedHeads, '* * * * *', {});

  using enrolment = (await ensureEnrolment(db, clock.now()))?.code;
  say({ ready: true, ...(enrolment === undefined ? {} : { enrolment: enrolment.revealText() }) });
  log.info({ version }, 'the keeper is ready');

  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  clearInterval(timer);
  await record(db, self, { type: 'keeper.stopped', about: {}, details: { reason: wordsOf(signal.reason) } });
  await anchor(rooms);
}

/** Of what other nodes need, what there is. */
function ownServer(
  { node }: Config,
  adminUrl: string | undefined,
  place: PeerPlace | undefined,
): OwnServer | 'nodes.own-server' | 'nodes.no-listener' {
  if (adminUrl === undefined) return 'nodes.own-server';
  if (node === undefined || place === undefined) return 'nodes.no-listener';
  return { adminUrl: adminUrl.replace('/postgres?', '/sallyport?'), place, host: node.host, port: node.port };
}

/** The name in facts, or the key ring, is another one now: everything that knows the former one is opened again. */
const nodeChanged = 'node_changed';

/** When what was asked is done and its answer was sent, which takes a moment. */
async function startAgain({ membership, clock }: Rooms, stop: AbortController): Promise<void> {
  await membership.idle();
  await clock.sleep(300, stop.signal).catch(() => {});
  stop.abort(new Error('this node has another name or key ring now'));
}

/** On the very first start there is neither vault nor key: the key is made. Later a missing key is an error. */
async function firstKey(db: Db, path: string, dataDirectory: string): Promise<void> {
  const vaulted = await db.selectFrom('vault_kek').select('version').limit(1).executeTakeFirst();
  if (vaulted !== undefined) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await createRootKey(path, dataDirectory).catch((error: unknown) => {
    if (codeOf(error) !== 'vault.rootkey-exists') throw error;
  });
}

/** Gates come and go as the supervisor says; when it falls silent it is gone, and after the last gate so are we. */
async function listenToSupervisor(
  heard: AsyncIterator<string>,
  gates: Gates,
  live: LiveSessions,
  rooms: Rooms,
  stop: AbortController,
): Promise<void> {
  for (let next = await heard.next(); next.done !== true; next = await heard.next()) {
    const line = JSON.parse(next.value) as { gate?: GateToken; gone?: string };
    if (line.gate !== undefined) gates.expect(line.gate);
    if (line.gone === undefined) continue;
    const id = gates.forget(line.gone);
    if (id !== undefined) void gateLost(id, live, rooms, stop.signal);
  }
  for (const late = rooms.clock.now() + aloneMs; gates.connected().length > 0 && rooms.clock.now() < late; )
    await rooms.clock.sleep(50, stop.signal).catch(() => {});
  stop.abort(new Error('the supervisor is gone'));
}

/** A gate's process has ended, and its sessions with it. */
async function gateLost(id: GateId, live: LiveSessions, rooms: Rooms, signal: AbortSignal): Promise<void> {
  const details = { reason: 'its process ended', sessions: live.count(id) };
  await untilDone(() => record(rooms.db, self, { type: 'gate.lost', about: { gate: id }, details }), rooms, signal);
  await untilDone(() => live.abandon((gate) => gate === id, 'the gate ended', signal), rooms, signal);
}

/** Tries again, while the database is away, until `work` neither throws nor is false, or the signal fires. Never throws. */
async function untilDone(work: () => Promise<unknown>, { clock, log }: Rooms, signal: AbortSignal): Promise<void> {
  for (let pause = 500; !signal.aborted; pause = Math.min(2 * pause, longestPauseMs)) {
    try {
      if ((await work()) !== false) return;
    } catch (error) {
      if (!signal.aborted) log.warn({ error: wordsOf(error) }, 'what lost sessions left could not be finished yet');
    }
    await clock.sleep(pause, signal).catch(() => {});
  }
}

/** At once what belongs to gates that are gone; after a while what living gates did not come back for. */
async function takeOver(
  gates: Gates,
  live: LiveSessions,
  rooms: Rooms,
  comebackMs: number,
  signal: AbortSignal,
): Promise<void> {
  const giveUp = (which: Which, why: string): Promise<void> =>
    untilDone(() => live.abandon(which, why, signal), rooms, signal);
  void giveUp((gate, claimed) => !claimed && !gates.expected(gate), 'its gate did not survive');
  await rooms.clock.sleep(comebackMs, signal).catch(() => {});
  await giveUp((gate, claimed) => !claimed && gates.find(gate) === undefined, 'its gate did not come back');
}

/** Ends sessions whose right has gone, and tells gates again of kills that they may have missed. */
async function endWhatMustEnd(rooms: Rooms, signal: AbortSignal): Promise<void> {
  try {
    await endRevoked(rooms.db, rooms.clock.now());
    for (const kill of await killsWaiting(rooms.db)) tellKill(rooms, kill);
  } catch (error) {
    if (!signal.aborted)
      rooms.log.error({ error: wordsOf(error) }, 'rights of running sessions could not be read again');
  }
}

function tellKill(rooms: Rooms, { session, gate, reason }: SessionKill): void {
  rooms.gates.find(gate as GateId)?.line.tell('session.kill', { session, reason });
}

/** Signs the audit trail's head and writes it outside the database. */
async function anchor({ db, auditSigner, anchorFile, log }: Rooms): Promise<void> {
  try {
    await signHead(db, (bytes) => auditSigner.sign(bytes), anchorFile);
  } catch (error) {
    log.error({ error: wordsOf(error) }, 'the head of the audit trail could not be signed');
  }
}
