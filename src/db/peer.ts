/**
 * A connection to another node's database: as the role that may read facts there, over TLS, to the one server whose
 * certificate was pinned. Nothing else about that server is believed, its name included.
 */
import { Socket } from 'node:net';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { codeOf, wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Secret } from '../base/secret.ts';
import type { Db } from './db.ts';
import { typeParsers } from './dsn.ts';
import { peerRole } from './embedded/neighbours.ts';
import { databaseName } from './embedded/settings.ts';
import { DbError } from './errors.ts';
import type { Tables } from './tables.ts';

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
  readonly password: Secret;
  /** PEM. */
  readonly certificate: string;
}

const patienceMs = 5_000;

/**
 * Opens one connection and proves that the server answers. Throws `db.unreachable`. The line is cut when the signal says
 * so, whatever is being waited for on it.
 */
export async function openPeer(at: PeerAddress, log: Log, signal?: AbortSignal): Promise<Db> {
  const pool = new pg.Pool({
    host: at.host,
    port: at.port,
    user: peerRole,
    database: databaseName,
    // A function, so that the text lives while the driver logs in and no longer.
    password: () => at.password.revealText(),
    // What is pinned is the certificate, and who has its key; the name in it says nothing.
    ssl: { ca: at.certificate, checkServerIdentity: () => undefined, minVersion: 'TLSv1.3' },
    application_name: 'sallyport node',
    stream: () => {
      const socket = new Socket();
      signal?.addEventListener('abort', () => socket.destroy(new Error('it took too long')), { once: true });
      return socket;
    },
    connectionTimeoutMillis: patienceMs,
    query_timeout: 30_000,
    types: typeParsers,
    max: 1,
  });
  pool.on('error', (error) =>
    log.debug({ code: codeOf(error) }, `a connection to another node was lost: ${wordsOf(error)}`),
  );
  try {
    signal?.throwIfAborted();
    (await pool.connect()).release();
  } catch (error) {
    await pool.end();
    throw new DbError('db.unreachable', `${at.host}:${at.port}: ${wordsOf(error)}`, { cause: error });
  }
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}
