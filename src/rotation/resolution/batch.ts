/**
 * Automatic resolution of many accounts: in batches of at most so many (B-26), each batch under one verification id, and
 * a few accounts of a batch at a time.
 */
import { sql } from 'kysely';
import type { Actor } from '../../audit/audit.ts';
import { isRefusal, wordsOf } from '../../base/errors.ts';
import type { AccountId } from '../../base/ids.ts';
import { newId } from '../../base/new-id.ts';
import type { Context } from '../context.ts';
import type { RotationRefusal } from '../refusal.ts';
import { resolveAccount, type Resolved } from './automatic.ts';
import type { VerificationId } from './verifications.ts';

/** What became of one account of a batch. */
export interface BatchEntry {
  readonly account: AccountId;
  readonly verification: VerificationId;
  readonly answer: Resolved | RotationRefusal;
}

/**
 * Resolves these accounts; `told` hears of each as soon as it is done. One that breaks keeps no other from its turn: that is
 * logged, and where somebody asked it is thrown when all the others are done. Ends early with the signal.
 */
export async function resolveInBatches(
  context: Context,
  accounts: readonly AccountId[],
  wish: { readonly actor: Actor; readonly demanded: boolean },
  told: (entry: BatchEntry) => void,
  signal: AbortSignal,
): Promise<void> {
  const { batchLimit, overall } = context.rules;
  const broken: unknown[] = [];
  for (let at = 0; at < accounts.length; at += batchLimit) {
    signal.throwIfAborted();
    const verification = newId<VerificationId>();
    const waiting = accounts.slice(at, at + batchLimit);
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift())
        try {
          const answer = await resolveAccount(context, next, { verification, ...wish }, signal);
          told({ account: next, verification, answer });
        } catch (error) {
          if (signal.aborted) return;
          context.log.error({ account: next }, `an account could not be resolved: ${wordsOf(error)}`);
          broken.push(error);
        }
    };
    await Promise.all(Array.from({ length: Math.min(overall, waiting.length) }, worker));
  }
  signal.throwIfAborted();
  if (wish.demanded && broken.length > 0) throw broken[0];
}

/** Every account in conflict, those that wait or are a person's too. */
export async function conflictedAccounts({ db }: Context): Promise<readonly AccountId[]> {
  const rows = await db
    .selectFrom('ledger_account')
    .innerJoin('account', 'account.id', 'ledger_account.account_id')
    .select('account.id')
    .where('ledger_account.conflict', '!=', 'none')
    .where('account.removed_at', 'is', null)
    .orderBy('account.target_name')
    .orderBy('account.name')
    .execute();
  return rows.map((row) => row.id);
}

/** The same, each with a word that is another one as soon as a fact of the account has come, or its declaration was changed. */
export async function conflictVersions({ db }: Context): Promise<ReadonlyMap<AccountId, string>> {
  // Both rows are rewritten then, and PostgreSQL keeps with a row which transaction wrote it.
  const rows = await db
    .selectFrom('ledger_account')
    .innerJoin('account', 'account.id', 'ledger_account.account_id')
    .select(['account.id', sql<string>`ledger_account.xmin || '/' || account.xmin`.as('version')])
    .where('ledger_account.conflict', '!=', 'none')
    .where('account.removed_at', 'is', null)
    .orderBy('account.target_name')
    .orderBy('account.name')
    .execute();
  return new Map(rows.map(({ id, version }) => [id, version]));
}

/** Whether an answer means that somebody has to look. */
export function needsPerson(answer: Resolved | RotationRefusal): boolean {
  return !isRefusal(answer) && answer.outcome === 'manual';
}
