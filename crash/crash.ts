/**
 * `npm run crash`: kills the process at every I/O point of rotate, resolve and reconcile against real targets, starts the
 * product again, and finds out by itself whether the live value is known.
 *
 *   npm run crash -- [--rounds N] [--family F] [--operation O] [--point P] [--occurrence N] [--seed S] [--lanes N] [--short]
 *
 * What goes on is told on standard error. Standard output is one line of JSON:
 * `{"points":…,"kills":…,"recovered":…,"lost":…}`. The status is 0 if every kill was recovered from without a person.
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startTestCluster, testFolder } from '../test/support/test-cluster.ts';
import { openBase } from './base.ts';
import { compile } from './compiled.ts';
import { families } from './families/families.ts';
import { operationNames } from './operations.ts';
import { everywhere, wordsOfWhere } from './points.ts';
import { type Report, runFamily } from './run.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    family: { type: 'string', multiple: true, default: [] },
    operation: { type: 'string' },
    point: { type: 'string' },
    occurrence: { type: 'string' },
    seed: { type: 'string', default: randomBytes(4).toString('hex') },
    lanes: { type: 'string', default: '6' },
    short: { type: 'boolean', default: false },
  },
});

const chosen = families.filter(({ name }) => values.family.length === 0 || values.family.includes(name));
const operation = operationNames.find((name) => name === values.operation);
if (chosen.length === 0) throw new Error(`families are ${families.map(({ name }) => name).join(', ')}`);
if (values.operation !== undefined && operation === undefined)
  throw new Error(`operations are ${operationNames.join(', ')}`);

const began = Date.now();
const tell = (words: string): void =>
  void process.stderr.write(`${((Date.now() - began) / 1000).toFixed(0).padStart(5)} s  ${words}\n`);
tell(`seed ${values.seed}`);

const reports: Report[] = [];
{
  await using folder = testFolder();
  await using started = await startTestCluster(folder);
  const compiled = await compile(folder.path);
  for (const family of chosen) {
    await using base = await openBase(started.cluster, folder.path, family.name, compiled);
    const report = await runFamily(base, family, {
      rounds: Number(values.rounds),
      lanes: Number(values.lanes),
      seed: values.seed,
      short: values.short,
      operation,
      point: values.point,
      occurrence: values.occurrence === undefined ? undefined : Number(values.occurrence),
      tell,
    });
    const { kills, recovered, lost } = report;
    tell(`${family.name}: ${report.points.size} points, ${kills} kills, ${recovered} recovered, ${lost} lost`);
    reports.push(report);
  }
}

if (operation === undefined && values.point === undefined) {
  const never = everywhere.map(wordsOfWhere).filter((name) => !reports.some(({ occurred }) => occurred.has(name)));
  if (never.length > 0) tell(`listed, but they never occurred: ${never.join('; ')}`);
}
const sum = (of: (report: Report) => number): number => reports.reduce((all, report) => all + of(report), 0);
const [points, kills] = [sum((report) => report.points.size), sum((report) => report.kills)];
const [recovered, lost] = [sum((report) => report.recovered), sum((report) => report.lost)];
const failures = sum((report) => report.failures.length);
process.stdout.write(`${JSON.stringify({ points, kills, recovered, lost })}\n`);
process.exitCode = recovered === kills && lost === 0 && failures === 0 ? 0 : 1;
