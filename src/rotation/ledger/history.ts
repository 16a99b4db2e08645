/** What is known of an account's values: facts, places and attempts, as the CLI and the console show them. Never a value. */
import type { AccountId, Sigkey } from '../../base/ids.ts';
import type { Db } from '../../db/db.ts';
import { accountById } from '../../vault/vault.ts';
import { foldOf } from './ledger.ts';
import type { Status } from '../plan/facts.ts';
import type { Conflict } from '../plan/fold.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';

export interface HistoryVersion {
  readonly sigkey: Sigkey;
  readonly parent: Sigkey | null;
  readonly status: Status;
  readonly place: 'history' | 'working' | 'working_history';
  readonly current: boolean;
  /** It may be what the target has. */
  readonly candidate: boolean;
  readonly node: string;
  readonly createdAt: Date;
  /** Why the last outcome is what it is; empty while it is pending. */
  readonly message: string;
}

export interface HistoryAttempt {
  readonly at: Date;
  readonly trigger: string;
  readonly actor: string;
  readonly result: string;
  readonly class: string | null;
  readonly sigkey: Sigkey | null;
  readonly message: string;
  readonly milliseconds: number;
}

export interface History {
  readonly account: AccountId;
  readonly conflict: Conflict;
  readonly busy: boolean;
  readonly current: Sigkey | null;
  /** Oldest first. */
  readonly versions: readonly HistoryVersion[];
  /** Newest first, at most 100. */
  readonly attempts: readonly HistoryAttempt[];
}

/** See `Rotation.history`. */
export async function historyOf(db: Db, id: AccountId): Promise<History | RotationRefusal> {
  const account = await accountById(db, id);
  if (account === undefined) return turnDown('rotation.account-unknown', `account ${id}`);
  const { facts, fold } = await foldOf(db, id);
  const outcomes = await db
    .selectFrom('outcome')
    .innerJoin('randomization', 'randomization.sigkey', 'outcome.sigkey')
    .select(['outcome.sigkey', 'outcome.message'])
    .where('randomization.account_id', '=', id)
    .orderBy('outcome.node_seq')
    .execute();
  const messages = new Map(outcomes.map((row) => [row.sigkey, row.message]));
  const placeOf = (sigkey: Sigkey): HistoryVersion['place'] =>
    fold.history.includes(sigkey) ? 'history' : fold.working.includes(sigkey) ? 'working' : 'working_history';
  const versions = [...facts.randomizations]
    .sort((a, b) => a.createdAt - b.createdAt || (a.sigkey < b.sigkey ? -1 : 1))
    .map((fact) => ({
      sigkey: fact.sigkey,
      parent: fact.parent,
      status: fold.status.get(fact.sigkey) ?? 'P',
      place: placeOf(fact.sigkey),
      current: fact.sigkey === fold.root,
      candidate: fold.candidates.includes(fact.sigkey),
      node: fact.node,
      createdAt: new Date(fact.createdAt),
      message: messages.get(fact.sigkey) ?? '',
    }));
  const rows = await db
    .selectFrom('rotation_attempt')
    .selectAll()
    .where('account_id', '=', id)
    .orderBy('started_at', 'desc')
    .orderBy('id', 'desc')
    .limit(100)
    .execute();
  const attempts = rows.map((row) => ({
    at: row.started_at,
    trigger: row.trigger,
    actor: row.actor,
    result: row.result,
    class: row.class,
    sigkey: row.sigkey,
    message: row.message,
    milliseconds: row.ended_at.getTime() - row.started_at.getTime(),
  }));
  return { account: id, conflict: fold.conflict, busy: fold.busy, current: fold.root, versions, attempts };
}
