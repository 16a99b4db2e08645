/**
 * LISTEN on a connection of its own. What was notified while the connection was down is lost, so whoever listens is
 * told of every reconnection and reads the state again.
 */
import pg from 'pg';
import { systemClock } from '../base/clock.ts';
import { wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { clientConfig } from './dsn.ts';
import { DbError } from './errors.ts';

export interface Listening {
  /** One notification. Must not throw; what it starts is its own business. */
  readonly onEvent: (channel: string, payload: string) => void;
  /** The connection was lost and is back: anything may have been missed. */
  readonly onReconnected: () => void;
}

const heartbeatMs = 15_000;
const answerMs = 10_000;
const longestPauseMs = 5_000;

/**
 * Resolves once the server listens on `channels`; goes on until `signal` fires. The first connection must succeed
 * (`db.unreachable`), later ones are tried for ever.
 */
export async function listen(
  url: string,
  channels: readonly string[],
  listening: Listening,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  let client: pg.Client;
  try {
    client = await subscribe(url, channels, listening);
  } catch (error) {
    throw new DbError('db.unreachable', wordsOf(error), { cause: error });
  }
  void keep(client, url, channels, listening, log, signal);
}

async function keep(
  first: pg.Client,
  url: string,
  channels: readonly string[],
  listening: Listening,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  let client: pg.Client | undefined = first;
  let pause = 50;
  // A connection that is there is ended, even if the signal fired before this began.
  while (client !== undefined || !signal.aborted) {
    if (client !== undefined) {
      const why = await untilLost(client, signal);
      if (signal.aborted) break;
      log.warn({ channels }, `listening was interrupted: ${why}`);
    }
    try {
      client = await subscribe(url, channels, listening);
      if (signal.aborted) {
        await client.end();
        break;
      }
      pause = 50;
      listening.onReconnected();
    } catch {
      client = undefined;
      await systemClock.sleep(pause, signal).catch(() => {});
      pause = Math.min(pause * 2, longestPauseMs);
    }
  }
}

async function subscribe(url: string, channels: readonly string[], listening: Listening): Promise<pg.Client> {
  const client = new pg.Client({ ...clientConfig(url, 'sallyport listen'), query_timeout: answerMs });
  client.on('error', () => {});
  client.on('notification', (event) => listening.onEvent(event.channel, event.payload ?? ''));
  await client.connect();
  try {
    for (const channel of channels) await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
  return client;
}

/** Resolves with the reason when the connection is gone or stops answering, or when the signal fires. */
async function untilLost(client: pg.Client, signal: AbortSignal): Promise<string> {
  const over = Promise.withResolvers<string>();
  const lost = (error?: Error): void => over.resolve(error === undefined ? 'the connection ended' : wordsOf(error));
  const stop = (): void => over.resolve('stopped');
  client.once('error', lost);
  client.once('end', lost);
  signal.addEventListener('abort', stop, { once: true });
  // A peer that vanished without a word is noticed by its silence.
  const heartbeat = setInterval(() => void client.query('SELECT 1').catch(lost), heartbeatMs);
  try {
    if (signal.aborted) stop();
    return await over.promise;
  } finally {
    clearInterval(heartbeat);
    signal.removeEventListener('abort', stop);
    void client.end().catch(() => {});
  }
}
