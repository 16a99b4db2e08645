/**
 * PostgreSQL clusters for tests of several nodes: one is made and migrated, the others are copies of its folder, so that
 * two or three are up within seconds. Nothing in them survives (fsync off), they listen on a unix socket only, and their
 * servers end with this process, however it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtempDisposable, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../../src/db/db.ts';
import { prepareDatabase } from '../../src/db/embedded.ts';
import { plainEnv, runWell } from './run.ts';

/** Debian's place; see `install.ts`. */
const programs = '/usr/lib/postgresql/15/bin';
const settings = {
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'logical',
  max_replication_slots: '20',
  max_wal_senders: '20',
  max_worker_processes: '40',
  max_logical_replication_workers: '20',
  wal_retrieve_retry_interval: '100ms',
  wal_writer_delay: '10ms',
  shared_buffers: '16MB',
  max_connections: '80',
  listen_addresses: '',
  autovacuum: 'off',
};

const up = 'database system is ready to accept connections';

/** Ends the server when our end of its standard input closes. */
const watcher = 'cat >/dev/null; kill -QUIT "$1"';

export interface Cluster extends AsyncDisposable {
  readonly name: string;
  /** The data folder; readable by the server's own user. */
  readonly data: string;
  readonly owner: Owner;
  readonly appUrl: string;
  readonly ownerUrl: string;
  /** The superuser, in the database `sallyport`. */
  readonly adminUrl: string;
  /** How another cluster's server reaches this one. */
  readonly conninfo: string;
  /** The server's log so far. */
  log(): string;
  /** `immediate` is what a loss of power is to its processes. */
  stop(how: 'fast' | 'immediate'): Promise<void>;
  start(more?: Readonly<Record<string, string>>): Promise<void>;
  /** Copies the folder of the stopped cluster; `restore` puts the copy in its place. */
  backup(): Promise<string>;
  restore(copy: string): Promise<void>;
}

/** Starts one cluster for each name, all alike; `prepare` works on the first before it is copied. */
export async function startClusters(
  names: readonly string[],
  prepare: (first: Cluster) => Promise<void>,
): Promise<AsyncDisposable & { readonly all: readonly Cluster[] }> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'nodes-'))).path;
  const owner = await ownerOfServers();
  await chmod(folder, 0o755);
  const template = cluster('template', folder, owner);
  await initialise(template.data, owner);
  await template.start();
  await prepareDatabase(template.adminUrl.replace('/sallyport?', '/postgres?'), 'sallyport');
  await migrate(template.ownerUrl);
  await prepare(template);
  await template.stop('fast');
  const all: Cluster[] = [];
  for (const name of names) {
    const one = undo.use(cluster(name, folder, owner));
    await one.restore(template.data);
    await one.start();
    all.push(one);
  }
  const life = undo.move();
  return { all, [Symbol.asyncDispose]: () => life.disposeAsync() };
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses root: there it is the user that Debian's package made. */
async function ownerOfServers(): Promise<Owner> {
  const [uid = 0, gid = 0] = [process.getuid?.(), process.getgid?.()];
  if (uid !== 0) return { uid, gid };
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((one) => one.startsWith('postgres:'));
  const [, , user, group] = (line ?? '').split(':');
  if (user === undefined) throw new Error('there is no user postgres');
  return { uid: Number(user), gid: Number(group) };
}

async function initialise(data: string, owner: Owner): Promise<void> {
  const argv = ['initdb', `--pgdata=${data}`, '--username=postgres', '--encoding=UTF8', '--locale=C.UTF-8'];
  await runWell(['install', '-d', '-m', '0700', '-o', String(owner.uid), '-g', String(owner.gid), data]);
  const as = ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'];
  const prefix = process.getuid?.() === 0 ? as : [];
  await runWell([...prefix, join(programs, argv[0] ?? ''), ...argv.slice(1), '--auth=trust', '--no-sync'], {
    cwd: '/',
  });
}

function cluster(name: string, folder: string, owner: Owner): Cluster {
  const data = join(folder, name);
  let server: ChildProcess | undefined;
  let log = '';
  let copies = 0;
  let port = '5432';
  const url = (role: string): string =>
    `postgres://${role}@localhost:${port}/sallyport?host=${encodeURIComponent(data)}`;

  async function start(more: Readonly<Record<string, string>> = {}): Promise<void> {
    const options = Object.entries({ ...settings, unix_socket_directories: data, ...more });
    port = more['port'] ?? '5432';
    const argv = [
      join(programs, 'postgres'),
      '-D',
      data,
      ...options.flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ];
    const started = spawn(argv[0] ?? '', argv.slice(1), {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...plainEnv, HOME: data },
      cwd: '/',
      ...(process.getuid?.() === 0 ? owner : {}),
    });
    const watching = spawn('sh', ['-c', watcher, 'sh', String(started.pid)], { stdio: ['pipe', 'ignore', 'ignore'] });
    started.once('exit', () => watching.kill('SIGKILL'));
    server = started;
    const ready = Promise.withResolvers<void>();
    started.stderr?.on('data', (bytes: Buffer) => {
      const from = log.length;
      log += bytes.toString();
      if (log.indexOf(up, from - up.length) >= 0) ready.resolve();
    });
    started.once('close', (code) =>
      ready.reject(new Error(`postgres of ${name} ended with ${code}:\n${log.slice(-3000)}`)),
    );
    await ready.promise;
  }

  async function stop(how: 'fast' | 'immediate'): Promise<void> {
    const running = server;
    if (running === undefined) return;
    server = undefined;
    const ended = once(running, 'close');
    running.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await ended;
  }

  const copy = async (from: string, to: string): Promise<void> => {
    await rm(to, { recursive: true, force: true });
    await runWell(['cp', '-a', from, to]);
    await chown(to, owner.uid, owner.gid);
    await rm(join(to, 'postmaster.pid'), { force: true });
  };
  return {
    name,
    data,
    owner,
    get appUrl() {
      return url('sallyport_app');
    },
    get ownerUrl() {
      return url('sallyport_owner');
    },
    get adminUrl() {
      return url('postgres');
    },
    get conninfo() {
      return `host=${data} port=${port} user=postgres dbname=sallyport`;
    },
    log: () => log,
    start,
    stop,
    backup: async () => {
      if (server !== undefined) throw new Error('stop the cluster before it is copied');
      copies += 1;
      const to = join(folder, `${name}-copy-${copies}`);
      await copy(data, to);
      return to;
    },
    restore: (from) => copy(from, data),
    [Symbol.asyncDispose]: () => stop('immediate'),
  };
}
