/**
 * Where a family's kills take place: a database and a vault of its own, one server, and lanes: targets that are the same
 * server, each behind a wire of its own. Every kill has a new account with a past of its own.
 */
import { type Kysely, sql } from 'kysely';
import type { Actor } from '../src/audit/audit.ts';
import type { AccountId, Sigkey } from '../src/base/ids.ts';
import { newId } from '../src/base/new-id.ts';
import { type Db, inTransaction } from '../src/db/db.ts';
import type { Tables } from '../src/db/tables.ts';
import { declareTargets } from '../src/estate/estate.ts';
import { addOutcome, addRandomization, nodeName } from '../src/rotation/ledger/ledger.ts';
import {
  accountNamed,
  type AccountDeclaration,
  declareAccounts,
  holdExclusively,
  type Vault,
} from '../src/vault/vault.ts';
import { openWire, type Wire } from '../test/lab/wire.ts';
import type { Compiled } from './compiled.ts';
import type { Family, Server } from './families/family.ts';
import type { Stop, Task } from './messages.ts';
import { type Known, operationNamed, type OperationName, type Past } from './operations.ts';
import { credentialOf, type Value } from './values.ts';

/** Where the product's data is. */
export interface Base {
  readonly url: string;
  readonly rootKeyPath: string;
  readonly dataDirectory: string;
  readonly db: Db;
  readonly owner: Kysely<Tables>;
  readonly vault: Vault;
  /** What its processes are started from. */
  readonly compiled: Compiled;
}

/** One kill that is to be made, or with no stop one performance that is only listened to. */
export interface Case {
  readonly operation: OperationName;
  /** Which of several pasts. */
  readonly variant: number;
  readonly stop?: Stop;
}

/** A case with its account. */
export interface Prepared {
  readonly case: Case;
  readonly task: Task;
  readonly name: string;
  readonly label: string;
  /** There are further variants of this past. */
  readonly variants: number;
}

export interface Stage extends AsyncDisposable {
  readonly base: Base;
  readonly family: Family;
  readonly server: Server;
  readonly wires: readonly Wire[];
  /** New accounts for these cases, one for each lane, on the target too. */
  readonly prepare: (cases: readonly Case[]) => Promise<readonly Prepared[]>;
  /** These are looked after no more. */
  readonly retire: (accounts: readonly AccountId[]) => Promise<void>;
}

const actor: Actor = { kind: 'operator', name: 'crash' };
/** So long ago that no time-out of the product is still running. */
const longAgoMs = 3 * 3_600_000;

export async function openStage(base: Base, family: Family, lanes: number): Promise<Stage> {
  await using undo = new AsyncDisposableStack();
  const server = undo.use(await family.start());
  const wires: Wire[] = [];
  for (let lane = 0; lane < lanes; lane++) wires.push(undo.use(await openWire(server)));
  const { db, vault } = base;
  const node = await nodeName(db);
  let drawn = 0;

  const declare = async (declaration: AccountDeclaration): Promise<AccountId> => {
    await inTransaction(db, (tx) => declareAccounts(tx, [declaration], { actor, prune: false }));
    const account = await accountNamed(db, declaration.name);
    if (account === undefined) throw new Error(`${declaration.name} was not declared`);
    return account.id;
  };
  const store = async (
    account: AccountId,
    value: Value,
    fact: { readonly parent: Sigkey | null; readonly status: 'C' | 'U' | 'F' | 'P'; readonly node: string },
  ): Promise<Sigkey> => {
    const sigkey = newId<Sigkey>();
    using credential = credentialOf(value);
    const at = Date.now() - longAgoMs + ++drawn;
    await inTransaction(db, async (tx) => {
      await vault.store(tx, { account, sigkey, credential, origin: 'generated', actor });
      const { parent, status, node: by } = fact;
      await addRandomization(tx, vault, { sigkey, account, parent, node: by, createdAt: at });
      if (status === 'P') return;
      await addOutcome(tx, vault, { account, sigkey, node: by, status, at, retcode: 'none', message: 'the past' });
    });
    return sigkey;
  };

  // What another node drew comes to a real one by replication, to which this guard does not apply.
  for (const table of ['randomization', 'outcome'])
    await sql`ALTER TABLE ${sql.table(table)} DISABLE TRIGGER fact_is_own`.execute(base.owner);
  // What is of long ago was heard of long ago.
  await sql
    .raw(`create function heard_long_ago() returns trigger language plpgsql as $$
      begin
        if tg_table_name = 'outcome' then new.heard_at := least(new.heard_at, new.at);
        else new.heard_at := least(new.heard_at, new.created_at);
        end if;
        return new;
      end $$`)
    .execute(base.owner);
  for (const table of ['randomization', 'outcome'])
    await sql`CREATE TRIGGER heard_long_ago BEFORE INSERT ON ${sql.table(table)}
      FOR EACH ROW EXECUTE FUNCTION heard_long_ago()`.execute(base.owner);
  const { keeper } = server;
  for (const [lane, wire] of wires.entries()) {
    const target = {
      name: `lane${lane}`,
      platform: 'linux',
      address: wire.address,
      services: [server.service(wire.port)],
    } as const;
    await inTransaction(db, (tx) => declareTargets(tx, [target], { actor, prune: false }));
    const { connector, value } = keeper;
    const id = await declare({ name: `${keeper.name}@lane${lane}`, kind: value.kind, connector });
    await store(id, value, { parent: null, status: 'C', node });
  }

  let count = 0;
  const prepareOne = async (one: Case, lane: number): Promise<Prepared & { readonly live: Value }> => {
    const operation = operationNamed(one.operation);
    const name = `c${++count}`;
    const label = `${name}@lane${lane}`;
    const helper = `${keeper.name}@lane${lane}`;
    const account = await declare({
      name: label,
      kind: family.kind,
      connector: family.connector,
      ...(family.by === 'keeper' ? { admin: helper } : {}),
      reconcile: helper,
      autoReconcile: operation.replaces === true,
      ...(family.settings === undefined ? {} : { settings: family.settings }),
    });
    let live: Value | undefined;
    let variants = 1;
    const past: Past = {
      known: async (parent, status, other): Promise<Known> => {
        const value = await server.draw();
        const sigkey = await store(account, value, { parent: parent?.sigkey ?? null, status, node: other ?? node });
        if (status === 'P' && other === undefined) await leaveTraces(base, account, sigkey);
        return { sigkey, value };
      },
      unknown: server.draw,
      live: (value) => {
        live = value;
      },
      either: (...these) => {
        variants = these.length;
        return these[one.variant % these.length] ?? these[0];
      },
    };
    const said = await operation.past(past);
    if (live === undefined) throw new Error(`${one.operation} does not say what the target has`);
    const task = {
      lane,
      account,
      operation: one.operation,
      said,
      ...(one.stop === undefined ? {} : { stop: one.stop }),
    };
    return { case: one, task, name, label, variants, live };
  };

  const life = undo.move();
  return {
    base,
    family,
    server,
    wires,
    prepare: async (cases) => {
      if (cases.length > lanes) throw new Error(`${cases.length} cases for ${lanes} lanes`);
      const prepared = await Promise.all(cases.map(prepareOne));
      await server.plant(prepared.map(({ name, live }) => ({ name, value: live })));
      return prepared;
    },
    retire: async (accounts) => {
      const removed = base.owner.updateTable('account').set({ removed_at: new Date() });
      await removed.where('id', 'in', [...accounts]).execute();
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** What a process that dies in the middle of a change leaves behind besides the value: its lease and its hold. */
async function leaveTraces({ db, owner }: Base, account: AccountId, sigkey: Sigkey): Promise<void> {
  const row = { account_id: account, token: 1, holder: 'a dead process', sigkey, expires_at: new Date(0) };
  await owner.insertInto('rotation_lease').values(row).execute();
  await holdExclusively(db, account, { kind: 'rotation', subject: `rotation of ${account}` });
}
