/**
 * A MariaDB of a test's own: a new data folder, TLS with an authority of its own, and every log that it can write: the
 * general log, the slow log with every statement in it, and the binary log. It starts in about two seconds.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { requirePackages } from './install.ts';
import { runWell } from './run.ts';
import { certificateName, freePort, makeCertificate, runAsServer, serverFolder, startServer } from './server.ts';

export interface MariadbServer extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** The name in its certificate. */
  readonly serverName: string;
  /** The authority that signed it, as PEM. */
  readonly ca: string;
  /** Everything of it lies here. */
  readonly folder: string;
  /** As root, over the unix socket, where no password is asked for. One statement. */
  readonly query: (text: string) => Promise<readonly Record<string, unknown>[]>;
  /** A connection of its own, of the same kind. */
  readonly connect: () => Promise<mysql.Connection>;
  /** Everything that it wrote: its logs, its binary log as it is and as mysqlbinlog shows it. */
  readonly logs: () => Promise<Readonly<Record<string, Buffer>>>;
}

export async function startMariadb(settings: readonly string[] = []): Promise<MariadbServer> {
  await requirePackages(['mariadb-server', 'mariadb-client', 'openssl']);
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await serverFolder()).path;
  const certificate = await makeCertificate(folder);
  const data = join(folder, 'data');
  const small = ['--innodb-log-file-size=4M', '--innodb-buffer-pool-size=8M', '--innodb-flush-log-at-trx-commit=0'];
  const plain = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve'];
  await runAsServer(['mariadb-install-db', '--no-defaults', `--datadir=${data}`, ...plain, ...small], folder);
  const logs = join(data, 'logs');
  await runAsServer(['mkdir', logs], folder);
  const port = await freePort();
  const socket = join(folder, 'socket');
  const argv = [
    'mariadbd',
    '--no-defaults',
    `--datadir=${data}`,
    `--socket=${socket}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--ssl-ca=${certificate.authorityFile}`,
    `--ssl-cert=${certificate.certificateFile}`,
    `--ssl-key=${certificate.keyFile}`,
    '--server-id=1',
    `--log-bin=${join(logs, 'binlog')}`,
    '--general-log',
    `--general-log-file=${join(logs, 'general.log')}`,
    '--slow-query-log',
    '--long-query-time=0',
    `--slow-query-log-file=${join(logs, 'slow.log')}`,
    '--performance-schema',
    '--performance-schema-consumer-events-statements-current=ON',
    '--performance-schema-consumer-events-statements-history-long=ON',
    '--plugin-load-add=auth_ed25519',
    ...small,
    ...settings,
  ];
  const server = undo.use(await startServer(argv, { folder, ready: /ready for connections/, end: 'KILL' }));
  const connect = async (): Promise<mysql.Connection> => {
    const connection = await mysql.createConnection({ socketPath: socket, user: 'root' });
    connection.on('error', () => {});
    return connection;
  };
  const root = await connect();
  undo.defer(() => root.destroy());
  const life = undo.move();
  return {
    address: '127.0.0.1',
    port,
    serverName: certificateName,
    ca: certificate.authority,
    folder,
    query: async (text) => {
      const [rows] = await root.query(text);
      return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
    },
    connect,
    logs: async () => {
      await root.query('FLUSH LOGS');
      const all: Record<string, Buffer> = { 'error log': Buffer.from(server.words()) };
      for (const name of await readdir(logs)) {
        const file = join(logs, name);
        all[name] = await readFile(file);
        if (/^binlog\.\d+$/.test(name))
          all[`mysqlbinlog ${name}`] = (await runWell(['mariadb-binlog', '-vv', file])).output;
      }
      return all;
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}
