/** Files through the gate by what people use for it; the audit trail names each with size and hash. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClient, type Reach } from '../lab/client.ts';
import { fullMachines } from '../lab/machine.ts';
import { runWell } from '../lab/run.ts';
import { alice, type AuditRow, openStage, sha256, type Stage, sumThere } from './ssh-stage.ts';

describe.runIf(fullMachines)('transfers', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]();
  });

  const at = (gate: Reach, path: string): string => `${gate.address}:${path}`;

  async function local(name: string, size: number): Promise<{ path: string; bytes: Buffer }> {
    const path = join(stage.scratch, name);
    const bytes = randomBytes(size);
    await writeFile(path, bytes);
    return { path, bytes };
  }

  /** The audit row of a file; every other row of the same path would be one too many. */
  async function audited(from: number, path: string): Promise<AuditRow['details']> {
    const like = (row: AuditRow): boolean =>
      row.type === 'session.file.transferred' && String(row.details['path']).endsWith(path);
    const row = await stage.event(like, from);
    await stage.event(
      (other) => other.type === 'session.ended' && other.details['session'] === row.details['session'],
      from,
    );
    expect(stage.trail.filter((other) => other.seq > from && like(other))).toHaveLength(1);
    return row.details;
  }

  describe.each([
    ['scp -O', ['scp', '-O']],
    ['scp over sftp', ['scp', '-s']],
  ])('%s', (name, scp) => {
    test('up: the same bytes, mode and time, audited with size and hash', async () => {
      const from = await stage.mark();
      const file = await local(`${name.replaceAll(' ', '')}-up`, 3_000_001);
      const there = `/tmp/${name.replaceAll(' ', '')}-up`;
      const ran = await stage.tool((options, gate) => [...scp, '-p', ...options, file.path, at(gate, there)]);
      expect(ran.code, ran.stderr).toBe(0);
      expect(await sumThere(stage.machine, there)).toBe(sha256(file.bytes));
      const mtime = await stage.machine.exec(['stat', '-c', '%Y', there]);
      expect(Number(mtime.stdout)).toBe(Math.floor((await stat(file.path)).mtimeMs / 1000));
      expect(await audited(from, name === 'scp -O' ? 'up' : there)).toMatchObject({
        direction: 'upload',
        size: 3_000_001,
        sha256: sha256(file.bytes),
        complete: true,
      });
    });

    test('down: the same bytes, audited with size and hash', async () => {
      const from = await stage.mark();
      const bytes = randomBytes(2_000_003);
      const there = `/tmp/${name.replaceAll(' ', '')}-down`;
      await stage.machine.putFile(there, bytes, { owner: 'deploy' });
      const here = join(stage.scratch, `${name.replaceAll(' ', '')}-down`);
      const ran = await stage.tool((options, gate) => [...scp, ...options, at(gate, there), here]);
      expect(ran.code, ran.stderr).toBe(0);
      expect(sha256(await readFile(here))).toBe(sha256(bytes));
      expect(await audited(from, name === 'scp -O' ? 'down' : there)).toMatchObject({
        direction: 'download',
        size: 2_000_003,
        sha256: sha256(bytes),
        complete: true,
      });
    });

    test('a tree with an empty file and odd names: the same tree, and each file audited', async () => {
      const from = await stage.mark();
      const tree = join(stage.scratch, `tree-${name.replaceAll(' ', '')}`);
      await mkdir(join(tree, 'deep'), { recursive: true });
      const files = { empty: 0, 'two words': 70_000, 'deep/grün': 40_000 };
      const sums = new Map<string, string>();
      for (const [path, size] of Object.entries(files)) {
        const bytes = randomBytes(size);
        await writeFile(join(tree, path), bytes);
        sums.set(path.split('/').at(-1) ?? '', sha256(bytes));
      }
      const up = await stage.tool((options, gate) => [...scp, '-r', ...options, tree, at(gate, '/tmp/')]);
      expect(up.code, up.stderr).toBe(0);
      const back = join(stage.scratch, `back-${name.replaceAll(' ', '')}`);
      const there = `/tmp/tree-${name.replaceAll(' ', '')}`;
      const down = await stage.tool((options, gate) => [...scp, '-r', ...options, at(gate, there), back]);
      expect(down.code, down.stderr).toBe(0);
      await runWell(['diff', '-r', tree, back]);
      for (const direction of ['upload', 'download']) {
        for (const [path, sum] of sums) {
          await stage.event(
            (row) =>
              row.type === 'session.file.transferred' &&
              row.details['direction'] === direction &&
              String(row.details['path']).endsWith(path) &&
              row.details['sha256'] === sum &&
              row.details['complete'] === true,
            from,
          );
        }
      }
    });

    test('a file that is not there, and a folder that may not be written: the status says so', async () => {
      const none = await stage.tool((options, gate) => [
        ...scp,
        ...options,
        at(gate, '/tmp/not-there'),
        join(stage.scratch, 'none'),
      ]);
      expect(none.code).not.toBe(0);
      expect(none.stderr).toContain('No such file');
      const file = await local('denied', 10);
      const denied = await stage.tool((options, gate) => [...scp, ...options, file.path, at(gate, '/etc/denied')]);
      expect(denied.code).not.toBe(0);
      expect(denied.stderr).toContain('ermission denied');
    });
  });

  test('sftp: put, get, rename, list and remove in one session, with the files that went audited', async () => {
    const from = await stage.mark();
    const file = await local('sftp-put', 1_500_000);
    const here = join(stage.scratch, 'sftp-got');
    const batch = [
      'mkdir /tmp/box',
      `put ${file.path} /tmp/box/one`,
      'rename /tmp/box/one /tmp/box/two',
      'chmod 640 /tmp/box/two',
      'ls -l /tmp/box',
      `get /tmp/box/two ${here}`,
      'rm /tmp/box/two',
      'rmdir /tmp/box',
    ];
    const ran = await stage.tool((options, gate) => ['sftp', ...options, '-b', '-', gate.address], {
      input: `${batch.join('\n')}\n`,
    });
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toMatch(/-rw-r-----.* 1500000 .*two/);
    expect(sha256(await readFile(here))).toBe(sha256(file.bytes));
    const same = { size: 1_500_000, sha256: sha256(file.bytes), complete: true };
    expect(await audited(from, '/tmp/box/one')).toMatchObject({ ...same, direction: 'upload' });
    expect(await audited(from, '/tmp/box/two')).toMatchObject({ ...same, direction: 'download' });
  });

  test('an upload that is broken off is audited as incomplete, with what went', async () => {
    const from = await stage.mark();
    const file = await local('broken-off', 5_000_000);
    const client = await openClient(stage.gate, { user: alice, keyFile: stage.aliceKey });
    await using _ = client;
    const port = ['-o', `Port=${stage.gate.port}`];
    const scp = spawn(
      'scp',
      ['-s', '-l', '8000', ...client.arguments, ...port, file.path, at(stage.gate, '/tmp/broken-off')],
      { env: { ...client.env }, stdio: 'ignore' },
    );
    await stage.event((row) => row.type === 'session.channel.opened', from);
    while ((await stage.machine.exec(['test', '-s', '/tmp/broken-off'])).code !== 0);
    scp.kill('SIGKILL');
    const details = await audited(from, '/tmp/broken-off');
    expect(details).toMatchObject({ direction: 'upload', complete: false });
    expect(details['size']).toBeLessThan(5_000_000);
  });

  test('sftp: an upload that goes on where it stopped ends as the whole file', async () => {
    const file = await local('resumed', 900_000);
    await stage.machine.putFile('/tmp/resumed', file.bytes.subarray(0, 400_000), { owner: 'deploy' });
    const from = await stage.mark();
    const ran = await stage.tool((options, gate) => ['sftp', ...options, '-b', '-', gate.address], {
      input: `reput ${file.path} /tmp/resumed\n`,
    });
    expect(ran.code, ran.stderr).toBe(0);
    expect(await sumThere(stage.machine, '/tmp/resumed')).toBe(sha256(file.bytes));
    // What was not sent cannot be hashed: the trail says how much went, and claims no hash of the file.
    const details = await audited(from, '/tmp/resumed');
    expect(details['sha256']).not.toBe(sha256(file.bytes));
  });

  test('rsync: a tree up, changed in one place, up again as a difference, and back', async () => {
    const tree = join(stage.scratch, 'rsync');
    await mkdir(join(tree, 'sub'), { recursive: true });
    const big = randomBytes(4_000_000);
    await writeFile(join(tree, 'big'), big);
    await writeFile(join(tree, 'sub/small'), 'small');
    const sync = (from: (gate: Reach) => string, to: (gate: Reach) => string) =>
      stage.tool((options, gate) => {
        const shell = ['ssh', ...options].map((word) => `'${word}'`).join(' ');
        return ['rsync', '-a', '--no-whole-file', '--stats', '-e', shell, from(gate), to(gate)];
      });
    const first = await sync(
      () => `${tree}/`,
      (gate) => at(gate, '/tmp/rsync/'),
    );
    expect(first.code, first.stderr).toBe(0);
    big.fill(7, 1_000_000, 1_000_100);
    await writeFile(join(tree, 'big'), big);
    // Of the same size, and changed within the second of the first time, it would be taken for the same.
    const later = Date.now() / 1000 + 10;
    await utimes(join(tree, 'big'), later, later);
    const second = await sync(
      () => `${tree}/`,
      (gate) => at(gate, '/tmp/rsync/'),
    );
    expect(second.code, second.stderr).toBe(0);
    expect(Number(/Literal data: ([\d,]+)/.exec(second.stdout)?.[1]?.replaceAll(',', ''))).toBeLessThan(100_000);
    expect(await sumThere(stage.machine, '/tmp/rsync/big')).toBe(sha256(big));
    const back = join(stage.scratch, 'rsync-back');
    const third = await sync(
      (gate) => at(gate, '/tmp/rsync/'),
      () => `${back}/`,
    );
    expect(third.code, third.stderr).toBe(0);
    await runWell(['diff', '-r', tree, back]);
  });

  test('git: push to a repository on the target, clone it back', async () => {
    await stage.machine.exec(['su', 'deploy', '-c', 'git init -q --bare -b main /tmp/work.git']);
    const work = join(stage.scratch, 'work');
    const clone = join(stage.scratch, 'clone');
    await mkdir(work);
    await writeFile(join(work, 'file'), randomBytes(1_000_000));
    const git = (...words: string[]): Promise<unknown> =>
      runWell(['git', '-C', work, '-c', 'user.name=a', '-c', 'user.email=a@b.c', ...words]);
    await git('init', '-q', '-b', 'main');
    await git('add', '.');
    await git('commit', '-q', '-m', 'one');
    const through = (...words: string[]) =>
      stage.tool((options, gate) => [
        'env',
        `GIT_SSH_COMMAND=ssh ${options.map((word) => `'${word}'`).join(' ')}`,
        'git',
        ...words.map((word) => (word === 'ORIGIN' ? `${gate.address}:/tmp/work.git` : word)),
      ]);
    const push = await through('-C', work, 'push', '-q', 'ORIGIN', 'main');
    expect(push.code, push.stderr).toBe(0);
    const pull = await through('clone', '-q', 'ORIGIN', clone);
    expect(pull.code, pull.stderr).toBe(0);
    await runWell(['git', '-C', clone, 'fsck', '--strict']);
    expect(sha256(await readFile(join(clone, 'file')))).toBe(sha256(await readFile(join(work, 'file'))));
  });

  test('git: a repository that is not there ends with its own words', async () => {
    const ran = await stage.tool((options, gate) => [
      'env',
      `GIT_SSH_COMMAND=ssh ${options.map((word) => `'${word}'`).join(' ')}`,
      'git',
      'ls-remote',
      `${gate.address}:/tmp/none.git`,
    ]);
    expect(ran.code).toBe(128);
    expect(ran.stderr).toContain('does not appear to be a git repository');
  });
});
