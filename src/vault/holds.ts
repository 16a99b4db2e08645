/**
 * Holds: the present uses of a credential. Whoever uses an account holds it; rotation waits for holds; the last one to
 * go away is announced on the channel `hold_released` with the account's id, in the transaction that releases it (the
 * table's trigger does it, so that no way of releasing forgets it).
 *
 * A `Hold` is a proof: only this file makes one, from a row that was just committed or found, and only a `Hold` opens a
 * credential.
 */
import { refuse, type Refusal } from '../base/errors.ts';
import type { AccountId, GateId, HoldId } from '../base/ids.ts';
import type { Clock } from '../base/clock.ts';
import { newId } from '../base/new-id.ts';
import { type Db, inTransaction, type Tx } from '../db/db.ts';
import { VaultError } from './errors.ts';

export type HoldKind = 'session' | 'checkout' | 'rotation' | 'verification';

export interface HoldRequest {
  readonly kind: HoldKind;
  /** What holds: a session's id, a checkout's, a sigkey. */
  readonly subject: string;
  readonly gateId?: GateId;
}

export interface HoldRecord {
  readonly id: HoldId;
  readonly account: AccountId;
  readonly kind: HoldKind;
  readonly subject: string;
  readonly gateId: GateId | null;
  readonly createdAt: Date;
}

class LiveHold implements AsyncDisposable {
  readonly id: HoldId;
  readonly account: AccountId;
  readonly kind: HoldKind;
  readonly subject: string;
  readonly gateId: GateId | null;
  readonly #db: Db;

  constructor(db: Db, hold: Omit<HoldRecord, 'createdAt'>) {
    this.#db = db;
    this.id = hold.id;
    this.account = hold.account;
    this.kind = hold.kind;
    this.subject = hold.subject;
    this.gateId = hold.gateId;
  }

  /** Ends the use. Releasing twice is releasing once. */
  async release(): Promise<void> {
    await this.#db
      .updateTable('hold')
      .set({ released_at: new Date() })
      .where('id', '=', this.id)
      .where('released_at', 'is', null)
      .execute();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** Proof that an account is held. Forging one is a compile error. */
export type Hold = LiveHold;

/** Holds an account; any number of holds may stand side by side. Throws `vault.account-unknown`. */
export async function hold(db: Db, account: AccountId, request: HoldRequest): Promise<Hold> {
  return inTransaction(db, async (tx) => {
    await lockAccount(tx, account, 'shared');
    return await insert(db, tx, account, request);
  });
}

export interface Patience {
  readonly clock: Clock;
  readonly patienceMs: number;
  readonly demand?: (tx: Tx) => Promise<void>;
}

/** How often an account that is being changed is looked at again, in milliseconds. */
const lookAgainMs = 100;

/**
 * Holds an account for a session as soon as no randomization holds it: who comes while the credential is being changed
 * waits for the new one instead of failing with the old. After `patienceMs` it holds it all the same, because what a dead
 * process left behind must not lock people out. Throws `vault.account-unknown`, the signal's reason, or what `demand`
 * throws: it is asked in the transaction of the hold whether what wants to hold is still there.
 */
export async function holdAfterChange(
  db: Db,
  account: AccountId,
  request: HoldRequest,
  { clock, patienceMs, demand }: Patience,
  signal: AbortSignal,
): Promise<Hold> {
  for (const late = clock.now() + patienceMs; ; await clock.sleep(lookAgainMs, signal)) {
    const held = await inTransaction(db, async (tx) => {
      await demand?.(tx);
      await lockAccount(tx, account, 'shared');
      const changing = (await holdsOf(tx, account)).some((one) => one.kind === 'rotation');
      return changing && clock.now() < late ? undefined : await insert(db, tx, account, request);
    });
    if (held !== undefined) return held;
  }
}

/**
 * Holds an account unless a session, a checkout or another randomization holds it, in one step: between the look and
 * the hold nobody can come in. Refused with `vault.in-use`.
 */
export async function holdExclusively(
  db: Db,
  account: AccountId,
  request: HoldRequest,
): Promise<Hold | Refusal<'vault.in-use'>> {
  return inTransaction(db, async (tx) => {
    await lockAccount(tx, account, 'alone');
    const other = (await holdsOf(tx, account)).find((one) => one.kind !== 'verification');
    if (other !== undefined) return refuse('vault.in-use', `held by ${other.kind} ${other.subject}`);
    return await insert(db, tx, account, request);
  });
}

/** Until the transaction's end: `shared` with other holders, or `alone` and in conflict with them. */
async function lockAccount(tx: Tx, account: AccountId, how: 'shared' | 'alone'): Promise<void> {
  const row = tx.selectFrom('account').select('id').where('id', '=', account).where('removed_at', 'is', null);
  const found = await (how === 'shared' ? row.forKeyShare() : row.forUpdate()).executeTakeFirst();
  if (found === undefined) throw new VaultError('vault.account-unknown');
}

async function insert(db: Db, tx: Tx, account: AccountId, request: HoldRequest): Promise<Hold> {
  const fields = { id: newId<HoldId>(), kind: request.kind, subject: request.subject };
  const gateId = request.gateId ?? null;
  await tx
    .insertInto('hold')
    .values({ ...fields, account_id: account, gate_id: gateId, released_at: null })
    .execute();
  return new LiveHold(db, { ...fields, account, gateId });
}

/** One use of an account by a session or checkout, past or present. */
export interface Use {
  readonly kind: 'session' | 'checkout';
  readonly createdAt: Date;
  readonly releasedAt: Date | null;
}

/** The present uses of an account, and the newest one that ended. */
export async function usesOf(db: Db | Tx, account: AccountId): Promise<Use[]> {
  const uses = db
    .selectFrom('hold')
    .select(['kind', 'created_at', 'released_at'])
    .where('account_id', '=', account)
    .where('kind', 'in', ['session', 'checkout']);
  const ended = uses
    .where('kind', '=', 'session')
    .where('released_at', 'is not', null)
    .orderBy('released_at', 'desc')
    .limit(1);
  const present = uses.where('released_at', 'is', null);
  const rows = await present.unionAll((both) => both.parens(ended)).execute();
  return rows.map((row) => ({
    kind: row.kind === 'checkout' ? 'checkout' : 'session',
    createdAt: row.created_at,
    releasedAt: row.released_at,
  }));
}

/** The proof for a hold that a former life of this process made, or undefined if it was released. */
export async function resumeHold(db: Db, id: HoldId): Promise<Hold | undefined> {
  const row = await live(db).where('id', '=', id).executeTakeFirst();
  return row && new LiveHold(db, recordOf(row));
}

/** The present holds of an account, oldest first. */
export async function holdsOf(db: Db | Tx, account: AccountId): Promise<HoldRecord[]> {
  const rows = await live(db).where('account_id', '=', account).orderBy('created_at').orderBy('id').execute();
  return rows.map(recordOf);
}

/** Releases all holds of a subject or of a gate, for recovery; returns those it released. */
export async function releaseHoldsOf(
  db: Db | Tx,
  of: { readonly subject: string } | { readonly gateId: GateId },
): Promise<HoldRecord[]> {
  const update = db.updateTable('hold').set({ released_at: new Date() }).where('released_at', 'is', null);
  const some = 'subject' in of ? update.where('subject', '=', of.subject) : update.where('gate_id', '=', of.gateId);
  return (await some.returningAll().execute()).map(recordOf);
}

function live(db: Db | Tx) {
  return db.selectFrom('hold').selectAll().where('released_at', 'is', null);
}

function recordOf(row: Awaited<ReturnType<ReturnType<typeof live>['execute']>>[number]): HoldRecord {
  return {
    id: row.id,
    account: row.account_id,
    kind: row.kind,
    subject: row.subject,
    gateId: row.gate_id,
    createdAt: row.created_at,
  };
}
