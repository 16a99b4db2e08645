/**
 * A database of a test's own: a clone of one that is migrated, with both roles, gone at the end of the block.
 *
 *   await using test = await testDatabase();
 *   await test.db.selectFrom('audit_event')…
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Kysely } from 'kysely';
import pg from 'pg';
import { inject } from 'vitest';
import { silent } from '../../src/base/log.ts';
import { type Db, openDatabase } from '../../src/db/db.ts';
import { clientConfig } from '../../src/db/dsn.ts';
import { prepareDatabase } from '../../src/db/embedded.ts';
import type { Tables } from '../../src/db/tables.ts';
import type { TestCluster } from './test-cluster.ts';

export interface TestDatabase extends AsyncDisposable {
  /** As the program: the app role. */
  readonly db: Db;
  /** As who migrates: the owner role. */
  readonly owner: Kysely<Tables>;
  readonly url: string;
  readonly ownerUrl: string;
  /** As the cluster's superuser, in this database: for what an intruder or a backup does. */
  readonly adminUrl: string;
  /** A pool of the cluster's superuser, closed with the database. */
  readonly admin: () => Promise<Db>;
  /** Another pool of the app role, closed with the database. */
  readonly another: () => Promise<Db>;
}

export interface TestDatabaseOptions {
  /** `empty`: not migrated. */
  readonly from?: 'template' | 'empty';
}

let cluster: Promise<TestCluster> | undefined;

export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  cluster ??= ask();
  const { adminUrl: clusterUrl, template, failed } = await cluster;
  const empty = options.from === 'empty';
  if (clusterUrl === undefined || (failed !== undefined && !empty))
    throw new Error(`there is no test database: ${failed}`);
  const name = `t${randomBytes(8).toString('hex')}`;
  await prepareDatabase(clusterUrl, name, empty ? 'template1' : template);
  const at = (role: string): string => {
    const url = new URL(clusterUrl);
    url.username = role;
    url.pathname = `/${name}`;
    return url.href;
  };
  const [url, ownerUrl, adminUrl] = [at('sallyport_app'), at('sallyport_owner'), at('postgres')];
  const open: Db[] = [];
  const pool = async (address: string): Promise<Db> => {
    const db = await openDatabase(address, {}, silent);
    open.push(db);
    return db;
  };
  return {
    db: await pool(url),
    owner: await pool(ownerUrl),
    url,
    ownerUrl,
    adminUrl,
    admin: async () => await pool(adminUrl),
    another: async () => await pool(url),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(open.map(async (db) => await db.destroy()));
      const client = new pg.Client(clientConfig(clusterUrl));
      await client.connect();
      await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await client.end();
    },
  };
}

async function ask(): Promise<TestCluster> {
  const socket = connect(inject('testCluster'));
  return JSON.parse(await text(socket)) as TestCluster;
}
