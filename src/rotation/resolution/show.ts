/**
 * Conflicts as people see them: which accounts, why they were not resolved by themselves, and the whole tree of one
 * account. Never a value.
 */
import { sql } from 'kysely';
import { isRefusal } from '../../base/errors.ts';
import type { AccountId, Sigkey } from '../../base/ids.ts';
import { record, type Actor } from '../../audit/audit.ts';
import type { Db, Tx } from '../../db/db.ts';
import { type Account, accountById, accountsOf, policyById } from '../../vault/vault.ts';
import { subjectOf } from '../change/subject.ts';
import type { Context } from '../context.ts';
import { foldOf, reproject } from '../ledger/ledger.ts';
import { beliefsOf } from '../nodes/beliefs.ts';
import type { Status } from '../plan/facts.ts';
import type { Conflict as Kind } from '../plan/fold.ts';
import { mayDecideNow } from '../plan/resolve.ts';
import { commit } from '../points.ts';
import { type RotationRefusal, turnDown } from '../refusal.ts';
import { manualWords, waitingFor } from './automatic.ts';
import { conflictedAccounts } from './batch.ts';
import { conflictOf } from './conflict.ts';

/** `resolving`: by itself, a person keeps out. `waiting`: for what `reason` says. `manual`: a person must decide. */
export type ConflictState = 'resolving' | 'waiting' | 'manual' | 'out-of-sync';

export interface ConflictEntry {
  readonly account: string;
  readonly policy: string;
  readonly kind: Kind;
  readonly state: ConflictState;
  readonly reason: string;
  /** When this node first saw it. */
  readonly since: Date;
  readonly candidates: number;
}

/** Every account in conflict, and every one whose current value its target refuses. */
export async function conflictList(context: Context, signal: AbortSignal): Promise<readonly ConflictEntry[]> {
  const entries: ConflictEntry[] = [];
  for (const id of await conflictedAccounts(context)) {
    const account = await accountById(context.db, id);
    if (account !== undefined) entries.push(await entryOf(context, account, signal));
  }
  const lost = await context.db
    .selectFrom('account_sync')
    .innerJoin('ledger_account', 'ledger_account.account_id', 'account_sync.account_id')
    .select(['account_sync.account_id', 'account_sync.words', 'account_sync.checked_at'])
    .where('account_sync.state', '=', 'out-of-sync')
    .where('ledger_account.conflict', '=', 'none')
    .execute();
  for (const row of lost) {
    const account = await accountById(context.db, row.account_id);
    if (account === undefined) continue;
    entries.push({
      account: account.label,
      policy: (await policyById(context.db, account.policyId))?.name ?? '',
      kind: 'none',
      state: 'out-of-sync',
      reason: `the target refuses the current value: ${row.words}`,
      since: row.checked_at,
      candidates: 0,
    });
  }
  return entries;
}

async function entryOf(context: Context, account: Account, signal: AbortSignal): Promise<ConflictEntry> {
  const subject = await subjectOf(context.db, account.id);
  const policy = (await policyById(context.db, account.policyId))?.name ?? '';
  const base = { account: account.label, policy };
  if (isRefusal(subject)) {
    const { fold } = await foldOf(context.db, account.id);
    const since = new Date(context.clock.now());
    return {
      ...base,
      kind: fold.conflict,
      state: 'manual',
      reason: subject.reason,
      since,
      candidates: fold.candidates.length,
    };
  }
  const where = await context.peers.mayDecide(account.policyId);
  const standIn = where.may && where.as === 'stand-in';
  const { fold, step, since, words } = await conflictOf(context, subject, { demanded: false, standIn }, signal);
  const facts = { ...base, kind: fold.conflict, since: new Date(since), candidates: fold.candidates.length };
  if (standIn && mayDecideNow(step, standIn))
    return { ...facts, state: 'manual', reason: `${where.node} resolves for this policy and is silent` };
  switch (step.kind) {
    case 'settled':
    case 'verify':
      return { ...facts, state: 'resolving', reason: 'the candidates are about to be tried' };
    case 'wait':
      return { ...facts, state: 'waiting', reason: waitingFor(step.because, where.node) };
    case 'manual':
      return { ...facts, state: 'manual', reason: words === '' ? manualWords[step.because] : words };
    default:
      return step satisfies never;
  }
}

export interface TreeValue {
  readonly sigkey: Sigkey;
  readonly parent: Sigkey | null;
  readonly status: Status;
  readonly place: 'history' | 'working' | 'working_history';
  readonly node: string;
  readonly parentNode: string | null;
  /** When it was drawn, which is not when it was set. */
  readonly createdAt: Date;
  readonly current: boolean;
  readonly candidate: boolean;
  /** Why the last outcome is what it is. */
  readonly message: string;
}

export interface Tree extends Omit<ConflictEntry, 'state'> {
  readonly state: ConflictState | 'none';
  readonly current: Sigkey | null;
  /** Oldest first. */
  readonly values: readonly TreeValue[];
  /** What each node believes to be current. */
  readonly beliefs: readonly { readonly node: string; readonly current: Sigkey | null }[];
}

/** The whole tree of one account, conflicted or not. */
export async function treeOf(context: Context, id: AccountId, signal: AbortSignal): Promise<Tree | RotationRefusal> {
  const account = await accountById(context.db, id);
  if (account === undefined) return turnDown('rotation.account-unknown', `account ${id}`);
  const { facts, fold } = await foldOf(context.db, id);
  const entry =
    fold.conflict === 'none'
      ? {
          account: account.label,
          policy: (await policyById(context.db, account.policyId))?.name ?? '',
          kind: fold.conflict,
          state: 'none' as const,
          reason: '',
          since: new Date(context.clock.now()),
          candidates: fold.candidates.length,
        }
      : await entryOf(context, account, signal);
  const outcomes = await context.db
    .selectFrom('outcome')
    .innerJoin('randomization', 'randomization.sigkey', 'outcome.sigkey')
    .select(['outcome.sigkey', 'outcome.message'])
    .where('randomization.account_id', '=', id)
    .orderBy('outcome.at')
    .execute();
  const messages = new Map(outcomes.map((row) => [row.sigkey, row.message]));
  const nodes = new Map(facts.randomizations.map((fact) => [fact.sigkey, fact.node]));
  const values = facts.randomizations
    .toSorted((a, b) => a.createdAt - b.createdAt || (a.sigkey < b.sigkey ? -1 : 1))
    .map((fact) => ({
      sigkey: fact.sigkey,
      parent: fact.parent,
      status: fold.status.get(fact.sigkey) ?? ('P' as const),
      place: placeOf(fact.sigkey, fold),
      node: fact.node,
      parentNode: fact.parent === null ? null : (nodes.get(fact.parent) ?? null),
      createdAt: new Date(fact.createdAt),
      current: fact.sigkey === fold.root,
      candidate: fold.candidates.includes(fact.sigkey),
      message: messages.get(fact.sigkey) ?? '',
    }));
  const beliefs = await beliefsOf(context.db, context.node, id, fold);
  return { ...entry, current: fold.root, values, beliefs };
}

function placeOf(
  sigkey: Sigkey,
  { history, working }: { readonly history: readonly Sigkey[]; readonly working: readonly Sigkey[] },
): TreeValue['place'] {
  return history.includes(sigkey) ? 'history' : working.includes(sigkey) ? 'working' : 'working_history';
}

export interface Discovery {
  readonly at: Date;
  readonly accounts: number;
  readonly found: number;
}

/** Held while a run is saved, so that of two that were made for the same night one is. */
const discoveryLock = 0x64_69_73_63;

/**
 * Folds every account anew from its facts, and saves when that was and how many are in conflict. With `notSince` it saves
 * nothing where another run was saved at or after that time, in milliseconds.
 */
export async function discoverConflicts(
  context: Context,
  actor: Actor,
  signal: AbortSignal,
  { notSince }: { readonly notSince?: number } = {},
): Promise<Discovery> {
  const accounts = await accountsOf(context.db);
  let found = 0;
  for (const { id } of accounts) {
    signal.throwIfAborted();
    const fold = await commit(context, 'arrival', (tx) => reproject(tx, context.vault, id));
    if (fold !== 'waiting' && fold.conflict !== 'none') found++;
  }
  const at = new Date(context.clock.now());
  await commit(context, 'attempt', async (tx) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(discoveryLock)})`.execute(tx);
    const last = notSince === undefined ? undefined : await lastDiscovery({ db: tx });
    if (last !== undefined && notSince !== undefined && last.at.getTime() >= notSince) return;
    await tx.insertInto('conflict_discovery').values({ at, accounts: accounts.length, found }).execute();
    const details = { accounts: accounts.length, found };
    await record(tx, actor, { type: 'rotation.discovered', about: {}, details });
  });
  return { at, accounts: accounts.length, found };
}

/** When conflicts were last looked for, if ever. */
export async function lastDiscovery({ db }: { readonly db: Db | Tx }): Promise<Discovery | undefined> {
  return db
    .selectFrom('conflict_discovery')
    .select(['at', 'accounts', 'found'])
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
}
