/** A vault of a test's own, over a database of its own, with targets and accounts declared in it. */
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Actor } from '../../src/audit/audit.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { Sigkey, TargetId } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import { newId } from '../../src/base/new-id.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { clientConfig } from '../../src/db/dsn.ts';
import {
  type Account,
  type AccountDeclaration,
  accountNamed,
  type Credential,
  createRootKey,
  declareAccounts,
  openVault,
  type Vault,
} from '../../src/vault/vault.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

export const actor: Actor = { kind: 'operator', name: 'tester' };
export const never: AbortSignal = new AbortController().signal;

export interface VaultRoom extends AsyncDisposable {
  readonly base: TestDatabase;
  readonly vault: Vault;
  readonly rootKeyPath: string;
  readonly dataDirectory: string;
  /** Another vault over the same database and root key, as after a restart. Closed with the room. */
  readonly reopen: () => Promise<Vault>;
  /** Declares accounts, and their targets if they are not there. */
  readonly declare: (...accounts: (string | AccountDeclaration)[]) => Promise<Account[]>;
  /** Stores a version, makes it current, and returns its sigkey. */
  readonly put: (account: Account, value: string | Credential) => Promise<Sigkey>;
  /** Types of the audit events so far, oldest first. */
  readonly events: () => Promise<string[]>;
}

export async function vaultRoom(): Promise<VaultRoom> {
  const stack = new AsyncDisposableStack();
  const base = stack.use(await testDatabase());
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'sallyport-vault-')));
  const dataDirectory = join(dir.path, 'data');
  await mkdir(dataDirectory);
  const rootKeyPath = join(dir.path, 'root.key');
  await createRootKey(rootKeyPath, dataDirectory);
  const { db } = base;
  const reopen = async (): Promise<Vault> =>
    stack.use(await openVault({ db, rootKeyPath, dataDirectory, log: silent, clock: systemClock }, never));
  const vault = await reopen();
  return {
    base,
    vault,
    rootKeyPath,
    dataDirectory,
    reopen,
    declare: async (...accounts) => {
      const desired = accounts.map((one) =>
        typeof one === 'string' ? ({ name: one, kind: 'password' } as const) : one,
      );
      for (const { name } of desired) await target(base, name.slice(name.lastIndexOf('@') + 1));
      await inTransaction(db, (tx) => declareAccounts(tx, desired, { actor, prune: false }));
      const found = await Promise.all(desired.map(({ name }) => accountNamed(db, name)));
      return found.filter((account) => account !== undefined);
    },
    put: async (account, value) => {
      const credential: Credential =
        typeof value === 'string' ? { kind: 'password', secret: Secret.fromText(value) } : value;
      const sigkey = newId<Sigkey>();
      await inTransaction(db, async (tx) => {
        await vault.store(tx, { account: account.id, sigkey, credential, origin: 'entered', actor });
        await vault.setCurrent(tx, account.id, sigkey);
      });
      return sigkey;
    },
    events: async () => {
      const rows = await db.selectFrom('audit_event').select('type').orderBy('seq').execute();
      return rows.map((row) => row.type);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Makes a target unless there is one of this name. */
export async function target(base: TestDatabase, name: string): Promise<void> {
  const row = { id: newId<TargetId>(), name, platform: 'linux', address: '192.0.2.1', description: '' } as const;
  await base.db
    .insertInto('target')
    .values(row)
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
}

/** Runs one statement as an intruder with the cluster's superuser: no trigger stands in his way. */
export async function intrude(base: TestDatabase, statement: string, values: readonly unknown[] = []): Promise<void> {
  const client = new pg.Client(clientConfig(base.adminUrl));
  await client.connect();
  try {
    await client.query('begin');
    for (const table of ['credential_version', 'vault_key', 'vault_kek', 'vault_root', 'recording_key'])
      await client.query(`alter table ${table} disable trigger user`);
    await client.query(statement, [...values]);
    await client.query('commit');
  } finally {
    await client.end();
  }
}
