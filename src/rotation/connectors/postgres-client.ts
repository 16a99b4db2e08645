/**
 * One connection to PostgreSQL for a connector. It knows whether the server really asked for the password: a server
 * that lets anybody in (`trust`) proves nothing. A request for the password in clear is refused, and so is MD5 without TLS.
 */
import type { EventEmitter } from 'node:events';
import type { Client, QueryResultRow } from 'pg';
import { codeOf, wordsOf } from '../../base/errors.ts';
import type { AnswerClass, Login, Place } from './connector.ts';
import { certificateName, classOfNetwork, isAddress, socketTo, tlsOptions } from './dial.ts';

export interface PostgresSession extends Disposable {
  /** Whether the server checked the password of this login. */
  readonly proven: boolean;
  readonly query: <Row extends QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;
  /** Whether it lives and every question was answered. */
  readonly idle: () => boolean;
  /** Ends it now, whatever it is doing. */
  readonly cut: () => void;
}

export interface PostgresFault {
  readonly fault: AnswerClass;
  readonly words: string;
  /** The server had checked the password, and was content, before it said no for another reason. */
  readonly proven: boolean;
  /** The server's answer to the password itself. */
  readonly rejected: boolean;
}

export interface SessionOptions {
  /** As it stands in pg_stat_activity. */
  readonly name: string;
  readonly database: string;
  /** The server ends a statement, or a wait for a lock, after so many seconds. */
  readonly seconds?: number;
}

/** A session, or why there is none. Nothing was changed on the server until here. */
export async function openPostgres(
  place: Place,
  login: Login,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<PostgresSession | PostgresFault> {
  if (login.credential.kind !== 'password')
    return { fault: 'unsupported', words: 'PostgreSQL takes passwords', proven: false, rejected: false };
  const { secret } = login.credential;
  // Loaded here and not at the top: most connector processes never need it.
  const { default: pg } = await import('pg');
  const socket = socketTo(place, signal);
  const ssl = tlsOptions(place);
  const name = certificateName(place);
  let asked: 'nothing' | 'scram' | 'md5' | 'clear' = 'nothing';
  let proven = false;
  const client = new pg.Client({
    host: name,
    port: place.port,
    user: login.user,
    database: options.database,
    application_name: options.name,
    stream: () => socket,
    ssl: ssl === undefined ? false : { ...ssl, ...(isAddress(name) ? {} : { servername: name }) },
    ...timeouts(options.seconds),
    password: () => {
      if (asked === 'clear' || (asked === 'md5' && ssl === undefined)) throw new AskedInClear(asked);
      return secret.revealText();
    },
  });
  const wire = wireOf(client);
  wire.once('authenticationSASL', () => (asked = 'scram'));
  wire.once('authenticationMD5Password', () => (asked = 'md5'));
  wire.once('authenticationCleartextPassword', () => (asked = 'clear'));
  // The server's own proof (RFC 5802 §5) was checked before this, or the connection has ended.
  wire.once('authenticationOk', () => (proven = asked === 'scram' || asked === 'md5'));
  let [lives, asking] = [true, 0];
  client.on('error', () => {});
  client.on('end', () => (lives = false));
  try {
    await client.connect();
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    return faultOf(error, proven);
  } finally {
    forget(client);
  }
  return {
    proven,
    query: async <Row extends QueryResultRow>(text: string, values?: readonly unknown[]) => {
      asking += 1;
      const result = await client.query<Row>(text, values === undefined ? undefined : [...values]);
      // One that failed is not asked again: what it left behind nobody knows.
      asking -= 1;
      return result.rows;
    },
    idle: () => lives && asking === 0,
    cut: () => socket.destroy(),
    [Symbol.dispose]: () => {
      // Said politely, and not waited for: the server's end of it changes nothing.
      client.end().catch(() => {});
    },
  };
}

/** A change that was acknowledged must survive a crash of the server, whatever the cluster's default is. */
function timeouts(seconds: number | undefined): object {
  if (seconds === undefined) return {};
  const milliseconds = seconds * 1000;
  return { statement_timeout: milliseconds, lock_timeout: milliseconds, options: '-c synchronous_commit=on' };
}

/** The driver keeps the password for as long as the client lives. */
function forget(client: Client): void {
  const { connectionParameters: parameters } = client as unknown as { connectionParameters: { password: unknown } };
  (client as { password?: unknown }).password = null;
  parameters.password = null;
}

/** What the driver hears of the protocol; its types leave it out. */
function wireOf(client: Client): EventEmitter {
  return (client as unknown as { readonly connection: EventEmitter }).connection;
}

class AskedInClear extends Error {
  constructor(how: string) {
    super(`the server asks for the password ${how === 'md5' ? 'as MD5 without TLS' : 'in clear'}, and does not get it`);
  }
}

function faultOf(error: unknown, proven: boolean): PostgresFault {
  const words = wordsOf(error);
  const plain = { words, proven, rejected: false };
  const network = classOfNetwork(error);
  if (network !== undefined) return { ...plain, fault: network };
  if (error instanceof AskedInClear) return { ...plain, fault: 'unsupported' };
  const code = codeOf(error);
  if (code === '28P01') return { ...plain, fault: 'authentication', rejected: true };
  // Said before the password was asked for: no line of pg_hba.conf fits. After it: the role may not log in.
  if (code === '28000') return { ...plain, fault: proven ? 'locked' : 'permission' };
  if (code === '57P03') return { ...plain, fault: 'unreachable' };
  if (/does not support SSL/.test(words)) return { ...plain, fault: 'certificate' };
  return { ...plain, fault: words.startsWith('Connection terminated') ? 'cut' : 'unexpected' };
}
