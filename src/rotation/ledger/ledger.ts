/**
 * The ledger in the database: facts in, the fold out, and the projection of the fold kept in step. Every function that
 * adds a fact also rewrites the account's places and moves the vault's current pointer, in the caller's transaction.
 * INVARIANT: callers that change an account hold its lease row (`stillLeased`); projections of one account never race.
 */
import { createHash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import type { AccountId, Sigkey } from '../../base/ids.ts';
import type { Db, Tx } from '../../db/db.ts';
import type { Vault } from '../../vault/vault.ts';
import { RotationError } from '../errors.ts';
import type { Decision, Facts, OutcomeStatus, RandomizationFact, ResolutionAction } from '../plan/facts.ts';
import { type Fold, fold } from '../plan/fold.ts';
import type { HeardAt } from '../plan/quiet.ts';
import { saidAfter } from '../plan/site.ts';

/** This installation's name in the facts. */
export async function nodeName(db: Db | Tx): Promise<string> {
  return (await db.selectFrom('ledger_node').select('id').executeTakeFirstOrThrow()).id;
}

/** All facts of one account, in one question: it is asked at every step of every change. */
export async function factsOf(db: Db | Tx, account: AccountId): Promise<Facts> {
  const { rows } = await sql<Facts>`
    WITH facts AS (SELECT * FROM randomization WHERE account_id = ${account})
    SELECT
      (SELECT coalesce(json_agg(json_build_object('sigkey', sigkey, 'account', account_id, 'parent', parent,
          'node', node, 'createdAt', ${milliseconds('created_at')})), '[]') FROM facts) AS randomizations,
      (SELECT coalesce(json_agg(json_build_object('sigkey', o.sigkey, 'node', o.node, 'seq', node_seq,
          'status', status, 'at', ${milliseconds('at')})), '[]')
        FROM outcome o JOIN facts ON facts.sigkey = o.sigkey) AS outcomes,
      (SELECT coalesce(json_agg(json_build_object('account', account_id, 'node', node, 'seq', node_seq,
          'action', action, 'decision', decision, 'at', ${milliseconds('at')})), '[]')
        FROM resolution WHERE account_id = ${account}) AS resolutions`.execute(db);
  return rows[0] ?? { randomizations: [], outcomes: [], resolutions: [] };
}

/** Since 1970; what is less than one is cut off, as a `Date` does it. */
function milliseconds(column: 'created_at' | 'at'): RawBuilder<number> {
  return sql<number>`floor(extract(epoch FROM ${sql.ref(column)}) * 1000)::bigint`;
}

/** What the facts of one account say together. */
export async function foldOf(db: Db | Tx, account: AccountId): Promise<{ facts: Facts; fold: Fold }> {
  const facts = await factsOf(db, account);
  return { facts, fold: fold(facts) };
}

/**
 * When each fact of an account came to be known here, in this process's time. Ages are the database's own, so that two
 * clocks do not matter; a fact that came after this was read counts as heard now.
 */
export async function heardOf(db: Db | Tx, account: AccountId, now: number): Promise<HeardAt> {
  const age = sql<number>`extract(epoch from clock_timestamp() - heard_at)::float8 * 1000`.as('age');
  const drawn = await db
    .selectFrom('randomization')
    .select(['sigkey', age])
    .where('account_id', '=', account)
    .execute();
  const said = await db
    .selectFrom('outcome')
    .select(['node', 'node_seq', age])
    .where('sigkey', 'in', (from) =>
      from.selectFrom('randomization').select('sigkey').where('account_id', '=', account),
    )
    .execute();
  const heard = new Map<string, number>();
  for (const row of drawn) heard.set(row.sigkey, now - Math.floor(row.age));
  for (const row of said) heard.set(`${row.node}/${row.node_seq}`, now - Math.floor(row.age));
  return (fact) => heard.get('seq' in fact ? `${fact.node}/${fact.seq}` : fact.sigkey) ?? now;
}

/** Intent first: the value was stored under `sigkey` in this transaction. Throws `rotation.fact-conflict`. */
export async function addRandomization(tx: Tx, vault: Vault, fact: RandomizationFact): Promise<Fold> {
  const row = {
    sigkey: fact.sigkey,
    account_id: fact.account,
    parent: fact.parent,
    node: fact.node,
    created_at: new Date(fact.createdAt),
  };
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('randomization')
    .values({ ...row, fact_hash: hashOf('randomization', row) })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows === 0n) throw new RotationError('rotation.fact-conflict', fact.sigkey);
  return project(tx, vault, fact.account);
}

export interface Outcome {
  readonly account: AccountId;
  readonly sigkey: Sigkey;
  readonly node: string;
  readonly status: OutcomeStatus;
  readonly at: number;
  /** The answer's class; `words` are for people. Neither holds a secret. */
  readonly retcode: string;
  readonly message: string;
}

/** What became of a value. */
export async function addOutcome(tx: Tx, vault: Vault, outcome: Outcome): Promise<Fold> {
  const row = {
    node: outcome.node,
    sigkey: outcome.sigkey,
    status: outcome.status,
    at: new Date(outcome.at),
    retcode: outcome.retcode,
    message: outcome.message,
  };
  await tx
    .insertInto('outcome')
    .values({ ...row, fact_hash: hashOf('outcome', row) })
    .execute();
  return project(tx, vault, outcome.account);
}

export interface Resolution {
  readonly account: AccountId;
  readonly node: string;
  readonly action: ResolutionAction;
  readonly decision: Decision;
  readonly tested: readonly { readonly sigkey: Sigkey; readonly answer: string }[];
  readonly requester: string;
  readonly at: number;
}

/** A decision over a conflict. `seen` must leave out what is pending. */
export async function addResolution(tx: Tx, vault: Vault, resolution: Resolution): Promise<Fold> {
  const row = {
    node: resolution.node,
    account_id: resolution.account,
    action: resolution.action,
    decision: JSON.stringify(resolution.decision),
    tested: JSON.stringify(resolution.tested),
    requester: resolution.requester,
    at: new Date(resolution.at),
  };
  await tx
    .insertInto('resolution')
    .values({ ...row, fact_hash: hashOf('resolution', row) })
    .execute();
  return project(tx, vault, resolution.account);
}

/** SHA-256 over the kind and the fields in the order written above; nodes compare facts by it. */
function hashOf(kind: string, row: object): Uint8Array {
  return createHash('sha256')
    .update(JSON.stringify([kind, ...Object.values(row)]))
    .digest();
}

/**
 * Folds an account to which facts came from elsewhere. `waiting`: the account is not declared here yet, or the value that
 * is current now has not come yet; then nothing was written.
 */
export async function reproject(tx: Tx, vault: Vault, account: AccountId): Promise<Fold | 'waiting'> {
  const declared = await tx.selectFrom('account').select('id').where('id', '=', account).executeTakeFirst();
  if (declared === undefined) return 'waiting';
  await alone(tx, account);
  const { root } = (await foldOf(tx, account)).fold;
  if (root !== null && !(await isHere(tx, root))) return 'waiting';
  return project(tx, vault, account);
}

/** Whether the value itself has come, with its key. */
async function isHere(tx: Tx, sigkey: Sigkey): Promise<boolean> {
  const value = await tx
    .selectFrom('credential_version')
    .innerJoin('credential_dek', 'credential_dek.sigkey', 'credential_version.sigkey')
    .select('credential_version.sigkey')
    .where('credential_version.sigkey', '=', sigkey)
    .executeTakeFirst();
  return value !== undefined;
}

/**
 * One projection of an account at a time: facts that arrive are folded without its lease, because a change that is
 * under way may hold that for minutes.
 */
async function alone(tx: Tx, account: AccountId): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`sallyport ledger ${account}`}, 0))`.execute(tx);
}

/** A node whose database was set back says nothing until it is healed: its numbers would be those of other facts. */
async function tellBelief(tx: Tx, account: AccountId, root: Sigkey | null): Promise<void> {
  await sql`INSERT INTO advance (account_id, root) SELECT ${account}::uuid, ${root}::uuid FROM ledger_node
    WHERE state IN ('single', 'joining', 'member')`.execute(tx);
}

/** Rewrites the account's places from its facts and moves the current pointer if the fold says so. */
async function project(tx: Tx, vault: Vault, account: AccountId): Promise<Fold> {
  await alone(tx, account);
  const { fold: seen } = await foldOf(tx, account);
  const places = [
    ...seen.history.map((sigkey) => ({ sigkey, place: 'history' as const })),
    ...seen.working.map((sigkey) => ({ sigkey, place: 'working' as const })),
    ...seen.workingHistory.map((sigkey) => ({ sigkey, place: 'working_history' as const })),
  ];
  const before = await tx.selectFrom('ledger_place').selectAll().where('account_id', '=', account).execute();
  const known = new Map(before.map((row) => [row.sigkey, row]));
  // The old pointer goes first, because there is never more than one.
  const pointer = before.find((row) => row.is_current)?.sigkey ?? null;
  if (pointer !== null && pointer !== seen.root)
    await tx.updateTable('ledger_place').set({ is_current: false }).where('sigkey', '=', pointer).execute();
  for (const { sigkey, place } of places) {
    const status = seen.status.get(sigkey) ?? 'P';
    const row = { sigkey, account_id: account, status, place, is_current: sigkey === seen.root };
    const old = known.get(sigkey);
    if (old === undefined) await tx.insertInto('ledger_place').values(row).execute();
    else if (old.status !== status || old.place !== place || old.is_current !== row.is_current)
      await tx.updateTable('ledger_place').set(row).where('sigkey', '=', sigkey).execute();
  }
  const state = { conflict: seen.conflict, busy: seen.busy };
  await tx
    .insertInto('ledger_account')
    .values({ account_id: account, ...state })
    .onConflict((conflict) => conflict.column('account_id').doUpdateSet(state))
    .execute();
  const current = await believed(tx, account, seen);
  const pointed = await tx
    .selectFrom('account_current')
    .select('sigkey')
    .where('account_id', '=', account)
    .executeTakeFirst();
  const moved = current !== (pointed?.sigkey ?? null);
  if (moved) await vault.setCurrent(tx, account, current);
  // In a conflict this node goes on believing what it believed last, and the others are told of nothing new.
  if (seen.conflict === 'none' && (moved || pointer !== seen.root)) await tellBelief(tx, account, seen.root);
  return seen;
}

/**
 * What sessions get. In a tree conflict that is what this node took for current last, as long as it may be what the target
 * has: the value at the root of the tree was replaced, by this node and by another one. Nothing is decided by it.
 */
async function believed(tx: Tx, account: AccountId, seen: Fold): Promise<Sigkey | null> {
  if (!seen.conflict.startsWith('tree')) return seen.root;
  const words = await tx
    .selectFrom('advance')
    .select(['node', 'node_seq as seq', 'root'])
    .where('account_id', '=', account)
    .where('node', 'in', (own) => own.selectFrom('ledger_incarnation').select('id'))
    .execute();
  let last: (typeof words)[number] | undefined;
  for (const word of words) if (last === undefined || saidAfter(word, last)) last = word;
  const belief = last?.root ?? null;
  if (belief === null || !seen.candidates.includes(belief) || seen.status.get(belief) !== 'C') return seen.root;
  return (await isHere(tx, belief)) ? belief : seen.root;
}
