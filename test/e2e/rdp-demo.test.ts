/** `npm run demo -- --rdp` as a newcomer sees it: what it proves of a desktop, what it notices, what it leaves, and how one comes in. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { startDisplay } from '../lab/rdp/display.ts';
import { startXfreerdp } from '../lab/rdp/xfreerdp.ts';
import { type Ran, run } from '../lab/run.ts';
import { processTree } from '../support/exec-trace.ts';
import { root } from '../support/sallyport.ts';

const demo = [process.execPath, join(root, 'test/demo/demo.ts'), '--rdp'];

/** A folder for everything that the demo writes; passable for the product's own users. */
async function ownTmp(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'demo-'));
  await chmod(folder.path, 0o755);
  return { path: folder.path, [Symbol.asyncDispose]: () => folder.remove() };
}

function environment(tmp: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', TMPDIR: tmp, HOME: tmp };
}

interface Shown extends Ran {
  readonly proof: unknown;
  /** What is in its folder afterwards. */
  readonly left: readonly string[];
  /** `identify` of ImageMagick on the picture. */
  readonly picture: string;
}

async function runDemo(...flags: string[]): Promise<Shown> {
  await using tmp = await ownTmp();
  const ran = await run([...demo, '--once', ...flags], { env: environment(tmp.path), cwd: root });
  const proof = proofOf(ran.stdout);
  const file = (proof as { picture: string | null }).picture;
  const picture = file === null ? '' : (await run(['identify', '-format', '%m %wx%h %k', file])).stdout;
  return { ...ran, proof, left: readdirSync(tmp.path), picture };
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
  picture: expect.stringMatching(/\.png$/) as string,
  pixelsDifferent: 0,
};

describe.runIf(fullMachines)('the demo of a desktop', { timeout: 240_000 }, () => {
  test('--once proves injection, recording to the pixel and rotation, and leaves one picture', async () => {
    const ran = await runDemo();
    expect(ran.proof, ran.stdout).toEqual(allWell);
    expect(Object.keys(ran.proof as object)).toEqual(Object.keys(allWell));
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    const { recording } = ran.proof as { recording: string };
    expect(ran.left).toEqual([`sallyport-demo-${recording}.png`]);
    const [form, size, colours] = ran.picture.split(' ');
    expect([form, size]).toEqual(['PNG', '1024x768']);
    expect(Number(colours)).toBeGreaterThan(2);
    expect(ran.stdout).not.toMatch(/✗|NOT/);
  });

  describe('notices', () => {
    test('a secret that reaches the client and the recording', async () => {
      const ran = await runDemo('--break', 'leak');
      expect(ran.code, ran.stdout).toBe(1);
      expect(ran.proof).toMatchObject({ secretLeaked: true, rotated: true, oldRefused: true, pixelsDifferent: 0 });
      expect(ran.stdout).toMatch(/the secret of svc@desk-01 is in what the client got/);
      expect(ran.stdout).toMatch(/the secret of svc@desk-01 is in the recording/);
    });

    test('a target that says yes to a new password and keeps the old one', async () => {
      const ran = await runDemo('--break', 'rotation');
      expect(ran.code, ran.stdout).toBe(1);
      expect(ran.proof).toMatchObject({ secretLeaked: false, rotated: false, oldRefused: false, pixelsDifferent: 0 });
      expect(ran.stdout).toMatch(/the old secret still opens svc@desk-01/);
    });

    test('a recording in which one bit was changed', async () => {
      const ran = await runDemo('--break', 'recording');
      expect([ran.code, ran.left], ran.stdout).toEqual([1, []]);
      // Half of what was to be searched could not be read, so nobody can say that nothing leaked.
      expect(ran.proof).toMatchObject({ secretLeaked: null, rotated: true, picture: null, pixelsDifferent: null });
      expect(ran.stdout).toMatch(/sallyport recording verify: BROKEN/);
    });
  });

  test('without --once it stays up, the client comes in as printed, every command works, and Ctrl-C takes all away', async () => {
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
    const told = new RegExp(
      `^  xfreerdp /v:([\\d.]+):(\\d+) /u:'([^']+)' /d: /sec:nla /cert:fingerprint:sha256:([0-9a-f:]{95})$`,
      'm',
    ).exec(said);
    const [, address = '', port = '', user = '', colons = ''] = told ?? [];
    const password = /^ {2}((?:[a-z2-9]{4}-?){7})$/m.exec(said)?.[1] ?? '';
    expect(user).toBe('alice%svc%desk-01');
    expect(password, said).not.toBe('');
    {
      await using display = await startDisplay();
      const trust = { fingerprint: colons.replaceAll(':', '') };
      const how = { address, port: Number(port), user, password, security: 'nla', trust } as const;
      await using client = await startXfreerdp(display, how);
      await client.connected(AbortSignal.timeout(30_000));
    }
    const commands = [...said.matchAll(/^ {2}(bin\/sallyport .*)$/gm)].map(([, words = '']) => words);
    expect(commands.map((words) => words.replace(/^bin\/sallyport --data \S+ /, '').split(' ')[0])).toEqual([
      'rdp',
      'sessions',
      'recordings',
      'play',
      'recording',
      'history',
      'audit',
    ]);
    for (const words of commands) {
      const ran = await run(['sh', '-c', words], { cwd: root, env: environment(tmp.path) });
      expect(ran.code, `${words}\n${ran.stdout}${ran.stderr}`).toBe(0);
      expect(ran.stdout.trim(), words).not.toBe('');
    }
    const tree = await processTree(child.pid ?? 0);
    process.kill(-(child.pid ?? 0), 'SIGINT');
    await exited;
    expect(proofOf(said)).toEqual(allWell);
    expect(readdirSync(tmp.path)).toEqual([expect.stringMatching(/^sallyport-demo-.*\.png$/)]);
    // those of the machine end with whoever started it, a moment after he has
    const left = (): string[] =>
      tree.filter(({ pid }) => existsSync(`/proc/${pid}`)).map(({ cmdline }) => cmdline.toString());
    await expect.poll(left, { timeout: 10_000 }).toEqual([]);
  });

  test('an ordinary user is told what a desktop needs, before anything is done', async () => {
    await using tmp = await ownTmp();
    const node = process.execPath;
    const ran = await run(
      [
        'setpriv',
        '--reuid=4711',
        '--regid=4711',
        '--clear-groups',
        '--inh-caps=-all',
        node,
        ...demo.slice(1),
        '--once',
      ],
      { env: { PATH: '/usr/bin:/bin', HOME: '/nowhere', TMPDIR: tmp.path }, cwd: '/' },
    );
    expect([ran.code, ran.stdout]).toEqual([2, '']);
    expect(ran.stderr).toMatch(/^demo: a desktop needs root: /);
    expect(readdirSync(tmp.path)).toEqual([]);
  });
});
