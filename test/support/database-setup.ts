/**
 * One PostgreSQL for a whole run of the unit tests, started when the first test asks for a database: who tests only
 * pure code waits for none.
 */
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startTestCluster, type StartedCluster, testFolder } from './test-cluster.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The socket at which a test asks for the cluster. */
    testCluster: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = testFolder();
  let started: Promise<StartedCluster> | undefined;

  const server = createServer((socket) => {
    socket.on('error', () => {});
    started ??= startTestCluster(folder);
    void started.then(({ cluster }) => socket.end(JSON.stringify(cluster)));
  });
  const path = join(folder.path, 'ask');
  await new Promise<void>((listening) => server.listen(path, listening));
  server.unref();
  project.provide('testCluster', path);

  return async () => {
    server.close();
    await (await started)?.[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
}
