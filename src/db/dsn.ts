/**
 * The address of a database, judged before anything is sent to it. A server on another machine is refused unless its
 * certificate is verified; nothing is taken from PGHOST and its kin, so that what was judged is what is dialled.
 */
import { createRequire } from 'node:module';
import type { ClientConfig } from 'pg';
import pg from 'pg';
import { DbError } from './errors.ts';

/** pg's own parser, found where pg finds it: its result is what the driver would use, so its result is judged. */
const ofPg = createRequire(createRequire(import.meta.url).resolve('pg'));
const { parse } = ofPg('pg-connection-string') as { readonly parse: (text: string) => Record<string, unknown> };

const oids = { int8: 20, date: 1082 } as const;

/** Whether connections to `host` stay on this machine. */
function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * The driver's configuration for `url`; throws `db.url-invalid` or `db.remote-without-tls`. The password, if the
 * address has one, is in the result and nowhere else: the errors do not repeat the address.
 */
export function clientConfig(url: string, applicationName = 'sallyport'): ClientConfig {
  let parsed: Record<string, unknown>;
  try {
    parsed = parse(url);
  } catch {
    throw new DbError('db.url-invalid');
  }
  const word = (name: string): string => (typeof parsed[name] === 'string' ? parsed[name] : '');
  const host = word('host');
  const user = word('user');
  const database = word('database');
  const port = word('port') === '' ? 5432 : Number(word('port'));
  if (!/^(postgres(ql)?|socket):/.test(url) || host === '' || user === '' || database === '')
    throw new DbError('db.url-invalid', 'it must name a user, a host and a database');
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new DbError('db.url-invalid', 'the port is no number');
  const ssl = parsed['ssl'];
  if (!isLocal(host) && !(word('sslmode') === 'verify-full' && verifies(ssl)))
    throw new DbError('db.remote-without-tls', host);
  return {
    host,
    port,
    user,
    database,
    // Never undefined: the driver would look into PGPASSWORD and ~/.pgpass.
    password: word('password'),
    ssl: host.startsWith('/') ? false : typeof ssl === 'object' && ssl !== null ? ssl : ssl === true,
    application_name: applicationName,
    keepAlive: true,
    connectionTimeoutMillis: 15_000,
    types: typeParsers,
  };
}

function verifies(ssl: unknown): boolean {
  if (typeof ssl !== 'object' || ssl === null) return false;
  const options = ssl as { rejectUnauthorized?: unknown; checkServerIdentity?: unknown };
  return options.rejectUnauthorized !== false && options.checkServerIdentity === undefined;
}

/**
 * Values as the program sees them: bigint is a number (one that does not fit throws, it is never rounded), bytea a
 * Buffer, timestamptz a Date (milliseconds), date and numeric text.
 */
export const typeParsers = new pg.TypeOverrides();
typeParsers.setTypeParser(oids.int8, (digits: string) => {
  const value = Number(digits);
  if (!Number.isSafeInteger(value)) throw new DbError('db.integer-too-large', digits);
  return value;
});
typeParsers.setTypeParser(oids.date, (day: string) => day);
