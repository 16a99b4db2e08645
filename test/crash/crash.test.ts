/** The crash harness itself: it finds nothing where nothing is wrong, and it can fail. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Compiled, compile } from '../../crash/compiled.ts';
import { killIfThere } from '../../crash/kill.ts';
import { type Report, runFamily, type RunOptions } from '../../crash/run.ts';
import type { RunConnector } from '../../src/rotation/connectors/run.ts';
import { vaultRoom } from '../vault/room.ts';
import { askFiles, fileFamily } from './file-target.ts';

const file = new AsyncDisposableStack();
let compiled: Compiled;
beforeAll(async () => {
  compiled = await compile(file.use(await mkdtempDisposable(join(tmpdir(), 'sallyport-crash-'))).path);
});
afterAll(() => file.disposeAsync());

async function crash(victim: string, options: Partial<RunOptions>, run: RunConnector = askFiles): Promise<Report> {
  await using room = await vaultRoom();
  const { url, db, owner } = room.base;
  const { rootKeyPath, dataDirectory, vault } = room;
  const folder = join(dataDirectory, 'target');
  await mkdir(folder);
  return await runFamily({ url, db, owner, rootKeyPath, dataDirectory, vault, compiled }, fileFamily(folder, run), {
    rounds: 1,
    lanes: 8,
    seed: 'test',
    short: false,
    victim: join(import.meta.dirname, victim),
    tell: () => {},
    ...options,
  });
}

test('killed at every named point on a target of files: the live value is found without anybody', async () => {
  const report = await crash('file-victim.ts', { short: true });
  expect(report.failures).toEqual([]);
  expect(report).toMatchObject({ recovered: report.kills, lost: 0 });
  expect(report.kills).toBeGreaterThan(40);
  for (const point of ['within intent', 'before change', 'after outcome', 'within resolution', 'after reconcile'])
    expect(report.occurred, point).toContain(point);
}, 400_000);

test('a target that is changed before its intent is durable loses a value, and the harness says so', async () => {
  const report = await crash('hasty-victim.ts', { operation: 'rotate', point: 'within intent' });
  expect(report).toMatchObject({ kills: 1, recovered: 0, lost: 1 });
  expect(report.failures).toEqual([expect.stringContaining('the live value was in no vault')]);
  expect(report.failures[0]).toContain("--operation rotate --point 'within intent' --occurrence 1 --seed test");
}, 60_000);

test('a write that no point names fails the run', async () => {
  const report = await crash('secretive-victim.ts', { operation: 'rotate', point: 'before change' });
  expect(report).toMatchObject({ kills: 1, recovered: 1, lost: 0 });
  expect(report.failures).toContainEqual(
    expect.stringMatching(/^an unlisted point: rotate: insert into "conflict_disc/),
  );
}, 60_000);

test('a value that is kept and not found is not recovered', async () => {
  const silent: RunConnector = async () => ({ outcome: 'unknown', class: 'unreachable-timeout', words: 'silence' });
  const report = await crash('file-victim.ts', { operation: 'rotate', point: 'after change' }, silent);
  expect(report).toMatchObject({ kills: 1, recovered: 0, lost: 0 });
  expect(report.failures).toEqual([expect.stringContaining('a conflict is open: incomplete')]);
}, 60_000);

test('a connector that is gone before it can be killed does not end the run', async () => {
  const gone = spawn('true');
  await once(gone, 'exit');
  expect(() => killIfThere(gone.pid ?? 0)).not.toThrow();
});
