/**
 * The door of the audit room: what happened, written once, in order, each row bound to the one before. Rows are added
 * and read; there is no function here that changes or removes one, and the database refuses it as well.
 */
import { sql } from 'kysely';
import { beforeCommit, type Db, listen, type Tx } from '../db/db.ts';
import type { Log } from '../base/log.ts';
import { AuditError } from './errors.ts';
import type { About, Actor, AuditEvent, AuditRecord } from './events.ts';
import { contentBytes, type Plain } from './format/canonical.ts';
import { largestEvent, plain } from './plain.ts';

export { type AuditDetails, type AuditEventType, catalogue } from './catalogue.ts';
export type { About, Actor, AuditEvent, AuditRecord } from './events.ts';
export { type Anchor, readAnchors, signHead, type SignHead } from './heads.ts';
export { verify, type Verdict, type VerifyOptions } from './verify.ts';

/**
 * Writes one event. In a transaction of `inTransaction` it is written just before the commit, because from then on
 * every other writer waits: the event stands or falls with the transaction. Throws `audit.not-plain`, `audit.too-large`.
 */
export async function record(db: Db | Tx, actor: Actor, event: AuditEvent, at: Date = new Date()): Promise<void> {
  const content = {
    at,
    type: event.type,
    actor: plain(actor),
    about: plain(event.about),
    details: plain(event.details),
  };
  const bytes = contentBytes(content);
  if (bytes.length > largestEvent) throw new AuditError('audit.too-large', event.type);
  const json = (value: Plain): string => JSON.stringify(value);
  await beforeCommit(db, async () => {
    await sql`SELECT audit_append(${Buffer.from(bytes)}::bytea, ${at}::timestamptz, ${event.type},
      ${json(content.actor)}::jsonb, ${json(content.about)}::jsonb, ${json(content.details)}::jsonb)`.execute(db);
  });
}

export interface TailOptions {
  /** Rows with a greater number only; 0 for all. */
  readonly after: number;
  readonly type?: string;
  /** Rows about these ids only. */
  readonly about?: About;
  /** At most so many; 1000 is the most. */
  readonly limit: number;
}

/** Rows in order, oldest first. */
export async function tail(db: Db | Tx, { after, type, about, limit }: TailOptions): Promise<readonly AuditRecord[]> {
  let query = db.selectFrom('audit_event').selectAll().where('seq', '>', after);
  if (type !== undefined) query = query.where('type', '=', type);
  if (about !== undefined) query = query.where(sql<boolean>`about @> ${JSON.stringify(plain(about))}::jsonb`);
  const rows = await query.orderBy('seq').limit(Math.min(limit, 1000)).execute();
  return rows.map((row) => ({
    seq: row.seq,
    at: row.at,
    type: row.type,
    actor: row.actor as Actor,
    about: row.about as About,
    details: row.details as Readonly<Record<string, unknown>>,
    hash: row.hash,
  }));
}

/** The number of the newest row; 0 if there is none. */
export async function lastSeq(db: Db | Tx): Promise<number> {
  const row = await db.selectFrom('audit_event').select('seq').orderBy('seq', 'desc').limit(1).executeTakeFirst();
  return row?.seq ?? 0;
}

/**
 * Rows after `after`, and then each new one as it is committed, until `signal` fires. Nothing is missed while the
 * connection that listens is down: the numbers have no gaps, and reading goes on where it stopped.
 */
export async function* follow(
  db: Db,
  url: string,
  options: Omit<TailOptions, 'limit'>,
  log: Log,
  signal: AbortSignal,
): AsyncGenerator<AuditRecord, void> {
  const own = new AbortController();
  const ending = AbortSignal.any([signal, own.signal]);
  let news = Promise.withResolvers<void>();
  const wake = (): void => news.resolve();
  ending.addEventListener('abort', wake);
  try {
    await listen(url, ['audit'], { onEvent: wake, onReconnected: wake }, log, ending);
    let after = options.after;
    while (!ending.aborted) {
      news = Promise.withResolvers<void>();
      for (;;) {
        const rows = await tail(db, { ...options, after, limit: 500 });
        for (const row of rows) {
          after = row.seq;
          yield row;
        }
        if (rows.length < 500 || ending.aborted) break;
      }
      await news.promise;
    }
  } finally {
    ending.removeEventListener('abort', wake);
    own.abort();
  }
}
