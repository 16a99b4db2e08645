/**
 * The role as which other nodes read: it may log in over TLS, read the tables of facts, and leave a letter. It may also
 * stream the log, and through that a node that has its password can read whatever is written here; so nodes trust each
 * other like copies of one, as they do by sharing the root key.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { Secret } from '../../base/secret.ts';
import type { Db, Tx } from '../../db/db.ts';
import { peerRole } from '../../db/embedded.ts';
import { travelling } from './publication.ts';

export const peerRoleName = peerRole;

/** What it reads besides the facts: the ring (sealed), the cards (sealed), and which version this is. */
const more = [
  'vault_root',
  'vault_kek',
  'ledger_ring_history',
  'ledger_node',
  'node_peer',
  'schema_migration',
] as const;

export function drawPassword(): Secret {
  return Secret.fromText(randomBytes(32).toString('base64url'));
}

/** Gives the role another password; connections that are open stay so. */
export async function setPassword(admin: Db | Tx, password: Secret): Promise<void> {
  // The statement has the verifier and not the password, so no log can have it.
  await sql`ALTER ROLE ${sql.id(peerRole)} PASSWORD ${sql.lit(scramVerifier(password))}`.execute(admin);
}

/** Makes the role, or gives it a new password and its rights again. Returns the password. */
export async function makePeerRole(admin: Db): Promise<Secret> {
  const password = drawPassword();
  const name = sql.id(peerRole);
  const { rows } = await sql`SELECT FROM pg_roles WHERE rolname = ${peerRole}`.execute(admin);
  const options = sql`WITH LOGIN REPLICATION NOINHERIT CONNECTION LIMIT 64 PASSWORD ${sql.lit(scramVerifier(password))}`;
  if (rows.length === 0) await sql`CREATE ROLE ${name} ${options}`.execute(admin);
  else await sql`ALTER ROLE ${name} ${options}`.execute(admin);
  const tables = sql.join([...Object.keys(travelling), ...more].map((table) => sql.table(table)));
  await sql`GRANT CONNECT ON DATABASE ${sql.id('sallyport')} TO ${name}`.execute(admin);
  await sql`GRANT USAGE ON SCHEMA public TO ${name}`.execute(admin);
  await sql`GRANT SELECT ON ${tables} TO ${name}`.execute(admin);
  await sql`GRANT EXECUTE ON FUNCTION node_knock(bytea) TO ${name}`.execute(admin);
  return password;
}

const rounds = 4096;

/** What PostgreSQL keeps of a password (RFC 5803 §3, as in its pg_authid). */
function scramVerifier(password: Secret): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password.reveal(), salt, rounds, 32, 'sha256');
  const of = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const stored = createHash('sha256').update(of(salted, 'Client Key')).digest('base64');
  const server = of(salted, 'Server Key').toString('base64');
  salted.fill(0);
  return `SCRAM-SHA-256$${rounds}:${salt.toString('base64')}$${stored}:${server}`;
}
