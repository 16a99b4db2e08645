/**
 * The right to change one account's credential on its target: one holder at a time over all processes, for a while,
 * renewed by a heartbeat. Each time it changes hands its token rises, and what is written under it is written only while
 * the token is still the one in the table. Times are the database's own, so that two machines' clocks do not matter.
 */
import { sql } from 'kysely';
import type { Clock } from '../../base/clock.ts';
import type { AccountId, Sigkey } from '../../base/ids.ts';
import { deadline, orAborted } from '../../base/signals.ts';
import type { Db, Tx } from '../../db/db.ts';

export interface Lease extends AsyncDisposable {
  readonly account: AccountId;
  readonly token: number;
  /** Fires when the lease is lost or was given up; whatever works under it stops. */
  readonly signal: AbortSignal;
  /** Keeps the lease until it runs out by itself: a change may still be landing on the target. */
  abandon(): void;
  readonly abandoned: boolean;
}

export interface LeaseOptions {
  /** Which process, for people. */
  readonly holder: string;
  readonly ms: number;
  readonly clock: Clock;
  /** Takes it away from whoever has it: what he writes afterwards is evidence only. For the last resort. */
  readonly takeOver?: boolean;
}

/** Takes the lease of an account, or undefined while somebody else has it. It ends with `signal`. */
export async function takeLease(
  db: Db,
  account: AccountId,
  options: LeaseOptions,
  signal: AbortSignal,
): Promise<Lease | undefined> {
  const began = options.clock.now();
  const until = sql<Date>`clock_timestamp() + ${options.ms} * interval '1 millisecond'`;
  const row = await db
    .insertInto('rotation_lease')
    .values({ account_id: account, token: 1, holder: options.holder, sigkey: null, expires_at: until })
    .onConflict((conflict) =>
      conflict
        .column('account_id')
        .doUpdateSet({
          token: sql<number>`rotation_lease.token + 1`,
          holder: options.holder,
          sigkey: null,
          expires_at: until,
        })
        .where((is) =>
          is.or([
            is('rotation_lease.expires_at', '<=', sql<Date>`clock_timestamp()`),
            is.val(options.takeOver === true),
          ]),
        ),
    )
    .returning('token')
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { token } = row;
  const over = new AbortController();
  const heart = new AbortController();
  const beating = beat(db, account, token, began, options, over, heart.signal);
  let abandoned = false;
  return {
    account,
    token,
    signal: AbortSignal.any([signal, over.signal]),
    abandon: () => {
      abandoned = true;
    },
    get abandoned() {
      return abandoned;
    },
    [Symbol.asyncDispose]: async () => {
      heart.abort(new Error('the lease was given back'));
      await beating;
      if (abandoned) return;
      await db
        .updateTable('rotation_lease')
        .set({ expires_at: sql<Date>`clock_timestamp()` })
        .where('account_id', '=', account)
        .where('token', '=', token)
        .execute();
    },
  };
}

/**
 * Renews at a third of the time. A lease that was taken is lost, and so is one that could not be renewed in time: the
 * signal fires while some of it is left, so that whatever works under it has stopped when another process may begin. Time
 * is counted from before the database was asked, and an answer that does not come is no renewal.
 */
async function beat(
  db: Db,
  account: AccountId,
  token: number,
  began: number,
  { ms, clock }: LeaseOptions,
  over: AbortController,
  signal: AbortSignal,
): Promise<void> {
  let renewed = began;
  const sureMs = ms * 0.9;
  for (;;) {
    try {
      await clock.sleep(ms / 3, signal);
    } catch {
      return;
    }
    const asked = clock.now();
    try {
      using late = deadline(
        signal,
        renewed + sureMs - asked,
        () => new Error('the lease could not be renewed in time'),
      );
      const renewal = db
        .updateTable('rotation_lease')
        .set({ expires_at: sql<Date>`clock_timestamp() + ${ms} * interval '1 millisecond'` })
        .where('account_id', '=', account)
        .where('token', '=', token)
        .executeTakeFirst();
      const { numUpdatedRows } = await orAborted(renewal, late.signal);
      if (numUpdatedRows === 0n) return over.abort(new Error('the lease was taken over'));
      renewed = asked;
    } catch (error) {
      if (signal.aborted) return;
      if (clock.now() - renewed >= sureMs) return over.abort(error);
    }
  }
}

/** Whether `token` still is the one in the table; the row stays locked until the end of the transaction. */
export async function stillLeased(tx: Tx, account: AccountId, token: number): Promise<boolean> {
  const row = await tx
    .selectFrom('rotation_lease')
    .select('token')
    .where('account_id', '=', account)
    .forUpdate()
    .executeTakeFirst();
  return row?.token === token;
}

/** Writes down for which value the lease is used. */
export async function nameLease(tx: Tx, account: AccountId, token: number, sigkey: Sigkey): Promise<void> {
  await tx
    .updateTable('rotation_lease')
    .set({ sigkey })
    .where('account_id', '=', account)
    .where('token', '=', token)
    .execute();
}

/** Until when somebody has the lease of an account, in this process's time; null if nobody has. */
export async function leaseOf(
  db: Db | Tx,
  account: AccountId,
  now: number,
): Promise<{ readonly sigkey: Sigkey | null; readonly expiresAt: number } | null> {
  const row = await db
    .selectFrom('rotation_lease')
    .select(['sigkey', sql<number>`extract(epoch from expires_at - clock_timestamp())::float8`.as('left')])
    .where('account_id', '=', account)
    .executeTakeFirst();
  return row === undefined || row.left <= 0 ? null : { sigkey: row.sigkey, expiresAt: now + row.left * 1000 };
}

/** How a randomization names itself where it holds its account. */
export function holdSubject(account: AccountId): string {
  return `rotation of ${account}`;
}

/**
 * Ends the holds of processes that died while they changed something: such a hold stands under a lease, and is given up
 * before it. Without this, sessions would wait for a change that nobody makes any more.
 */
export async function releaseHoldsOfTheDead(db: Db): Promise<void> {
  await db
    .updateTable('hold')
    .set({ released_at: new Date() })
    .where('kind', '=', 'rotation')
    .where('released_at', 'is', null)
    .where((is) =>
      is.not(
        is.exists(
          is
            .selectFrom('rotation_lease')
            .select('token')
            .whereRef('rotation_lease.account_id', '=', 'hold.account_id')
            .where('rotation_lease.expires_at', '>', sql<Date>`clock_timestamp()`),
        ),
      ),
    )
    .execute();
}
