/**
 * A run starts thousands of processes of the same sources: what Node makes of them is kept in a folder of the run. Killed
 * processes keep nothing, so it is filled once at the beginning. The product does not do this, because whoever can write
 * to such a folder decides what a connector does.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { plainEnv, run, runWell } from '../test/lab/run.ts';

export interface Compiled {
  /** The folder, for NODE_COMPILE_CACHE. */
  readonly folder: string;
  /** The product's connector process, started with that folder; its environment is empty as always. */
  readonly connectorFile: string;
}

/** Fills it, below `parent`. */
export async function compile(parent: string): Promise<Compiled> {
  const folder = join(parent, 'compiled');
  await mkdir(folder, { recursive: true });
  const connectorFile = join(parent, 'connector.mjs');
  const [worker, victim] = ['../src/rotation/connectors/worker.ts', 'live.ts'].map((file) =>
    JSON.stringify(pathToFileURL(join(import.meta.dirname, file))),
  );
  const lines = [
    `import { enableCompileCache } from 'node:module';`,
    `enableCompileCache(${JSON.stringify(folder)});`,
    `await import(${worker});`,
  ];
  await writeFile(connectorFile, `${lines.join('\n')}\n`);
  const node = [process.execPath, '--no-warnings'];
  // Without a job it ends by itself.
  await run([...node, connectorFile]);
  const env = { ...plainEnv, NODE_COMPILE_CACHE: folder };
  await runWell([...node, '--input-type=module', '--eval', `await import(${victim})`], { env });
  return { folder, connectorFile };
}
