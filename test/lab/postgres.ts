/**
 * A PostgreSQL of a test's own: a new cluster in a temporary folder, TLS with an authority of its own, SCRAM, and every
 * statement in its log. It starts in about two seconds.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { copyBundle, findPrograms } from '../../src/db/embedded/programs.ts';
import { requirePackages } from './install.ts';
import { certificateName, freePort, makeCertificate, runAsServer, serverFolder, startServer } from './server.ts';

export interface PostgresServer extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** The name in its certificate. */
  readonly serverName: string;
  /** The authority that signed it, as PEM. */
  readonly ca: string;
  readonly major: number;
  readonly folder: string;
  /** As the superuser, over the unix socket, where no password is asked for. */
  readonly query: (text: string) => Promise<readonly Record<string, unknown>[]>;
  /** A connection of its own, of the same kind. */
  readonly connect: () => Promise<pg.Client>;
  /** Its log. */
  readonly log: () => string;
}

/** `machine`: what Debian has. `npm`: the newest that npm brings along. */
export async function startPostgres(
  which: 'machine' | 'npm' = 'machine',
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  await requirePackages(['postgresql', 'openssl']);
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await serverFolder()).path;
  const found = await findPrograms(undefined, which === 'npm' ? 'npm' : undefined);
  const bin = found.bundle === undefined ? found.bin : join(folder, 'programs', 'bin');
  if (found.bundle !== undefined) await copyBundle(found.bundle.folder, join(folder, 'programs'));
  const certificate = await makeCertificate(folder);
  const data = join(folder, 'data');
  const made = [
    '--username=postgres',
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
    '--no-instructions',
  ];
  await runAsServer([join(bin, 'initdb'), `--pgdata=${data}`, ...made], folder);
  await runAsServer(['mkdir', join(folder, 'run')], folder);
  await writeFile(join(data, 'pg_hba.conf'), hba);
  const port = await freePort();
  const all: Record<string, string> = {
    port: `${port}`,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: join(folder, 'run'),
    ssl: 'on',
    ssl_cert_file: certificate.certificateFile,
    ssl_key_file: certificate.keyFile,
    log_statement: 'all',
    log_min_duration_statement: '0',
    log_connections: 'on',
    log_min_messages: 'debug1',
    shared_buffers: '16MB',
    fsync: 'off',
    ...settings,
  };
  const argv = [
    join(bin, 'postgres'),
    '-D',
    data,
    ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  // Immediate shutdown: nothing of it is kept.
  const server = undo.use(await startServer(argv, { folder, ready: /ready to accept connections/, end: 'QUIT' }));
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ host: join(folder, 'run'), port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const admin = await connect();
  undo.defer(() => admin.end());
  const life = undo.move();
  return {
    address: '127.0.0.1',
    port,
    serverName: certificateName,
    ca: certificate.authority,
    major: found.major,
    folder,
    query: async (text) => (await admin.query<Record<string, unknown>>(text)).rows,
    connect,
    log: server.words,
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** Over the network only with TLS and SCRAM, except for who proves special things. */
const hba = `local all all trust
hostssl all trusted 127.0.0.1/32 trust
hostssl all clear 127.0.0.1/32 password
hostssl all nobody_from_here 127.0.0.1/32 reject
host all plain 127.0.0.1/32 md5
hostssl all old 127.0.0.1/32 md5
hostssl all all 127.0.0.1/32 scram-sha-256
`;
