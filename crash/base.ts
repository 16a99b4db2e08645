/** A database and a vault for one family's kills, in a cluster that is made for the run and goes with it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { systemClock } from '../src/base/clock.ts';
import { silent } from '../src/base/log.ts';
import { appRole, openDatabase, ownerRole } from '../src/db/db.ts';
import { clientConfig } from '../src/db/dsn.ts';
import { prepareDatabase } from '../src/db/embedded.ts';
import type { Tables } from '../src/db/tables.ts';
import { createRootKey, openVault } from '../src/vault/vault.ts';
import type { TestCluster } from '../test/support/test-cluster.ts';
import type { Compiled } from './compiled.ts';
import type { Base } from './stage.ts';

/** Makes it in `folder`, under this name. */
export async function openBase(
  { adminUrl, template, failed }: TestCluster,
  folder: string,
  name: string,
  compiled: Compiled,
): Promise<Base & AsyncDisposable> {
  if (adminUrl === undefined || failed !== undefined) throw new Error(`there is no database: ${failed}`);
  await using undo = new AsyncDisposableStack();
  const database = `crash_${name.replaceAll(/\W/g, '_')}`;
  await prepareDatabase(adminUrl, database, template);
  const at = (role: string): string => {
    const url = new URL(adminUrl);
    url.username = role;
    url.pathname = `/${database}`;
    return url.href;
  };
  const url = at(appRole);
  const db = undo.use(await openDatabase(url, {}, silent));
  const pool = new pg.Pool(clientConfig(at(ownerRole)));
  pool.on('error', () => {});
  const owner = undo.use(new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) }));
  const dataDirectory = join(folder, name, 'data');
  const rootKeyPath = join(folder, name, 'root.key');
  await mkdir(dataDirectory, { recursive: true });
  await createRootKey(rootKeyPath, dataDirectory);
  const options = { db, rootKeyPath, dataDirectory, log: silent, clock: systemClock };
  const vault = undo.use(await openVault(options, new AbortController().signal));
  const life = undo.move();
  return {
    url,
    rootKeyPath,
    dataDirectory,
    db,
    owner,
    vault,
    compiled,
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}
