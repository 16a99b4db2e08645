/** `npm run demo` as a newcomer sees it: what it proves, what it notices when something is wrong, and what it leaves. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { type Ran, run, runWell } from '../lab/run.ts';
import { processTree } from '../support/exec-trace.ts';
import { root } from '../support/sallyport.ts';

const demo = [process.execPath, join(root, 'test/demo/demo.ts')];

/** A folder for everything that the demo writes; passable for the product's own users. */
async function ownTmp(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'demo-'));
  await chmod(folder.path, 0o755);
  return { path: folder.path, [Symbol.asyncDispose]: () => folder.remove() };
}

function environment(tmp: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', TMPDIR: tmp, HOME: tmp };
}

async function runDemo(...flags: string[]): Promise<Ran & { readonly proof: unknown; readonly left: string[] }> {
  await using tmp = await ownTmp();
  const ran = await run([...demo, '--once', ...flags], { env: environment(tmp.path), cwd: root });
  return { ...ran, proof: proofOf(ran.stdout), left: readdirSync(tmp.path) };
}

/** A demo that a failed test leaves behind would keep the run from ending. */
function endedWithTheTest(child: ChildProcess): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      process.kill(-(child.pid ?? 0), 'SIGTERM');
      await once(child, 'exit');
    },
  };
}

function proofOf(stdout: string): unknown {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as unknown;
}

const uuid = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}$/) as string;
const allWell = {
  session: uuid,
  recording: uuid,
  secretLeaked: false,
  rotated: true,
  oldRefused: true,
  seconds: expect.any(Number) as number,
};

describe.runIf(fullMachines)('the demo', () => {
  test('--once proves injection, recording and rotation, ends with 0 and one line of JSON, and leaves nothing', async () => {
    const ran = await runDemo();
    expect(ran.proof, ran.stdout).toEqual(allWell);
    expect(Object.keys(ran.proof as object)).toEqual(Object.keys(allWell));
    expect([ran.code, ran.stderr, ran.left]).toEqual([0, '', []]);
    expect(ran.stdout).not.toMatch(/✗|NOT/);
  });

  describe.concurrent('notices', () => {
    test('a secret that reaches the client and the recording', async () => {
      const ran = await runDemo('--break', 'leak');
      expect([ran.code, ran.left]).toEqual([1, []]);
      expect(ran.proof).toMatchObject({ session: uuid, secretLeaked: true, rotated: true, oldRefused: true });
      expect(ran.stdout).toMatch(/the secret of root@web-01 is in what the client got/);
      expect(ran.stdout).toMatch(/the secret of root@web-01 is in the recording/);
    });

    test('a target that says yes to a new password and keeps the old one', async () => {
      const ran = await runDemo('--break', 'rotation');
      expect([ran.code, ran.left]).toEqual([1, []]);
      expect(ran.proof).toMatchObject({ session: uuid, secretLeaked: false, rotated: false, oldRefused: false });
      expect(ran.stdout).toMatch(/the credential of root@web-01 was not changed: uncertain/);
      expect(ran.stdout).toMatch(/the old secret still opens root@web-01/);
    });

    test('a recording in which one bit was changed', async () => {
      const ran = await runDemo('--break', 'recording');
      expect([ran.code, ran.left]).toEqual([1, []]);
      // Half of what was to be searched could not be read, so nobody can say that nothing leaked.
      expect(ran.proof).toMatchObject({ recording: uuid, secretLeaked: null, rotated: true, oldRefused: true });
      expect(ran.stdout).toMatch(/recording \S+: .*damaged or was changed/);
      expect(ran.stdout).toMatch(/sallyport recording verify: BROKEN/);
    });

    test('a wrong word on its command line, before it does anything', async () => {
      const ran = await run([...demo, '--once', '--break', 'everything'], { env: environment('/nowhere') });
      expect([ran.code, ran.stdout]).toEqual([2, '']);
      expect(ran.stderr).toMatch(/--break is one of leak, rotation, recording/);
    });
  });

  test('without --once it stays up, every command that it names works, and Ctrl-C takes everything away', async () => {
    await using tmp = await ownTmp();
    const child = spawn(demo[0] ?? '', demo.slice(1), {
      cwd: root,
      env: environment(tmp.path),
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    await using _ = endedWithTheTest(child);
    const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (bytes: Buffer) => {
        said += bytes.toString();
        if (said.includes('goes away at the end')) resolve();
      });
      void exited.then(() => reject(new Error(`it ended:\n${said}`)));
    });
    const commands = [...said.matchAll(/^ {2}((?:ssh -p|bin\/sallyport) .*)$/gm)].map(([, words = '']) => words);
    expect(commands.map((words) => words.replace(/^bin\/sallyport --data \S+ /, '').split(' ')[0])).toEqual([
      'ssh',
      'sessions',
      'recordings',
      'play',
      'history',
      'rotate',
      'audit',
    ]);
    for (const words of commands) {
      const ran = await run(['sh', '-c', words], { cwd: root, env: environment(tmp.path), input: 'echo here-I-am\n' });
      expect(ran.code, `${words}\n${ran.stdout}${ran.stderr}`).toBe(0);
      expect(ran.stdout.trim(), words).not.toBe('');
      if (words.startsWith('ssh')) expect(ran.stdout).toContain('here-I-am');
    }
    const tree = await processTree(child.pid ?? 0);
    expect(tree.length).toBeGreaterThan(8);
    // As npm does it: the terminal tells everybody, and npm passes it on once more.
    process.kill(-(child.pid ?? 0), 'SIGINT');
    process.kill(child.pid ?? 0, 'SIGINT');
    await exited;
    expect(proofOf(said)).toEqual(allWell);
    expect(readdirSync(tmp.path)).toEqual([]);
    expect(tree.filter(({ pid }) => existsSync(`/proc/${pid}`)).map(({ cmdline }) => cmdline.toString())).toEqual([]);
  });

  test('Ctrl-C in the middle of the tour takes everything away, too', async () => {
    await using tmp = await ownTmp();
    const child = spawn(demo[0] ?? '', [...demo.slice(1), '--once'], {
      cwd: root,
      env: environment(tmp.path),
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    await using _ = endedWithTheTest(child);
    const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
    await new Promise<void>((resolve) => {
      let said = '';
      child.stdout.on('data', (bytes: Buffer) => {
        said += bytes.toString();
        if (said.includes('one-time code')) resolve();
      });
    });
    const tree = await processTree(child.pid ?? 0);
    expect(tree.length).toBeGreaterThan(8);
    // Only to the demo itself, as `kill` does it: nobody else has heard of it.
    process.kill(child.pid ?? 0, 'SIGINT');
    expect(await exited).toEqual([130, null]);
    expect(readdirSync(tmp.path)).toEqual([]);
    expect(tree.filter(({ pid }) => existsSync(`/proc/${pid}`)).map(({ cmdline }) => cmdline.toString())).toEqual([]);
  });

  test('an ordinary user gets the same with a key of his own, and nothing of it touches his home', async () => {
    await using tmp = await ownTmp();
    const user = 4711;
    await runWell(['chown', `${user}:${user}`, tmp.path]);
    const home = join(tmp.path, 'home');
    await runWell(['install', '-d', '-m', '700', '-o', String(user), '-g', String(user), home, join(tmp.path, 'tree')]);
    const passwd = join(tmp.path, 'passwd');
    await writeFile(passwd, `${await readFile('/etc/passwd', 'utf8')}tess:x:${user}:${user}::${home}:/bin/sh\n`);
    // A mount namespace: the host gets no new user, and the user can read the checkout wherever it lies.
    const script = `mount --bind "$1/passwd" /etc/passwd && mount --bind "$2" "$1/tree" && cd "$1/tree" && shift 2 &&
      exec setpriv --reuid ${user} --regid ${user} --clear-groups --no-new-privs --inh-caps=-all "$@"`;
    const node = process.execPath.startsWith(root)
      ? join(tmp.path, 'tree', process.execPath.slice(root.length))
      : process.execPath;
    const ran = await run(
      ['unshare', '--mount', 'sh', '-c', script, 'sh', tmp.path, root, node, 'test/demo/demo.ts', '--once'],
      { env: { PATH: '/usr/bin:/bin', HOME: home, TMPDIR: tmp.path } },
    );
    expect(proofOf(ran.stdout), ran.stdout + ran.stderr).toEqual(allWell);
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    expect(ran.stdout).toContain('alice@tess@web-01');
    expect([readdirSync(home), readdirSync(tmp.path).toSorted()]).toEqual([[], ['home', 'passwd', 'tree']]);
  });
});
