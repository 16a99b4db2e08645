/**
 * What this node hears: one subscription per peer, to the peer's own facts. Statements here need the database's superuser
 * (a subscription names a server to connect to) and cannot be part of a transaction.
 *
 * A subscription whose past is in doubt (its slot was lost, or one of the two databases was set back) is made anew with a
 * full copy: rows that are here already are dropped one by one as they come, so the copy costs time and nothing else.
 */
import { sql } from 'kysely';
import { codeOf, wordsOf } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Db } from '../../db/db.ts';
import { NodeError } from './errors.ts';
import { giveUpPlace, makePlace, type OpenPeer } from './place.ts';
import { allPublication, ownPublication } from './publication.ts';

/** How a peer is reached. */
export interface Source {
  readonly name: string;
  /** Of libpq, by the database server itself. No password is in it: it names a file that holds it. */
  readonly conninfo: string;
  /** By this process, as the same role. */
  readonly open: OpenPeer;
}

/** The name of the subscription, and of its slot on the peer's server. At most 60 of a-z, 0-9 and _. */
export function subscriptionName(me: string, peer: string): string {
  return `sallyport_${word(me)}__${word(peer)}`;
}

/** The subscription that brings back what this node has lost; see `sallyport_all`. No node's name makes it another one's. */
export function healingName(me: string, peer: string): string {
  return `sallyheal_${word(me)}__${word(peer)}`;
}

/** Node names have no underscore and no two dashes together, so two names never make one word. */
function word(name: string): string {
  return name.replaceAll('-', '_');
}

/** Begins to hear a peer, from a full copy on. It resolves when the slot is there; `untilCopied` waits for the copy. */
export async function subscribe(admin: Db, me: string, from: Source): Promise<void> {
  await create(admin, subscriptionName(me, from.name), from, ownPublication);
}

/** Begins to hear everything that a peer has, whoever said it. */
export async function subscribeToAll(admin: Db, me: string, from: Source): Promise<void> {
  await create(admin, healingName(me, from.name), from, allPublication);
}

const patienceMs = 60_000;
const dropPatienceMs = 20_000;

/** A statement here talks to another server, which may say nothing for ever. Cancelled after this, with `57014`. */
async function patiently<T>(admin: Db, ms: number, work: (one: Db) => Promise<T>): Promise<T> {
  return admin.connection().execute(async (one) => {
    await sql`SET statement_timeout = ${sql.lit(ms)}`.execute(one);
    try {
      return await work(one);
    } finally {
      await sql`RESET statement_timeout`.execute(one);
    }
  });
}

/** The place first, and the subscription on it, which then waits for no transaction of the peer's. Both or neither. */
async function create(admin: Db, name: string, { conninfo, open }: Source, publication: string): Promise<void> {
  // Its place would be taken for one that was left behind.
  if (await isThere(admin, name)) throw new Error(`there is a subscription ${name} already`);
  await makePlace(open, name);
  try {
    await patiently(admin, patienceMs, (one) =>
      sql`CREATE SUBSCRIPTION ${sql.id(name)} CONNECTION ${sql.lit(`${conninfo} application_name=${name}`)}
        PUBLICATION ${sql.id(publication)} WITH (create_slot = false, slot_name = ${sql.lit(name)},
        copy_data = true, disable_on_error = false)`.execute(one),
    );
  } catch (error) {
    // Where that fails too, the place is given up when it is to be made again, or when the peer forgets us.
    if (!(await isThere(admin, name))) await giveUpPlace(open, name).catch(() => {});
    throw error;
  }
}

/** Gives a subscription the present way to its peer. True if it was another one. */
export async function redirect(admin: Db, name: string, conninfo: string): Promise<boolean> {
  const full = `${conninfo} application_name=${name}`;
  const { rows } = await sql<{
    same: boolean;
  }>`SELECT subconninfo = ${full} AS same FROM pg_subscription WHERE subname = ${name}`.execute(admin);
  if (rows[0]?.same !== false) return false;
  await sql`ALTER SUBSCRIPTION ${sql.id(name)} CONNECTION ${sql.lit(full)}`.execute(admin);
  return true;
}

const unreached = ['08001', '57P01', '57P03', '57014', 'db.unreachable', 'nodes.unreachable', 'nodes.copy-stalled'];

/** Whether an error says that the peer's server could not be reached at all, or said nothing in time. */
export function isUnreached(error: unknown): boolean {
  return /could not connect to/.test(wordsOf(error)) || unreached.includes(codeOf(error));
}

/**
 * Ends a subscription, if it is there, and its slot with it. Where the peer's server cannot be reached: throws and leaves
 * all as it was (`keep`), or ends it all the same and says `slotLeft`: that server keeps the slot, and with it its log,
 * until the slot is dropped there.
 */
export async function unsubscribe(
  admin: Db,
  name: string,
  unreached: 'keep' | 'leave',
): Promise<{ readonly slotLeft: boolean }> {
  if (!(await isThere(admin, name))) return { slotLeft: false };
  try {
    await patiently(admin, dropPatienceMs, (one) => sql`DROP SUBSCRIPTION ${sql.id(name)}`.execute(one));
    return { slotLeft: false };
  } catch (error) {
    if (isUnreached(error) && unreached === 'keep') throw error;
    // Either nobody answers, or he has no such slot any more.
    if (!isUnreached(error) && codeOf(error) !== '08006') throw error;
    await sql`ALTER SUBSCRIPTION ${sql.id(name)} DISABLE`.execute(admin);
    await sql`ALTER SUBSCRIPTION ${sql.id(name)} SET (slot_name = NONE)`.execute(admin);
    await sql`DROP SUBSCRIPTION ${sql.id(name)}`.execute(admin);
    return { slotLeft: isUnreached(error) };
  }
}

export async function isThere(admin: Db, name: string): Promise<boolean> {
  const { rows } = await sql`SELECT FROM pg_subscription WHERE subname = ${name}`.execute(admin);
  return rows.length > 0;
}

/** Holds what a peer sends on his side, or lets it come again. Nothing is lost meanwhile. */
export async function setListening(admin: Db, name: string, on: boolean): Promise<void> {
  await sql`ALTER SUBSCRIPTION ${sql.id(name)} ${on ? sql`ENABLE` : sql`DISABLE`}`.execute(admin);
}

/** Whether every table of a subscription has been copied, so that facts come in the order in which they were committed. */
export async function isCopied(db: Db, name: string): Promise<boolean> {
  const { rows } = await sql<{ tables: number; ready: number }>`
    SELECT count(*) AS tables, count(*) FILTER (WHERE rel.srsubstate = 'r') AS ready
    FROM pg_subscription sub JOIN pg_subscription_rel rel ON rel.srsubid = sub.oid WHERE sub.subname = ${name}`.execute(
    db,
  );
  const found = rows[0];
  return found !== undefined && found.tables > 0 && found.tables === found.ready;
}

const lookAgainMs = 50;
/** A copy in which nothing moves for so long is not waited for any more. */
export const stallMs = 60_000;

/** Resolves when the copy is complete; rejects with the signal's reason, and with `nodes.copy-stalled` if nothing moves. */
export async function untilCopied(db: Db, name: string, clock: Clock, signal: AbortSignal): Promise<void> {
  let best: Progress = { steps: -1, rows: 0 };
  for (let since = clock.now(); !(await isCopied(db, name)); await clock.sleep(lookAgainMs, signal)) {
    const now = await progressOf(db, name);
    if (now.steps > best.steps || (now.steps === best.steps && now.rows > best.rows))
      [best, since] = [now, clock.now()];
    if (clock.now() - since > stallMs) throw new NodeError('nodes.copy-stalled', name);
  }
}

interface Progress {
  readonly steps: number;
  readonly rows: number;
}

/** Steps that the tables have taken, and rows of those that are being copied: a copy that begins again and again adds none. */
async function progressOf(db: Db, name: string): Promise<Progress> {
  const { rows } = await sql<Progress>`
    SELECT coalesce(sum(position(rel.srsubstate::text IN 'idfsr')), 0)::int AS steps,
      coalesce(sum(copy.tuples_processed), 0)::float8 AS rows
    FROM pg_subscription sub JOIN pg_subscription_rel rel ON rel.srsubid = sub.oid
    LEFT JOIN pg_stat_progress_copy copy ON copy.relid = rel.srrelid WHERE sub.subname = ${name}`.execute(db);
  return rows[0] ?? { steps: 0, rows: 0 };
}
