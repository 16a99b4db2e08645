/** The closing line of a test run tells the truth about it. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isWell, type Step, type Summary, summarize } from '../../scripts/test-reports.ts';

type File = readonly [name: string, status: string, tests: readonly (readonly [string, string])[]];

async function summaryOf(steps: readonly Step[], files: readonly File[]): Promise<Summary> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'reports-'));
  const testResults = files.map(([name, status, tests]) => ({
    name,
    status,
    assertionResults: tests.map(([fullName, outcome]) => ({ fullName, status: outcome })),
  }));
  await writeFile(join(folder.path, 'unit.json'), JSON.stringify({ testResults }));
  await writeFile(join(folder.path, 'steps.json'), JSON.stringify(steps));
  return summarize(folder.path);
}

const format: Step = { name: 'format', outcome: 'passed' };
const unit: Step = { name: 'unit', outcome: 'passed', report: 'unit.json' };

test('a run in which everything passed is well', async () => {
  const summary = await summaryOf(
    [format, unit],
    [
      [
        'a.test.ts',
        'passed',
        [
          ['one', 'passed'],
          ['two', 'passed'],
        ],
      ],
    ],
  );
  expect(summary).toEqual({ passed: 2, failed: 0, skipped: [], failures: [] });
  expect(isWell(summary, true)).toBe(true);
});

test('a failed test, a file that could not be read, and a failed step count one each', async () => {
  const steps = [{ ...format, outcome: 'failed' } as const, { ...unit, outcome: 'failed' } as const];
  const summary = await summaryOf(steps, [
    [
      'a.test.ts',
      'failed',
      [
        ['one', 'failed'],
        ['two', 'passed'],
      ],
    ],
    ['b.test.ts', 'failed', []],
  ]);
  expect(summary).toEqual({ passed: 1, failed: 3, skipped: [], failures: ['format', 'one', 'b.test.ts'] });
  expect(isWell(summary, false)).toBe(false);
});

test('tests that ended well in a step that did not (an error outside of any test) leave one failure', async () => {
  const summary = await summaryOf([{ ...unit, outcome: 'failed' }], [['a.test.ts', 'passed', [['one', 'passed']]]]);
  expect(summary).toMatchObject({ passed: 1, failed: 1, failures: ['unit'] });
});

test('what was skipped is named, and is a failure in CI only', async () => {
  const steps: Step[] = [unit, { name: 'e2e', outcome: { skipped: 'sudo missing' } }];
  const summary = await summaryOf(steps, [
    [
      'a.test.ts',
      'passed',
      [
        ['one', 'passed'],
        ['two', 'skipped'],
      ],
    ],
  ]);
  expect(summary).toMatchObject({ passed: 1, failed: 0, skipped: ['two (skipped)', 'e2e: sudo missing'] });
  expect([isWell(summary, false), isWell(summary, true)]).toEqual([true, false]);
});

test('a run that tested nothing, or that died before it could report, is not well', async () => {
  expect(isWell(await summaryOf([format], []), false)).toBe(false);
  await using folder = await mkdtempDisposable(join(tmpdir(), 'reports-'));
  expect(summarize(folder.path)).toMatchObject({ passed: 0, failed: 1 });
});
