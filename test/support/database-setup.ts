/**
 * One PostgreSQL for a whole run of the unit tests, started when the first test asks for a database: who tests only
 * pure code waits for none. It is the product's own embedded one, without fsync, because nothing here must survive.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { wordsOf } from '../../src/base/errors.ts';
import { openLog } from '../../src/base/log.ts';
import { migrate } from '../../src/db/db.ts';
import { type EmbeddedDatabase, prepareDatabase, startEmbedded } from '../../src/db/embedded.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The socket at which a test asks for the cluster. */
    testCluster: string;
  }
}

/** What a test is told: where the cluster is, and why it or its template is missing. */
export interface TestCluster {
  readonly adminUrl?: string;
  readonly template: string;
  readonly failed?: string;
}

const template = 'sallyport_template';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-unit-'));
  cleanUpAfterKill(dir);
  let embedded: EmbeddedDatabase | undefined;
  let started: Promise<TestCluster> | undefined;

  async function start(): Promise<TestCluster> {
    try {
      const settings = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off', shared_buffers: '64MB' };
      const log = openLog('test', 'warn');
      embedded = await startEmbedded({ dir: join(dir, 'db'), log, settings }, new AbortController().signal);
      const { adminUrl } = embedded;
      await prepareDatabase(adminUrl, template);
      await migrate(embedded.ownerUrl.replace('/sallyport?', `/${template}?`));
      return { adminUrl, template };
    } catch (error) {
      return { ...(embedded === undefined ? {} : { adminUrl: embedded.adminUrl }), template, failed: wordsOf(error) };
    }
  }

  const server = createServer((socket) => {
    socket.on('error', () => {});
    started ??= start();
    void started.then((cluster) => socket.end(JSON.stringify(cluster)));
  });
  const path = join(dir, 'ask');
  await new Promise<void>((listening) => server.listen(path, listening));
  server.unref();
  project.provide('testCluster', path);

  return async () => {
    server.close();
    await started;
    await embedded?.[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  };
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
