/**
 * Administrators' sessions that are used again. One account's change asks an administrator three things, and a server has
 * many accounts: logging in each time costs both sides more than all the rest. A session waits here for two seconds at
 * most, in a process that knows no other server, and serves only whoever shows the same login once more. Of the password
 * nothing is kept but a keyed digest. Sessions of accounts that change themselves are never kept: their password is about
 * to be another one.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { deadline, orAborted } from '../../base/signals.ts';
import type { Login, Place } from './connector.ts';
import { openPostgres, type PostgresFault, type PostgresSession, type SessionOptions } from './postgres-client.ts';

const idleMs = 2000;
/** A server that answers later is not worth the wait: a new session is. */
const answerMs = 1000;

/** By login and server. */
const waiting = new Map<string, Map<PostgresSession, NodeJS.Timeout>>();
const digestKey = randomBytes(32);

/** A session as `openPostgres` opens one, under the name that `options` says; its disposal lets others use it. */
export async function borrowPostgres(
  place: Place,
  login: Login,
  options: SessionOptions,
  signal: AbortSignal,
): Promise<PostgresSession | PostgresFault> {
  const key = keyOf(place, login, options);
  for (const session of waiting.get(key)?.keys() ?? []) {
    leave(key, session);
    // It may have died while it waited. Nothing of the caller's was sent yet, so there is no doubt about what it did.
    if (session.idle() && (await named(session, options.name, signal))) return lent(key, session, signal);
    session.cut();
  }
  const session = await openPostgres(place, login, options, signal);
  return 'fault' in session ? session : lent(key, session, signal);
}

function keyOf(place: Place, login: Login, { database, seconds }: SessionOptions): string {
  const { user, credential } = login;
  const secret = credential.kind === 'password' ? credential.secret.reveal() : new Uint8Array(0);
  const digest = createHmac('sha256', digestKey).update(secret).digest('base64');
  return JSON.stringify([place.address, place.port, place.tls, user, database, seconds, digest]);
}

/** Whether it lives and answers soon; whoever looks for this change on the server finds it from now on. */
async function named(session: PostgresSession, name: string, signal: AbortSignal): Promise<boolean> {
  using late = deadline(signal, answerMs, () => new Error('no answer'));
  try {
    await orAborted(session.query(`SELECT pg_catalog.set_config('application_name', $1, false)`, [name]), late.signal);
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/** It ends with the signal of whoever has it now. */
function lent(key: string, session: PostgresSession, signal: AbortSignal): PostgresSession {
  signal.addEventListener('abort', session.cut, { once: true });
  const back = (): void => {
    signal.removeEventListener('abort', session.cut);
    keep(key, session);
  };
  return { ...session, [Symbol.dispose]: back };
}

function keep(key: string, session: PostgresSession): void {
  if (!session.idle()) return session[Symbol.dispose]();
  const ending = setTimeout(() => {
    leave(key, session);
    session[Symbol.dispose]();
  }, idleMs);
  waiting.set(key, (waiting.get(key) ?? new Map<PostgresSession, NodeJS.Timeout>()).set(session, ending.unref()));
}

function leave(key: string, session: PostgresSession): void {
  const there = waiting.get(key);
  clearTimeout(there?.get(session));
  there?.delete(session);
  if (there?.size === 0) waiting.delete(key);
}
