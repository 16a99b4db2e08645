/**
 * What a test run came to, from the reports that it left in a folder: `steps.json` of scripts/test.ts and one JSON
 * report of vitest for each project. A step or a file that fails without a single failed test counts as one failure,
 * so that `0 failed` always means that everything that ran was well.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Step {
  readonly name: string;
  /** `skipped` carries why. */
  readonly outcome: 'passed' | 'failed' | { readonly skipped: string };
  /** The file name of its vitest report, for steps that are made of tests. */
  readonly report?: string;
}

export interface Summary {
  readonly passed: number;
  readonly failed: number;
  /** Names of tests and steps that did not run. */
  readonly skipped: readonly string[];
  readonly failures: readonly string[];
}

/** The part of vitest's JSON report that is read here. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** Adds up a run. One that did not even leave its list of steps has failed. */
export function summarize(folder: string): Summary {
  if (!existsSync(join(folder, 'steps.json')))
    return { passed: 0, failed: 1, skipped: [], failures: ['the run ended before it could report'] };
  const steps = JSON.parse(readFileSync(join(folder, 'steps.json'), 'utf8')) as readonly Step[];
  let passed = 0;
  const skipped: string[] = [];
  const failures: string[] = [];
  for (const { name, outcome, report } of steps) {
    if (typeof outcome === 'object') {
      skipped.push(`${name}: ${outcome.skipped}`);
      continue;
    }
    const before = failures.length;
    const path = report === undefined ? undefined : join(folder, report);
    const files =
      path !== undefined && existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Report).testResults : [];
    for (const file of files) {
      const failed = file.assertionResults.filter((one) => one.status === 'failed');
      passed += file.assertionResults.filter((one) => one.status === 'passed').length;
      failures.push(...failed.map((one) => one.fullName));
      if (file.status === 'failed' && failed.length === 0) failures.push(file.name);
      for (const one of file.assertionResults)
        if (one.status !== 'passed' && one.status !== 'failed') skipped.push(`${one.fullName} (${one.status})`);
    }
    if (outcome === 'failed' && failures.length === before) failures.push(name);
  }
  return { passed, failed: failures.length, skipped, failures };
}

/** Says what failed and what was skipped, and closes with the one line that counts. */
export function printSummary(summary: Summary): void {
  const lines = [
    ...summary.skipped.map((name) => `SKIPPED  ${name}`),
    ...summary.failures.map((name) => `FAILED   ${name}`),
    `${summary.passed} passed, ${summary.failed} failed`,
  ];
  process.stdout.write(`\n${lines.join('\n')}\n`);
}

/** In CI a skipped test is a test that did not pass. */
export function isWell(summary: Summary, ci: boolean): boolean {
  return summary.failed === 0 && summary.passed > 0 && !(ci && summary.skipped.length > 0);
}

if (import.meta.main) {
  const summary = summarize(process.argv[2] ?? '.');
  printSummary(summary);
  process.exitCode = isWell(summary, process.env['CI'] === 'true') ? 0 : 1;
}
