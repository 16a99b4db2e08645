/** Accounts of a MariaDB server. What it keeps is compared with hashes that are made here. */
import { createHash } from 'node:crypto';
import { startMariadb } from '../../test/lab/mariadb.ts';
import { drawPassword } from '../values.ts';
import type { Family, Server } from './family.ts';
import { untilQuiet } from './quiet.ts';

async function start(): Promise<Server> {
  const server = await startMariadb();
  const keeper = drawPassword();
  await server.query(`CREATE USER 'keeper'@'%' IDENTIFIED BY '${keeper.text}'`);
  await server.query(`GRANT ALL PRIVILEGES ON *.* TO 'keeper'@'%' WITH GRANT OPTION`);
  return {
    address: server.address,
    port: server.port,
    service: (port) => {
      const tls = { serverName: server.serverName, ca: server.ca };
      return { name: 'db', protocol: 'mysql', port, settings: { tls } };
    },
    keeper: { name: 'keeper', connector: 'mysql', value: keeper },
    draw: async () => drawPassword(),
    plant: async (accounts) => {
      for (const { name, value } of accounts)
        await server.query(`CREATE OR REPLACE USER '${name}'@'%' IDENTIFIED BY '${value.text}'`);
    },
    holds: async (accounts) => {
      const rows = await server.query(
        `SELECT User, JSON_VALUE(Priv, '$.authentication_string') AS hash FROM mysql.global_priv WHERE Host = '%'`,
      );
      const stored = new Map(rows.map((row) => [row['User'], String(row['hash'])]));
      return accounts.map(({ name, value }) => value.map((one) => stored.get(name) === hashOf(one.text)));
    },
    quiet: () =>
      untilQuiet(async () => {
        const rows = await server.query(
          `SELECT USER AS name FROM information_schema.PROCESSLIST WHERE USER NOT IN ('root', 'system user', 'event_scheduler')`,
        );
        return rows.map((row) => String(row['name']));
      }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Of mysql_native_password: SHA-1 of SHA-1. */
function hashOf(text: string): string {
  const once = createHash('sha1').update(text).digest();
  return `*${createHash('sha1').update(once).digest('hex').toUpperCase()}`;
}

export const mariadbAccounts: Family = { name: 'mysql', connector: 'mysql', kind: 'password', by: 'keeper', start };
