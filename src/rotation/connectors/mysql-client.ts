/**
 * One connection to MariaDB or MySQL for a connector. The session is made plain first: `sql_mode` empty, because under
 * NO_BACKSLASH_ESCAPES a value quoted the usual way is another value, and utf8mb4. No file is ever read for the server,
 * and a password is never sent in clear: as such it goes only to MySQL's own sha2 plugins and only inside TLS.
 */
import type { AuthPlugin, Connection, ConnectionOptions, QueryError } from 'mysql2';
import { codeOf, wordsOf } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import type { AnswerClass, Login, Place } from './connector.ts';
import { certificateName, classOfNetwork, socketTo, tlsOptions } from './dial.ts';
import { ed25519Proof } from './mysql-secret.ts';
import { parseAccount } from './wire/mysql-account.ts';
import { parseVersion, type Server } from './wire/mysql-row.ts';

export type Row = Readonly<Record<string, unknown>>;

export interface MysqlSession extends Disposable {
  readonly server: Server;
  /** Our own address on this connection. */
  readonly address: string | undefined;
  /** One answer for each statement; only of those that return rows is there anything in it. */
  readonly query: (...statements: readonly string[]) => Promise<readonly (readonly Row[])[]>;
}

export interface MysqlFault {
  readonly fault: AnswerClass;
  readonly words: string;
  /** The server's number of the error; 0 when it is not the server's. */
  readonly number: number;
  /** Our own address on the connection, where there was one. */
  readonly address?: string;
}

/** A session, or why there is none. `name` stands in the server's list of connection attributes. */
export async function openMysql(
  place: Place,
  login: Login,
  name: string,
  signal: AbortSignal,
): Promise<MysqlSession | MysqlFault> {
  if (login.credential.kind !== 'password')
    return { fault: 'unsupported', words: 'MariaDB and MySQL take passwords', number: 0 };
  const { secret } = login.credential;
  // Loaded here and not at the top: most connector processes never need it.
  const { default: mysql } = await import('mysql2');
  const socket = socketTo(place, signal);
  // Where a certificate must hold an address, Node looks for that address here.
  Object.assign(socket, { _host: certificateName(place) });
  const connection = mysql.createConnection({
    ...plainOptions(place, secret),
    user: parseAccount(login.user).user,
    stream: () => socket.connect({ port: place.port }),
    connectAttributes: { program_name: name },
  });
  connection.on('error', () => {});
  const opened = Promise.withResolvers<Server | undefined>();
  connection.once('connect', ({ serverVersion }: { serverVersion?: string }) =>
    opened.resolve(parseVersion(serverVersion ?? '')),
  );
  connection.once('error', opened.reject);
  try {
    const server = await opened.promise;
    if (server !== undefined) return sessionOf(connection, server, socket.localAddress);
    socket.destroy();
    return { fault: 'unsupported', words: 'the server does not say which MySQL or MariaDB it is', number: 0 };
  } catch (error) {
    const address = socket.localAddress;
    socket.destroy();
    signal.throwIfAborted();
    return { ...faultOfMysql(error), ...(address === undefined ? {} : { address }) };
  }
}

function plainOptions(place: Place, secret: Secret): ConnectionOptions {
  const ssl = tlsOptions(place);
  const refused =
    (plugin: string): AuthPlugin =>
    () =>
    () => {
      throw new Error(`the server asks for the password by ${plugin}, and does not get it`);
    };
  return {
    host: certificateName(place),
    password: secret.revealText(),
    charset: 'UTF8MB4_GENERAL_CI',
    multipleStatements: true,
    // Neither files of ours nor a database of theirs.
    flags: ['-LOCAL_FILES', '-CONNECT_WITH_DB', '-IGNORE_SPACE'],
    connectTimeout: 0,
    trace: false,
    disableEval: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    jsonStrings: true,
    ...(ssl === undefined ? {} : { ssl: { ...(ssl as object), verifyIdentity: true } }),
    authPlugins: {
      client_ed25519: () => (nonce) => ed25519Proof(secret, nonce.subarray(0, 32)),
      mysql_clear_password: refused('mysql_clear_password'),
      ...(ssl === undefined
        ? {
            caching_sha2_password: refused('caching_sha2_password without TLS'),
            sha256_password: refused('sha256_password without TLS'),
          }
        : {}),
    },
  };
}

function sessionOf(connection: Connection, server: Server, address: string | undefined): MysqlSession {
  return {
    server,
    address,
    query: (...statements) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly (readonly Row[])[]>();
      connection.query(statements.join(';\n'), (error: QueryError | null, result: unknown) => {
        if (error !== null) return reject(error);
        const answers = statements.length === 1 ? [result] : Array.isArray(result) ? result : [];
        resolve(answers.map((one) => (Array.isArray(one) ? (one as readonly Row[]) : [])));
      });
      return promise;
    },
    [Symbol.dispose]: () => {
      // Said politely, and not waited for: the server's end of it changes nothing.
      connection.end(() => {});
    },
  };
}

/** Some columns are text, some binary. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return Buffer.isBuffer(value) ? value.toString('utf8') : '';
}

/** The class of what the server, the driver or the network said. */
export function faultOfMysql(error: unknown): MysqlFault {
  const words = wordsOf(error);
  const { errno: number = 0 } = error as { errno?: number };
  const network = classOfNetwork(error) ?? driverCodes[codeOf(error)];
  if (network !== undefined) return { fault: network, words, number: 0 };
  const known = number > 0 ? serverCodes[number] : undefined;
  return { fault: known ?? 'unexpected', words, number: Math.max(0, number) };
}

const driverCodes: Readonly<Record<string, AnswerClass>> = {
  PROTOCOL_CONNECTION_LOST: 'cut',
  HANDSHAKE_NO_SSL_SUPPORT: 'certificate',
  HANDSHAKE_SSL_ERROR: 'certificate',
  AUTH_SWITCH_PLUGIN_ERROR: 'unsupported',
};

const serverCodes: Readonly<Record<number, AnswerClass>> = {
  1044: 'permission',
  1045: 'authentication',
  1698: 'authentication',
  // From this address, or without TLS, nobody is let in.
  1130: 'permission',
  3159: 'permission',
  1142: 'permission',
  1143: 'permission',
  1227: 'permission',
  1820: 'expired',
  1862: 'expired',
  // ACCOUNT LOCK; MariaDB's max_password_errors; MySQL's FAILED_LOGIN_ATTEMPTS
  4151: 'locked',
  3118: 'locked',
  4150: 'locked',
  3955: 'locked',
  // max_statement_time, lock waits
  1969: 'timeout',
  1205: 'timeout',
  3024: 'timeout',
  // The session was ended by somebody, or the server stops.
  1053: 'cut',
  1317: 'cut',
  1927: 'cut',
  1819: 'policy',
};
