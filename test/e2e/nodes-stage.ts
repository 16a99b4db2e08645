/**
 * Nodes for tests: each a cluster of its own with a vault over one key ring, the same target and accounts, and facts that
 * travel when the test lets them. The ledger is written by the product's own functions.
 */
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import type { Actor } from '../../src/audit/audit.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { AccountId, Sigkey } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import { type Db, inTransaction, openDatabase } from '../../src/db/db.ts';
import { declareTargets } from '../../src/estate/estate.ts';
import { addOutcome, addRandomization, addResolution, foldOf } from '../../src/rotation/ledger/ledger.ts';
import { foldArrivals } from '../../src/rotation/nodes/arrivals.ts';
import { assume, identityOf } from '../../src/rotation/nodes/identity.ts';
import { publish } from '../../src/rotation/nodes/publication.ts';
import {
  setListening,
  type Source,
  subscribe,
  subscriptionName,
  untilCopied,
} from '../../src/rotation/nodes/subscription.ts';
import type { Decision, OutcomeStatus } from '../../src/rotation/plan/facts.ts';
import type { Fold } from '../../src/rotation/plan/fold.ts';
import { accountNamed, createRootKey, declareAccounts, openVault, type Vault } from '../../src/vault/vault.ts';
import { type Cluster, startClusters } from '../lab/cluster.ts';

export const actor: Actor = { kind: 'operator', name: 'tester' };
export const never: AbortSignal = new AbortController().signal;

export interface Node {
  readonly name: string;
  readonly cluster: Cluster;
  readonly db: Db;
  readonly admin: Db;
  readonly vault: Vault;
  /** As it stands in facts now. */
  id(): Promise<string>;
  account(label: string): Promise<AccountId>;
  /** Stage 1: a value is drawn and stored, before anybody is asked. */
  write(account: AccountId, parent: Sigkey | null, value?: string): Promise<Sigkey>;
  /** What became of it. */
  conclude(account: AccountId, sigkey: Sigkey, status: OutcomeStatus): Promise<void>;
  /** Both, confirmed. */
  rotate(account: AccountId, parent: Sigkey | null): Promise<Sigkey>;
  decide(account: AccountId, decision: Decision): Promise<void>;
  fold(account: AccountId): Promise<Fold>;
  /** Opens connections and vault again, after the cluster was stopped. */
  reopen(): Promise<void>;
}

export interface Stage extends AsyncDisposable {
  readonly nodes: readonly Node[];
  /** Of the vault of every node. */
  readonly rootKeyPath: string;
  readonly dataDirectory: string;
  node(name: string): Node;
  /** Names the node and lets it publish. */
  open(name: string): Promise<void>;
  /** Lets `to` hear `from`, and waits for the copy. */
  link(from: string, to: string): Promise<void>;
  linkAll(names: readonly string[]): Promise<void>;
  /** Holds or lets go what comes from `from` to `to`. */
  wire(from: string, to: string, on: boolean): Promise<void>;
  /** Waits until everything that was written at `from` so far is applied at `to`, and folds what came. */
  arrived(from: string, to: string): Promise<void>;
  /** Of every pair. */
  quiet(names: readonly string[]): Promise<void>;
  /** How one node reaches another. */
  source(name: string): Source;
  /** Everything that must be the same everywhere: all facts, places, folds of all accounts, and without a tree conflict current pointers. */
  digest(name: string): Promise<string>;
  /** Rows that came under a key that was taken by another. */
  quarantined(name: string): Promise<number>;
}

export async function nodesStage(names: readonly string[], accounts: readonly string[]): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'nodes-stage-'))).path;
  const rootKeyPath = join(dir, 'root.key');
  const dataDirectory = join(dir, 'data');
  await mkdir(dataDirectory);
  await createRootKey(rootKeyPath, dataDirectory);
  const vaultOf = (db: Db): Promise<Vault> =>
    openVault({ db, rootKeyPath, dataDirectory, log: silent, clock: systemClock }, never);
  const clusters = stack.use(
    await startClusters(names, async (first) => {
      await using db = await openDatabase(first.appUrl, {}, silent);
      await using vault = await vaultOf(db);
      await vault.sealSigner('audit-head');
      await inTransaction(db, (tx) =>
        declareTargets(tx, [{ name: 'box', platform: 'linux', address: '192.0.2.1', services: [] }], {
          actor,
          prune: false,
        }),
      );
      const declared = accounts.map((name) => ({ name: `${name}@box`, kind: 'password' as const }));
      await inTransaction(db, (tx) => declareAccounts(tx, declared, { actor, prune: false }));
    }),
  );
  const nodes = await Promise.all(clusters.all.map((cluster) => makeNode(cluster, vaultOf, stack)));
  const node = (name: string): Node => {
    const found = nodes.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  };

  const reach = (name: string): Pick<Node, 'db' | 'vault'> => ({ db: node(name).db, vault: node(name).vault });
  // Copies of one folder: each is a node of its own, as one that was made by itself is.
  for (const { admin } of nodes) {
    await sql`UPDATE ledger_node SET id = gen_random_uuid()::text`.execute(admin);
    await sql`UPDATE ledger_incarnation SET id = (SELECT id FROM ledger_node)`.execute(admin);
  }

  const stage: Omit<Stage, typeof Symbol.asyncDispose> = {
    nodes,
    rootKeyPath,
    dataDirectory,
    node,
    open: async (name) => {
      const { admin } = node(name);
      await inTransaction(admin, (tx) => assume(tx, name, []));
      await publish(admin, (await identityOf(admin)).own);
    },
    link: async (from, to) => {
      const { admin } = node(to);
      await subscribe(admin, to, stage.source(from));
      await untilCopied(admin, subscriptionName(to, from), systemClock, AbortSignal.timeout(60_000));
    },
    linkAll: async (all) => {
      for (const name of all) await stage.open(name);
      for (const from of all) for (const to of all) if (from !== to) await stage.link(from, to);
    },
    wire: (from, to, on) => setListening(node(to).admin, subscriptionName(to, from), on),
    arrived: async (from, to) => {
      const { rows } = await sql<{ lsn: string }>`SELECT pg_current_wal_insert_lsn()::text AS lsn`.execute(
        node(from).admin,
      );
      const slot = subscriptionName(to, from);
      const late = AbortSignal.timeout(60_000);
      for (;;) {
        const reached = await sql<{
          there: boolean;
        }>`SELECT coalesce(confirmed_flush_lsn >= ${rows[0]?.lsn}::pg_lsn, false)
          AS there FROM pg_replication_slots WHERE slot_name = ${slot}`.execute(node(from).admin);
        if (reached.rows[0]?.there === true) break;
        await systemClock.sleep(10, late);
      }
      await foldArrivals({ ...reach(to), log: silent }, () => {});
    },
    quiet: async (all) => {
      for (const from of all) for (const to of all) if (from !== to) await stage.arrived(from, to);
    },
    source: (name) => {
      const { conninfo, adminUrl } = node(name).cluster;
      return { name, conninfo, open: () => openDatabase(adminUrl, { max: 1 }, silent) };
    },
    digest: async (name) => digestOf(node(name).db),
    quarantined: async (name) => (await node(name).db.selectFrom('ledger_quarantine').select('id').execute()).length,
  };
  return { ...stage, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function digestOf(db: Db): Promise<string> {
  const accounts = await db.selectFrom('account').select('id').orderBy('id').execute();
  const folds = await Promise.all(accounts.map(async ({ id }) => [id, plainly((await foldOf(db, id)).fold)]));
  const places = await db.selectFrom('ledger_place').selectAll().orderBy('sigkey').execute();
  const states = await db.selectFrom('ledger_account').selectAll().orderBy('account_id').execute();
  // In a tree conflict each node goes on with what it took for current itself.
  const current = await db
    .selectFrom('account_current')
    .innerJoin('ledger_account', 'ledger_account.account_id', 'account_current.account_id')
    .select(['account_current.account_id', 'account_current.sigkey'])
    .where('ledger_account.conflict', 'in', ['none', 'incomplete'])
    .orderBy('account_current.account_id')
    .execute();
  const values = await db
    .selectFrom('credential_version')
    .innerJoin('credential_dek', 'credential_dek.sigkey', 'credential_version.sigkey')
    .select(['credential_version.sigkey', 'sealed', 'wrapped', 'history_mac', 'credential_version.node'])
    .orderBy('credential_version.sigkey')
    .execute();
  const hashes = await sql`SELECT encode(fact_hash, 'hex') AS hash FROM (SELECT fact_hash FROM randomization
    UNION ALL SELECT fact_hash FROM outcome UNION ALL SELECT fact_hash FROM resolution) AS fact ORDER BY 1`.execute(db);
  return JSON.stringify({ folds, places, states, current, values, hashes: hashes.rows }, null, 1);
}

/** A fold as plain data; sets and maps in the order of their keys. */
function plainly(fold: Fold): unknown {
  return { ...fold, status: [...fold.status].sort(([a], [b]) => (a < b ? -1 : 1)) };
}

async function makeNode(
  cluster: Cluster,
  vaultOf: (db: Db) => Promise<Vault>,
  stack: AsyncDisposableStack,
): Promise<Node> {
  let db: Db;
  let admin: Db;
  let vault: Vault;
  const close = async (): Promise<void> => {
    await Promise.all([db.destroy(), admin.destroy(), vault[Symbol.asyncDispose]()]);
  };
  async function open(): Promise<void> {
    db = await openDatabase(cluster.appUrl, { max: 4 }, silent);
    admin = await openDatabase(cluster.adminUrl, { max: 2 }, silent);
    vault = await vaultOf(db);
  }
  await open();
  stack.defer(close);
  const id = async (): Promise<string> => (await identityOf(db)).id;
  const node: Node = {
    name: cluster.name,
    cluster,
    get db() {
      return db;
    },
    get admin() {
      return admin;
    },
    get vault() {
      return vault;
    },
    id,
    account: async (label) => {
      const found = await accountNamed(db, `${label}@box`);
      if (found === undefined) throw new Error(`no account ${label}`);
      return found.id;
    },
    write: async (account, parent, value = `Value-${newId()}`) => {
      const sigkey = newId<Sigkey>();
      using secret = Secret.fromText(value);
      await inTransaction(db, async (tx) => {
        await vault.store(tx, {
          account,
          sigkey,
          credential: { kind: 'password', secret },
          origin: 'generated',
          actor,
        });
        await addRandomization(tx, vault, { sigkey, account, parent, node: await id(), createdAt: Date.now() });
      });
      return sigkey;
    },
    conclude: async (account, sigkey, status) => {
      const about = { account, sigkey, node: await id(), status, at: Date.now(), retcode: 'test', message: '' };
      await inTransaction(db, (tx) => addOutcome(tx, vault, about));
    },
    rotate: async (account, parent) => {
      const sigkey = await node.write(account, parent);
      await node.conclude(account, sigkey, 'C');
      return sigkey;
    },
    decide: async (account, decision) => {
      const about = {
        account,
        node: await id(),
        action: 'M',
        decision,
        tested: [],
        requester: 'test',
        at: Date.now(),
      } as const;
      await inTransaction(db, (tx) => addResolution(tx, vault, about));
    },
    fold: async (account) => (await foldOf(db, account)).fold,
    reopen: async () => {
      await close();
      await open();
    },
  };
  return node;
}
