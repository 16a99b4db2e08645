/**
 * The three configuration files of our own PostgreSQL. They are written anew at every start into a folder that the
 * server can read and not write; settings of an operator's come after ours. Values never reach the server's log:
 * neither statements nor parameters nor the DETAIL lines that quote rows.
 */
import { appRole, ownerRole } from '../roles.ts';
import { peerRole } from './neighbours.ts';

/** The cluster's first superuser: makes roles and databases, and backups. The program uses it only for what goes on between nodes. */
export const adminRole = 'postgres';
export const databaseName = 'sallyport';

const ours: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '200',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  password_encryption: 'scram-sha-256',
  timezone: 'UTC',
  log_timezone: 'UTC',
  jit: 'off',
  logging_collector: 'off',
  log_destination: 'stderr',
  log_line_prefix: '%m [%p] ',
  log_statement: 'none',
  log_min_duration_statement: '-1',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
};

export interface Places {
  readonly socketFolder: string;
  readonly hba: string;
  readonly ident: string;
}

/** postgresql.conf. Names of settings are checked, values are quoted. */
export function serverConf(places: Places, extra: Readonly<Record<string, string>>): string {
  const all = {
    ...ours,
    ...extra,
    unix_socket_directories: places.socketFolder,
    hba_file: places.hba,
    ident_file: places.ident,
  };
  const lines: string[] = [];
  for (const [name, value] of Object.entries(all)) {
    if (!/^[a-z_.]+$/.test(name) || /[\r\n\0]/.test(value)) throw new Error(`not a setting: ${name}`);
    lines.push(`${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`);
  }
  return `# Written at every start of Sallyport; changes here are lost.\n${lines.join('\n')}\n`;
}

const ownHba = `# Written at every start of Sallyport.
local all all peer map=sallyport
local replication all peer map=sallyport
`;

/**
 * pg_hba.conf: the unix socket, and on it the kernel's word for who is calling. There is no password to steal. Where other
 * nodes come in: one role, into one database, over TLS, with its password. (Logical replication names a database; the
 * word `replication`, which would let somebody copy the whole cluster, is not there.)
 */
export function hbaConf(peers: boolean): string {
  return peers ? `${ownHba}hostssl ${databaseName} ${peerRole} all scram-sha-256\n` : ownHba;
}

/** pg_ident.conf: which users of the machine may be which roles. */
export function identConf(users: readonly string[]): string {
  const lines = users.flatMap((user) =>
    [adminRole, ownerRole, appRole].map((role) => `sallyport "${user.replaceAll('"', '""')}" ${role}`),
  );
  return `# Written at every start of Sallyport.\n${lines.join('\n')}\n`;
}
