/** Roles of a PostgreSQL server. What it keeps of a password is compared here by RFC 5802, without the product's own code. */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { startPostgres } from '../../test/lab/postgres.ts';
import { drawPassword } from '../values.ts';
import type { Family, Server } from './family.ts';
import { untilQuiet } from './quiet.ts';

async function start(): Promise<Server> {
  const server = await startPostgres('machine', { log_statement: 'none', log_min_messages: 'warning' });
  const keeper = drawPassword();
  await server.query(`CREATE ROLE keeper LOGIN SUPERUSER PASSWORD '${keeper.text}'`);
  return {
    address: server.address,
    port: server.port,
    service: (port) => {
      const tls = { serverName: server.serverName, ca: server.ca };
      return { name: 'db', protocol: 'postgres', port, settings: { tls } };
    },
    keeper: { name: 'keeper', connector: 'postgres', value: keeper },
    draw: async () => drawPassword(),
    plant: async (accounts) => {
      const there = new Set((await server.query('SELECT rolname FROM pg_roles')).map((row) => row['rolname']));
      for (const { name, value } of accounts)
        await server.query(`${there.has(name) ? 'ALTER' : 'CREATE'} ROLE ${name} LOGIN PASSWORD '${value.text}'`);
    },
    holds: async (accounts) => {
      const rows = await server.query('SELECT rolname, rolpassword FROM pg_authid');
      const stored = new Map(rows.map((row) => [row['rolname'], String(row['rolpassword'])]));
      return accounts.map(({ name, value }) => value.map((one) => isVerifierOf(stored.get(name) ?? '', one.text)));
    },
    quiet: () =>
      untilQuiet(async () => {
        const rows = await server.query(
          `SELECT usename FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> 'postgres'`,
        );
        return rows.map((row) => String(row['usename']));
      }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`. The values drawn here are ASCII, so there is nothing to normalize. */
function isVerifierOf(stored: string, text: string): boolean {
  const [, iterations = '', salt = '', storedKey = ''] = /^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):/.exec(stored) ?? [];
  if (storedKey === '') return false;
  const salted = pbkdf2Sync(text, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  return timingSafeEqual(createHash('sha256').update(clientKey).digest(), Buffer.from(storedKey, 'base64'));
}

export const postgresRoles: Family = {
  name: 'postgres',
  connector: 'postgres',
  kind: 'password',
  by: 'keeper',
  start,
};

/** A role that changes its own password: who does it has a value that stops working. */
export const postgresSelf: Family = { ...postgresRoles, name: 'postgres-self', by: 'self' };
