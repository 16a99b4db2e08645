/**
 * What an operator does after the process was killed: nothing. The product starts again and time passes: leases run out,
 * refused logins no longer count, what could still land has landed. Time is not waited for but told: leases end in the
 * database, what was heard of was heard of earlier, and the product's clock is set on.
 */
import { sql } from 'kysely';
import { type Clock, systemClock } from '../src/base/clock.ts';
import type { AccountId } from '../src/base/ids.ts';
import { silent } from '../src/base/log.ts';
import type { RunConnector } from '../src/rotation/connectors/run.ts';
import { openRotation } from '../src/rotation/rotation.ts';
import type { Base } from './stage.ts';
import { timing } from './timing.ts';

/** After so many milliseconds each the accounts that are not settled yet are looked at again. */
const passing = [0, 10_000, 60_000, 31 * 60_000, 31 * 60_000] as const;
const aDay = 25 * 3_600_000;

/**
 * Starts the product again, and lets it work until these accounts are settled or enough time has passed; with `daily`
 * until the daily look at each of them was taken.
 */
export async function recover(
  base: Base,
  accounts: readonly AccountId[],
  { daily, run }: { readonly daily: boolean; readonly run: RunConnector },
  signal: AbortSignal,
): Promise<void> {
  const { db, owner, vault } = base;
  await owner
    .updateTable('rotation_lease')
    .set({ expires_at: new Date(0) })
    .execute();
  let ahead = 0;
  const clock: Clock = { now: () => Date.now() + ahead, sleep: (ms, until) => systemClock.sleep(ms, until) };
  await using rotation = await openRotation({ db, vault, log: silent, clock, timing, run, watch: true }, signal);
  const wait = async (): Promise<void> => {
    for (const more of passing) {
      ahead += more;
      await heardEarlier(base, more);
      await rotation.settle();
      if (!(await anyOpen(base, accounts))) return;
    }
  };
  await wait();
  if (!daily) return;
  ahead += aDay;
  await heardEarlier(base, aDay);
  await wait();
}

async function heardEarlier({ owner }: Base, ms: number): Promise<void> {
  for (const table of ['randomization', 'outcome'])
    await owner.transaction().execute(async (tx) => {
      await sql`ALTER TABLE ${sql.table(table)} DISABLE TRIGGER append_only_row`.execute(tx);
      await sql`UPDATE ${sql.table(table)} SET heard_at = heard_at - ${ms} * interval '1 millisecond'`.execute(tx);
      await sql`ALTER TABLE ${sql.table(table)} ENABLE ALWAYS TRIGGER append_only_row`.execute(tx);
    });
}

async function anyOpen({ db }: Base, accounts: readonly AccountId[]): Promise<boolean> {
  const rows = await db
    .selectFrom('ledger_account')
    .select('account_id')
    .where('account_id', 'in', [...accounts])
    .where((is) => is.or([is('conflict', '!=', 'none'), is('busy', '=', true)]))
    .limit(1)
    .execute();
  return rows.length > 0;
}
