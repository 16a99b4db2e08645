/**
 * What must be true, found out without the product wherever the target is asked: the live value is in the vault, and after
 * the start it is the current one; every value that was ever drawn still opens; the ledger's projection agrees with its
 * facts; nothing is left that would keep anybody waiting.
 */
import { sql } from 'kysely';
import type { Sigkey } from '../src/base/ids.ts';
import type { Actor } from '../src/audit/audit.ts';
import { foldOf } from '../src/rotation/ledger/ledger.ts';
import type { Prepared, Stage } from './stage.ts';
import { type Value, valueOf } from './values.ts';

export interface Finding {
  readonly one: Prepared;
  /** The live value is in the vault. */
  readonly kept: boolean;
  /** What is not as it must be. Empty: recovered. */
  readonly faults: readonly string[];
}

const actor: Actor = { kind: 'operator', name: 'crash' };

interface Stored {
  readonly sigkey: Sigkey;
  readonly value: Value | undefined;
}

/** Every stored value of an account, opened. */
async function storedOf({ base }: Stage, { task }: Prepared): Promise<readonly Stored[]> {
  const rows = await base.db
    .selectFrom('credential_version')
    .select('sigkey')
    .where('account_id', '=', task.account)
    .orderBy('created_at')
    .execute();
  const stored: Stored[] = [];
  for (const { sigkey } of rows) {
    try {
      using version = await base.vault.openVersion(task.account, sigkey, 'crash', actor);
      stored.push({ sigkey, value: valueOf(version) });
    } catch {
      stored.push({ sigkey, value: undefined });
    }
  }
  return stored;
}

/** For each account the stored values, and the sigkeys of those that open it now. */
async function look(
  stage: Stage,
  prepared: readonly Prepared[],
): Promise<{ stored: readonly Stored[]; live: readonly Sigkey[] }[]> {
  const all = await Promise.all(prepared.map((one) => storedOf(stage, one)));
  const opened = all.map((stored) => stored.filter((one): one is Stored & { value: Value } => one.value !== undefined));
  const answers = await stage.server.holds(
    prepared.map(({ name }, at) => ({ name, value: (opened[at] ?? []).map((one) => one.value) })),
  );
  return all.map((stored, at) => ({
    stored,
    live: (opened[at] ?? []).filter((_, index) => answers[at]?.[index] === true).map((one) => one.sigkey),
  }));
}

/** Right after the kill: which accounts have a live value that is stored nowhere. */
export async function lostAmong(stage: Stage, prepared: readonly Prepared[]): Promise<ReadonlySet<Prepared>> {
  const seen = await look(stage, prepared);
  return new Set(prepared.filter((_, at) => seen[at]?.live.length === 0));
}

/** After the start. */
export async function check(stage: Stage, prepared: readonly Prepared[]): Promise<readonly Finding[]> {
  const seen = await look(stage, prepared);
  return Promise.all(
    prepared.map(async (one, at) => {
      const { stored = [], live = [] } = seen[at] ?? {};
      return {
        one,
        kept: live.length > 0,
        faults: [...faultsOfValues(stored, live), ...(await faultsOfLedger(stage, one, stored, live))],
      };
    }),
  );
}

function faultsOfValues(stored: readonly Stored[], live: readonly Sigkey[]): string[] {
  const faults: string[] = [];
  for (const { sigkey, value } of stored) if (value === undefined) faults.push(`${sigkey} does not open any more`);
  const texts = new Set(stored.filter(({ sigkey }) => live.includes(sigkey)).map(({ value }) => value?.text));
  if (texts.size !== 1) faults.push(`${texts.size} stored values open the account`);
  return faults;
}

async function faultsOfLedger(
  { base: { db } }: Stage,
  { task: { account } }: Prepared,
  stored: readonly Stored[],
  live: readonly Sigkey[],
): Promise<string[]> {
  const faults: string[] = [];
  const say = (wrong: boolean, words: string): void => void (wrong && faults.push(words));
  const { facts, fold } = await foldOf(db, account);
  say(fold.root === null || !live.includes(fold.root), `the current value is ${fold.root}, live is ${live.join(', ')}`);
  say(fold.conflict !== 'none', `a conflict is open: ${fold.conflict}`);
  say(fold.busy, 'a value is pending');

  const places = await db.selectFrom('ledger_place').selectAll().where('account_id', '=', account).execute();
  const current = places.filter((place) => place.is_current).map((place) => place.sigkey);
  say(current.length !== 1 || current[0] !== fold.root, `the projection has ${current.join(', ')} as current`);
  const sorted = (keys: readonly Sigkey[]): string => keys.toSorted().join();
  const versions = stored.map(({ sigkey }) => sigkey);
  say(sorted(places.map((place) => place.sigkey)) !== sorted(versions), 'places and stored values differ');
  say(sorted(facts.randomizations.map((fact) => fact.sigkey)) !== sorted(versions), 'facts and stored values differ');
  const folded = new Map([
    ...fold.history.map((key) => [key, 'history'] as const),
    ...fold.working.map((key) => [key, 'working'] as const),
    ...fold.workingHistory.map((key) => [key, 'working_history'] as const),
  ]);
  const wrong = places.filter(
    ({ sigkey, place, status }) => folded.get(sigkey) !== place || fold.status.get(sigkey) !== status,
  );
  say(wrong.length > 0, `${wrong.length} places are not what the facts say`);

  const pointer = await db.selectFrom('account_current').select('sigkey').where('account_id', '=', account).execute();
  say(pointer[0]?.sigkey !== fold.root, `the vault's pointer is ${pointer[0]?.sigkey}`);
  const started = await db
    .selectFrom('audit_event')
    .select('about')
    .where('type', '=', 'rotation.started')
    .where(sql<string>`about ->> 'account'`, '=', account)
    .execute();
  const drawn = started.map(({ about }) => about['sigkey']);
  say(
    drawn.some((sigkey) => !versions.some((version) => version === sigkey)),
    'a value that was drawn is gone',
  );
  const holds = await db
    .selectFrom('hold')
    .select('subject')
    .where('account_id', '=', account)
    .where('released_at', 'is', null)
    .execute();
  say(holds.length > 0, `still held by ${holds.map((hold) => hold.subject).join(', ')}`);
  const leases = await db
    .selectFrom('rotation_lease')
    .select('expires_at')
    .where('account_id', '=', account)
    .where('expires_at', '>', new Date())
    .execute();
  say(leases.length > 0, 'still leased');
  return faults;
}
