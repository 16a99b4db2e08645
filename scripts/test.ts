/**
 * `npm test`: formatting, lint, types, unit tests, simulation, end-to-end tests, each whatever became of the others. It closes with
 * `N passed, N failed`. As root on Debian the packages that end-to-end tests need are installed; otherwise it says
 * loudly what it skips. With CI=true anything skipped is a failure.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ensurePackages, testPackages } from '../test/lab/install.ts';
import { fullMachines } from '../test/lab/machine.ts';
import { isWell, printSummary, type Step, summarize } from './test-reports.ts';

const root = join(import.meta.dirname, '..');
// This node comes first: the tools of node_modules/.bin ask the path for one, and the machine's own may be older.
const folders = [dirname(process.execPath), join(root, 'node_modules/.bin'), process.env['PATH'] ?? ''];
const env = { ...process.env, PATH: folders.join(delimiter) };

/** Runs a program of node_modules/.bin in the open; true if it ended with 0. */
function runs(argv: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(argv[0] ?? '', argv.slice(1), { cwd: root, env, stdio: 'inherit' });
    child.once('error', (error) => {
      process.stderr.write(`${argv[0]}: ${error.message}\n`);
      resolve(false);
    });
    child.once('exit', (code) => resolve(code === 0));
  });
}

function say(text: string): void {
  process.stdout.write(`\n=== ${text} ===\n`);
}

async function main(): Promise<void> {
  const kept = process.env['TEST_REPORTS'];
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'sallyport-reports-'));
  mkdirSync(folder, { recursive: true });
  const steps: Step[] = [];

  async function step(name: string, argv: readonly string[], report?: string): Promise<void> {
    say(name);
    const outcome = (await runs(argv)) ? 'passed' : 'failed';
    steps.push({ name, outcome, ...(report === undefined ? {} : { report }) });
  }
  const vitest = (project: string): readonly string[] => [
    'vitest',
    'run',
    `--project=${project}`,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${join(folder, `${project}.json`)}`,
  ];

  await step('format', ['biome', 'format', '.']);
  await step('lint', ['oxlint', '--type-aware']);
  await step('types', ['tsc', '-p', 'tsconfig.json']);
  await step('types of the pure folders', ['tsc', '-p', 'tsconfig.pure.json']);
  const packages = await ensurePackages(testPackages).catch((error: Error) => ({ kind: 'failed', error }) as const);
  if (packages.kind === 'failed') say(packages.error.message);
  await step('unit tests', vitest('unit'), 'unit.json');
  const simulate = join(root, 'simulate/simulate.ts');
  await step('simulation of 100,000 histories', [process.execPath, simulate, '--histories', '100000']);
  if (packages.kind === 'ready') {
    if (!fullMachines) say('not root: end-to-end tests that need machines with accounts of their own will be skipped');
    await step('end-to-end tests', vitest('e2e'), 'e2e.json');
  } else {
    const why =
      packages.kind === 'failed'
        ? packages.error.message
        : `${packages.missing.join(', ')} missing: ${packages.remedy}`;
    say(`END-TO-END TESTS SKIPPED: ${why}`);
    steps.push({ name: 'end-to-end tests', outcome: packages.kind === 'failed' ? 'failed' : { skipped: why } });
  }

  writeFileSync(join(folder, 'steps.json'), JSON.stringify(steps));
  const summary = summarize(folder);
  if (kept === undefined) rmSync(folder, { recursive: true });
  printSummary(summary);
  process.exitCode = isWell(summary, process.env['CI'] === 'true') ? 0 : 1;
}

await main();
