/**
 * A run starts thousands of processes of the same sources, so what Node makes of these is kept in a folder of the run.
 * Killed processes keep nothing: it is filled once, at the beginning. The product does not do this, because whoever can
 * write to such a folder decides what a connector does.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { plainEnv, runWell } from '../test/lab/run.ts';

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
  const worker = pathToFileURL(join(import.meta.dirname, '../src/rotation/connectors/worker.ts')).href;
  const lines = [
    `import { enableCompileCache } from 'node:module';`,
    `enableCompileCache(${JSON.stringify(folder)});`,
    `await import(${JSON.stringify(worker)});`,
  ];
  await writeFile(connectorFile, `${lines.join('\n')}\n`);
  const everything = join(import.meta.dirname, 'everything.ts');
  await runWell([process.execPath, '--no-warnings', everything], { env: { ...plainEnv, NODE_COMPILE_CACHE: folder } });
  return { folder, connectorFile };
}
