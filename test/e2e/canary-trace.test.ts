/** The trace of executions sees every argv and environment of a process tree, whole. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { drawCanary } from '../support/canary.ts';
import { parseTrace, processTree, searchExecutions, searchProcesses, startTraced } from '../support/exec-trace.ts';

const planted = drawCanary('planted');
const quiet = { stdio: 'ignore', env: { PATH: '/usr/bin:/bin' } } as const;

test('every execution of a tree is seen: children, grandchildren, failed ones, and those that leave their parents', async () => {
  const script = `
    const { spawn, spawnSync } = require('node:child_process');
    spawnSync('sh', ['-c', 'env A=1 true; (setsid sh -c "exec true detached" &)']);
    spawnSync('/nowhere/to-be-found', ['x']);
    spawn('true', ['last']);`;
  await using trace = await startTraced([process.execPath, '-e', script], quiet);
  const executions = await trace.executions();
  const seen = executions.filter(({ result }) => result === 'ok').map(({ argv }) => argv.join(' '));
  expect(seen).toEqual(
    expect.arrayContaining(['env A=1 true', 'sh -c exec true detached', 'true detached', 'true last']),
  );
  expect(executions).toContainEqual(expect.objectContaining({ path: '/nowhere/to-be-found', result: 'ENOENT' }));
  expect(searchExecutions([planted], executions)).toEqual([]);
});

test('a secret in an argument, in an environment, or in a failed execution of a descendant is found', async () => {
  const argument = ['sh', '-c', 'sh -c "true \\"\\$1\\"" sh "$(cat)"; true'];
  for (const [argv, env] of [
    [[...argument], quiet.env],
    [['sh', '-c', 'S="$(cat)" /usr/bin/true'], quiet.env],
    [['sh', '-c', '/nowhere/to-be-found "$(cat)"; true'], quiet.env],
  ] as const) {
    await using trace = await startTraced(argv, { stdio: ['pipe', 'ignore', 'ignore'], env });
    trace.child.stdin?.end(planted.text);
    const hits = searchExecutions([planted], await trace.executions());
    expect(hits.length, argv.join(' ')).toBeGreaterThan(0);
    expect(hits[0]).toMatchObject({ canary: 'planted', place: expect.stringMatching(/^execve of /) });
  }
});

test('arguments come back as they were given: quotes, newlines, foreign letters, no valid text, and 100 kilobytes', async () => {
  const odd = ['', 'a"b\\c', 'new\nline\t', 'ünïcödé ✓', ', "], [', 'x'.repeat(100_000)];
  await using trace = await startTraced(['true', ...odd], quiet);
  const [execution] = await trace.executions();
  expect(execution?.argv).toEqual(['true', ...odd]);
  expect(execution?.env).toEqual(['PATH=/usr/bin:/bin']);
  await using bytes = await startTraced(['sh', '-c', "true $(printf '\\377\\376x')"], quiet);
  expect((await bytes.executions()).at(-1)?.path).toBe('/usr/bin/sh');
});

test('an execution that another process interrupts in the trace is read, and one that was cut off is refused', () => {
  const [first] = parseTrace('12 execve("\\x61", ["\\x62"], [] <unfinished ...>\n13 +++ exited with 0 +++\n');
  expect(first).toMatchObject({ pid: 12, path: 'a', argv: ['b'], env: [], result: 'ok' });
  expect(parseTrace('12 execveat(3</x>, "", ["\\x62"], ["\\x63\\x3d"], AT_EMPTY_PATH) = 0\n')).toMatchObject([
    { path: '', argv: ['b'], env: ['c='] },
  ]);
  for (const cut of ['"\\x62"...', '...', '0x7fff12 /* 3 vars */'])
    expect(() => parseTrace(`12 execve("\\x61", ["\\x61", ${cut}], []) = 0\n`)).toThrow(/not complete/);
  expect(() => parseTrace('12 execve("\\x61", ["\\x61"], 0x7ffe /* 12 vars */) = 0\n')).toThrow(/not complete/);
});

test('a signal reaches the traced program itself, and disposing ends what is left of it', async () => {
  await using trace = await startTraced(['sh', '-c', 'trap "exit 7" TERM; echo up; while :; do sleep 0.01; done'], {
    ...quiet,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (trace.child.stdout === null) throw new Error('no pipe');
  await once(trace.child.stdout, 'data');
  await trace.kill('SIGTERM');
  await trace.executions();
  expect(trace.child.exitCode).toBe(7);
  const left = await startTraced(['sleep', '1000'], { ...quiet, stdio: ['ignore', 'pipe', 'ignore'] });
  await left[Symbol.asyncDispose]();
  expect(left.child.exitCode ?? left.child.signalCode).not.toBeNull();
});

test('what /proc shows of a process tree is searched: command lines and environments', async () => {
  const holder = spawn('sh', ['-c', 'IFS= read -r line; S="$line" sh -c "echo up; sleep 1000"; true'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: quiet.env,
    detached: true,
  });
  holder.stdin.write(`${planted.text}\n`);
  await once(holder.stdout, 'data');
  const tree = await processTree(holder.pid ?? 0);
  expect(tree.length).toBeGreaterThanOrEqual(2);
  const hits = searchProcesses([planted], tree);
  expect(hits.map(({ place }) => place)).toContainEqual(expect.stringMatching(/^\/proc\/\d+\/environ$/));
  expect(searchProcesses([drawCanary('absent')], tree)).toEqual([]);
  process.kill(-(holder.pid ?? 0), 'SIGKILL');
});
