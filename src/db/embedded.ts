/**
 * Our own PostgreSQL, for who has none: made, started, adopted and stopped here, reached over a unix socket in a
 * folder that is closed to others, durable (fsync, checksums), as an unprivileged user even when we are root. It does
 * not restart itself: `exited` tells whoever supervises it. Linux only.
 *
 * There are no passwords. The server asks the kernel who is calling (`peer`) and lets our own user, and the server's,
 * be owner or app. Who can become one of them could read a password file as well.
 *
 *   DIR/lock          held while a process looks after this directory
 *   DIR/server.json   as whom the server runs; written once
 *   DIR/server.log    what the server says
 *   DIR/conf/         its configuration, written by us, read by it
 *   DIR/cluster/      its data
 *   DIR/run/          its socket
 *   DIR/programs-…/   a copy of npm's programs, if those are used
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import pg from 'pg';
import { wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { clientConfig } from './dsn.ts';
import { lockDirectory } from './embedded/lock.ts';
import {
  orphansGone,
  pidFileOfStranger,
  runningServer,
  send,
  type ServerExit,
  untilGone,
  untilReady,
} from './embedded/postmaster.ts';
import { copyBundle, findPrograms, type Programs } from './embedded/programs.ts';
import { type Listener, type PeerPlace, peerSettings, preparePeers } from './embedded/neighbours.ts';
import { adminRole, databaseName, hbaConf, identConf, serverConf } from './embedded/settings.ts';
import { chooseOwner, type Owner, ownName, plausible, type Runner, runnerFor } from './embedded/user.ts';
import { DbError } from './errors.ts';
import { appRole, ownerRole } from './roles.ts';

export { type Listener, type PeerFiles, peerFiles, type PeerPlace, peerRole } from './embedded/neighbours.ts';
export type { ServerExit } from './embedded/postmaster.ts';

export interface EmbeddedOptions {
  /** A directory of its own; made if it is missing. */
  readonly dir: string;
  readonly log: Log;
  /** The folder of PostgreSQL's programs, or `npm` for those that npm brought along; found if not given. */
  readonly programs?: string | undefined;
  /** Where other nodes come in, over TLS; without it there is no listener at all. */
  readonly peers?: Listener | undefined;
  /** Settings of postgresql.conf that come after ours. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

/** A running server. Disposing stops it and lets the directory go; after `exited` dispose it before starting again. */
export interface EmbeddedDatabase extends AsyncDisposable {
  readonly ownerUrl: string;
  readonly appUrl: string;
  /** The cluster's superuser, for backups, for more databases, and for what nodes need; not for the program else. */
  readonly adminUrl: string;
  /** Set if there is a listener for other nodes. */
  readonly peers: PeerPlace | undefined;
  readonly pid: number;
  /** True if it was running already and was taken over. */
  readonly adopted: boolean;
  /** Resolves, never rejects, when the server has ended. */
  readonly exited: Promise<ServerExit>;
  /** Lets the directory go and leaves the server running: the next start adopts it. */
  release(): void;
}

/**
 * Starts the server of `dir`, or adopts the one that runs there. Throws `db.already-running` if another process looks
 * after it, and `db.programs-missing`, `db.no-user`, `db.out-of-reach`, `db.init-failed`, `db.start-failed`.
 */
export async function startEmbedded(options: EmbeddedOptions, signal: AbortSignal): Promise<EmbeddedDatabase> {
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (statSync(dir).uid !== process.getuid?.()) throw new DbError('db.state-invalid', `${dir} is somebody else's`);
  const lock = lockDirectory(join(dir, 'lock'));
  try {
    return await start(dir, options, lock, signal);
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

async function start(
  dir: string,
  { log, programs: folder, settings = {}, peers: listener }: EmbeddedOptions,
  lock: Disposable,
  signal: AbortSignal,
): Promise<EmbeddedDatabase> {
  const owner = await ownerOf(dir);
  const cluster = join(dir, 'cluster');
  const making = join(dir, 'making');
  const conf = join(dir, 'conf');
  const run = socketFolder(dir, owner);
  chmodSync(dir, owner.name === 'postgres' ? 0o711 : 0o700);
  const programs = await programsFor(dir, cluster, folder);
  mkdirSync(conf, { recursive: true, mode: 0o755 });
  chmodSync(conf, 0o755);

  const bundle = programs.bundle === undefined ? [] : [programs.bundle.folder];
  const over = (folders: readonly string[]): Runner => runnerFor(owner, [...folders, conf, run, ...bundle], dir);
  const bin = (runner: Runner, name: string): string =>
    join(programs.bundle === undefined ? programs.bin : join(runner.view(programs.bundle.folder), 'bin'), name);

  if (!isFolder(cluster)) {
    // Made beside and then renamed: a cluster that exists is a whole one.
    rmSync(making, { recursive: true, force: true });
    mkdirSync(making, { mode: 0o700 });
    chownSync(making, owner.uid, owner.gid);
    const runner = over([making]);
    await initialise(runner, bin(runner, 'initdb'), runner.view(making), signal);
    renameSync(making, cluster);
    log.info({ version: programs.major, user: owner.uid }, 'a new database cluster was made');
  }

  const peersFolder = join(dir, 'peers');
  if (listener !== undefined) preparePeers(peersFolder, owner);
  const runner = over(listener === undefined ? [cluster] : [cluster, peersFolder]);
  const view = runner.view(conf);
  const seen = runner.view(peersFolder);
  const peers = listener === undefined ? undefined : { folder: peersFolder, seen, uid: owner.uid, gid: owner.gid };
  const more = listener === undefined ? {} : peerSettings(listener, seen);
  const places = { socketFolder: runner.view(run), hba: `${view}/pg_hba.conf`, ident: `${view}/pg_ident.conf` };
  const wanted = serverConf(places, { ...more, ...settings });
  const others = (await readFile(join(conf, 'postgresql.conf'), 'utf8').catch(() => wanted)) !== wanted;
  writeFileSync(join(conf, 'postgresql.conf'), wanted, { mode: 0o644 });
  writeFileSync(join(conf, 'pg_hba.conf'), hbaConf(listener !== undefined), { mode: 0o644 });
  writeFileSync(join(conf, 'pg_ident.conf'), identConf([...new Set([ownName(), owner.name])]), { mode: 0o644 });

  let pid = await runningServer(cluster, owner.uid);
  if (pid !== undefined && others) {
    // It would go on under its former settings, a listener that is wanted no more among them.
    send(pid, 'SIGINT');
    await untilGone(pid, undefined);
    pid = undefined;
  }
  let child: ChildProcess | undefined;
  const adopted = pid !== undefined;
  if (pid === undefined) {
    await orphansGone(cluster, owner.uid, 2_000, signal);
    if (await pidFileOfStranger(cluster, owner.uid)) rmSync(join(cluster, 'postmaster.pid'), { force: true });
    child = launch(runner, bin(runner, 'postgres'), runner.view(cluster), view, join(dir, 'server.log'));
    pid = child.pid;
    if (pid === undefined) throw new DbError('db.start-failed', 'the program could not be started');
  } else {
    send(pid, 'SIGHUP');
  }
  const port = listener?.port ?? usualPort;
  return await watch(pid, child, { dir, cluster, run, adopted, lock, log, port, peers }, signal);
}

interface Started {
  readonly dir: string;
  readonly cluster: string;
  readonly run: string;
  readonly adopted: boolean;
  readonly lock: Disposable;
  readonly log: Log;
  /** Part of the socket's name. */
  readonly port: number;
  readonly peers: PeerPlace | undefined;
}

const usualPort = 5432;

/** From a process to a usable database: waits until it answers, makes the roles, hands it over. */
async function watch(
  pid: number,
  child: ChildProcess | undefined,
  { dir, cluster, run, adopted, lock, log, port, peers }: Started,
  signal: AbortSignal,
): Promise<EmbeddedDatabase> {
  let asked = false;
  const gone = untilGone(pid, child);
  let ended = false;
  const exited = gone.then((exit) => {
    ended = true;
    return { expected: asked, ...exit };
  });
  const url = (role: string, database: string): string =>
    `postgres://${role}@localhost${port === usualPort ? '' : `:${port}`}/${database}?host=${encodeURIComponent(run)}`;
  const stop = async (): Promise<void> => {
    asked = true;
    // Once it is gone its number may be somebody else's.
    if (!ended) send(pid, 'SIGINT');
    const impatient = setTimeout(() => send(pid, 'SIGQUIT'), 30_000);
    await gone;
    clearTimeout(impatient);
    if (!run.startsWith(dir)) removeIfEmpty(run);
    lock[Symbol.dispose]();
  };
  try {
    await untilReady(cluster, pid, gone, join(dir, 'server.log'), signal);
    await prepareDatabase(url(adminRole, 'postgres'), databaseName);
  } catch (error) {
    await stop();
    throw error;
  }
  log.info({ server: pid, adopted }, adopted ? 'the running database was adopted' : 'the database is running');
  return {
    ownerUrl: url(ownerRole, databaseName),
    appUrl: url(appRole, databaseName),
    adminUrl: url(adminRole, 'postgres'),
    peers,
    pid,
    adopted,
    exited,
    release: () => lock[Symbol.dispose](),
    [Symbol.asyncDispose]: stop,
  };
}

/** Makes the two roles and a database of the owner's that only they may enter, where they are missing. */
export async function prepareDatabase(adminUrl: string, name: string, template = 'template1'): Promise<void> {
  const client = new pg.Client(clientConfig(adminUrl, 'sallyport setup'));
  client.on('error', () => {});
  await client.connect();
  try {
    for (const role of [ownerRole, appRole]) {
      const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
      if (rowCount === 0) await client.query(`CREATE ROLE ${role} LOGIN`);
    }
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    const id = client.escapeIdentifier(name);
    if (rowCount === 0)
      await client.query(`CREATE DATABASE ${id} OWNER ${ownerRole} TEMPLATE ${client.escapeIdentifier(template)}`);
    // Every time: who was cut off after the first of these three would have a database that nobody may enter, or anybody.
    await client.query(`REVOKE ALL ON DATABASE ${id} FROM PUBLIC`);
    await client.query(`GRANT CONNECT ON DATABASE ${id} TO ${appRole}`);
  } finally {
    await client.end();
  }
}

async function initialise(runner: Runner, initdb: string, cluster: string, signal: AbortSignal): Promise<void> {
  const args = [
    `--pgdata=${cluster}`,
    `--username=${adminRole}`,
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    '--data-checksums',
    '--auth-local=peer',
    '--auth-host=scram-sha-256',
    '--no-instructions',
  ];
  const child = runner.spawn(initdb, args, { stdio: ['ignore', 'pipe', 'pipe'], env: serverEnv(), signal });
  let words = '';
  const take = (chunk: Buffer): void => {
    words = (words + chunk.toString('utf8')).slice(-2048);
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  const code = await new Promise<number | null>((done, failed) => {
    child.once('error', failed);
    child.once('close', done);
  }).catch((error: unknown) => {
    throw new DbError('db.init-failed', wordsOf(error), { cause: error });
  });
  if (code !== 0) throw new DbError('db.init-failed', words.trim());
}

/** In a process group of its own: a Ctrl-C for us is not one for the database, which is stopped last. */
function launch(runner: Runner, postgres: string, cluster: string, conf: string, logFile: string): ChildProcess {
  if (isLarge(logFile)) renameSync(logFile, `${logFile}.1`);
  const log = openSync(logFile, 'a', 0o600);
  const args = ['-D', cluster, '-c', `config_file=${conf}/postgresql.conf`];
  const child = runner.spawn(postgres, args, { stdio: ['ignore', log, log], detached: true, env: serverEnv() });
  child.on('error', () => {});
  child.unref();
  closeSync(log);
  return child;
}

/** Nothing of our environment reaches the server. */
function serverEnv(): Record<string, string> {
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' };
}

async function ownerOf(dir: string): Promise<Owner> {
  const path = join(dir, 'server.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) {
    const owner = chooseOwner();
    writeFileSync(path, `${JSON.stringify(owner)}\n`, { mode: 0o600 });
    return owner;
  }
  try {
    const owner = JSON.parse(text) as Owner;
    if (Number.isInteger(owner.uid) && Number.isInteger(owner.gid) && plausible(owner)) return owner;
  } catch {
    // Said below.
  }
  throw new DbError('db.state-invalid', path);
}

async function programsFor(dir: string, cluster: string, folder: string | undefined): Promise<Programs> {
  const version = await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch(() => undefined);
  const programs = await findPrograms(version === undefined ? undefined : Number.parseInt(version, 10), folder);
  if (programs.bundle === undefined) return programs;
  const copy = join(dir, `programs-${programs.bundle.version}`);
  await copyBundle(programs.bundle.folder, copy);
  return { ...programs, bin: join(copy, 'bin'), bundle: { folder: copy, version: programs.bundle.version } };
}

/** DIR/run, or where that is too long for a socket's address (108 bytes) a folder of that meaning in /tmp. */
function socketFolder(dir: string, owner: Owner): string {
  const name = '.s.PGSQL.5432';
  const long = join(dir, 'run', name).length > 100;
  const short = createHash('sha256').update(dir).digest('hex').slice(0, 16);
  const folder = long ? join(tmpdir(), `sallyport-${short}`) : join(dir, 'run');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Not followed: whoever may write in /tmp could have put a link there.
  const found = lstatSync(folder);
  const mine = found.uid === owner.uid || found.uid === process.getuid?.();
  if (!mine || !found.isDirectory()) throw new DbError('db.state-invalid', `${folder} is somebody else's`);
  chownSync(folder, owner.uid, owner.gid);
  chmodSync(folder, 0o700);
  return folder;
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // The next start uses it again.
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function isLarge(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 16 * 1024 * 1024;
}
