/**
 * A PostgreSQL for tests: the product's own embedded one, without fsync, because nothing in it must survive, and a
 * migrated database in it to be cloned. It goes with its folder, also when the process that started it is killed.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wordsOf } from '../../src/base/errors.ts';
import { openLog } from '../../src/base/log.ts';
import { migrate } from '../../src/db/db.ts';
import { type EmbeddedDatabase, prepareDatabase, startEmbedded } from '../../src/db/embedded.ts';

/** What a test is told: where the cluster is, and why it or its template is missing. */
export interface TestCluster {
  readonly adminUrl?: string;
  readonly template: string;
  readonly failed?: string;
}

export interface StartedCluster extends AsyncDisposable {
  readonly cluster: TestCluster;
}

export interface TestFolder extends AsyncDisposable {
  readonly path: string;
}

const template = 'sallyport_template';

/** A folder for `startTestCluster`; it and the cluster in it go with this process, however that ends. */
export function testFolder(): TestFolder {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-unit-'));
  cleanUpAfterKill(path);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Starts it. It never throws: why there is none is part of the answer. */
export async function startTestCluster(folder: TestFolder): Promise<StartedCluster> {
  let embedded: EmbeddedDatabase | undefined;
  const end = { [Symbol.asyncDispose]: async () => await embedded?.[Symbol.asyncDispose]() };
  try {
    const settings = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off', shared_buffers: '64MB' };
    const log = openLog('test', 'warn');
    embedded = await startEmbedded({ dir: join(folder.path, 'db'), log, settings }, new AbortController().signal);
    const { adminUrl } = embedded;
    await prepareDatabase(adminUrl, template);
    await migrate(embedded.ownerUrl.replace('/sallyport?', `/${template}?`));
    return { cluster: { adminUrl, template }, ...end };
  } catch (error) {
    const where = embedded === undefined ? {} : { adminUrl: embedded.adminUrl };
    return { cluster: { ...where, template, failed: wordsOf(error) }, ...end };
  }
}

/** Should this process be killed, its end of the pipe closes: then the server goes, and the folder. */
function cleanUpAfterKill(dir: string): void {
  const script = `read -r line
    pid=$(head -n 1 "$1/db/cluster/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" && sleep 1
    rm -rf "$1"`;
  const watcher = spawn('sh', ['-c', script, 'sh', dir], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  watcher.unref();
  (watcher.stdin as unknown as { unref?: () => void }).unref?.();
}
