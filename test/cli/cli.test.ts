/** The command line against a keeper of the test's own: what is printed, what is asked, and the exit code. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { text, utf8 } from '../../src/base/bytes.ts';
import { refuse } from '../../src/base/errors.ts';
import { runCli } from '../../src/cli/cli.ts';
import { type RouteAnswers, routeAnswerer } from '../../src/contract/contract.ts';
import { KeeperError } from '../../src/keeper/errors.ts';
import { Line } from '../../src/link/link.ts';
import { run } from '../lab/run.ts';
import { root } from '../support/sallyport.ts';

const data = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
const server = createServer();
/** The answers of this test; whatever is not there fails as the keeper fails. */
let answers: Partial<RouteAnswers> = {};

beforeAll(async () => {
  vi.stubEnv('SALLYPORT_DATA', undefined);
  mkdirSync(join(data, 'run/keeper'), { recursive: true });
  server.on(
    'connection',
    (socket) =>
      new Line(
        socket,
        async (...call) => await routeAnswerer(answers as RouteAnswers)(...call),
        () => {},
      ),
  );
  await new Promise<void>((resolve) => server.listen(join(data, 'run/keeper/keeper.sock'), resolve));
});

afterAll(() => {
  server.close();
  rmSync(data, { recursive: true, force: true });
});

afterEach(() => {
  answers = {};
  process.exitCode = undefined;
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in this process. */
async function sallyport(...argv: string[]): Promise<Ended> {
  const [out, err]: [string[], string[]] = [[], []];
  const take = (into: string[]) => (piece: string | Uint8Array) =>
    into.push(typeof piece === 'string' ? piece : text(piece)) > 0;
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(take(out)),
    vi.spyOn(process.stderr, 'write').mockImplementation(take(err)),
  ];
  try {
    const entry = { version: '1.2.3', defaultData: '/nowhere', start: async () => {} };
    const code = await runCli(['--data', data, ...argv], entry);
    return { code, out: out.join(''), err: err.join('') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** Runs a command as a process, with something on its standard input. */
async function piped(
  input: string,
  ...argv: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return await run([process.execPath, join(root, 'src/main.ts'), '--data', data, ...argv], { input });
}

const session = {
  session: '0198',
  user: 'ana',
  account: 'root@web-01',
  peer: '192.0.2.9',
  state: 'live',
  openedAt: '2026-11-21T02:00:00.000Z',
};

describe('help', () => {
  test('lists every command', async () => {
    const { code, out } = await sallyport('--help');
    expect(code).toBe(0);
    expect(out.replace(/\(default: ".*?"\)/s, '(default)')).toMatchSnapshot();
  });

  test.each([
    'start',
    'status',
    'sessions',
    'kill',
    'explain',
    'apply',
    'target',
    'target ls',
    'target trust',
    'account',
    'account ls',
    'account set',
    'enrol',
    'user',
    'user ls',
    'user code',
    'user passwd',
    'user key',
    'user totp',
    'user unlock',
    'user disable',
    'user enable',
    'recordings',
    'play',
    'recording',
    'recording verify',
    'recording export',
    'rotate',
    'verify',
    'history',
    'audit',
    'audit tail',
    'audit verify',
  ])('of %s says what it does and each option in words, no wider than a terminal', async (command) => {
    const { code, out } = await sallyport(...command.split(' '), '--help');
    expect(code).toBe(0);
    expect(out).toContain(`Usage: sallyport ${command}`);
    const described = out.split('\n\n')[1] ?? '';
    expect(described).toMatch(/^[a-z]/);
    for (const line of out.split('\n').filter((one) => /^ {2}-/.test(one))) expect(line).toMatch(/^ {2}-.*? {2,}\S/);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test('shows the version', async () => {
    expect(await sallyport('--version')).toEqual({ code: 0, out: '1.2.3\n', err: '' });
  });
});

describe('what is printed', () => {
  test('is a table for people', async () => {
    answers = { 'session.list': async () => ({ sessions: [session] }) };
    const { code, out } = await sallyport('sessions', '--live');
    expect(code).toBe(0);
    expect(out).toBe(
      'SESSION  USER  ACCOUNT      PEER       STATE  OPENED AT                 ENDED AT  OUTCOME  RECORDING\n' +
        '0198     ana   root@web-01  192.0.2.9  live   2026-11-21T02:00:00.000Z  -         -        -\n',
    );
  });

  test('is a sentence where there is nothing, and an empty list in JSON', async () => {
    answers = { 'session.list': async () => ({ sessions: [] }) };
    expect((await sallyport('sessions')).out).toBe('no sessions\n');
    expect((await sallyport('-o', 'json', 'sessions')).out).toBe('[]\n');
  });

  test('is JSON for programs', async () => {
    answers = { 'session.list': async () => ({ sessions: [session] }) };
    expect(JSON.parse((await sallyport('-o', 'json', 'sessions')).out)).toEqual([session]);
  });

  test('of what a stranger named cannot move the cursor', async () => {
    answers = { 'session.list': async () => ({ sessions: [{ ...session, user: 'a\u001b[2Jb\nc\u009b1md' }] }) };
    for (const format of ['table', 'json']) {
      const { out } = await sallyport('-o', format, 'sessions');
      // oxlint-disable-next-line no-control-regex
      expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    }
  });

  test('of a failure is its words, its code and what to do, also when a stranger chose the words', async () => {
    answers = {
      'rotation.rotate': async () => {
        throw new KeeperError('keeper.no-such-thing', 'account \u001b[31mroot');
      },
    };
    const { code, out, err } = await sallyport('rotate', 'root');
    expect([code, out]).toEqual([6, '']);
    expect(err).toBe(
      'sallyport: there is nothing of that name: account \ufffd[31mroot (keeper.no-such-thing)\n' +
        '  list what there is, e.g. with `sallyport target ls` or `sallyport account ls`\n',
    );
  });
});

describe('the recording of a desktop', () => {
  const recording = {
    recording: 'r1',
    session: '0198',
    user: 'ana',
    account: 'ana@desk-01',
    protocol: 'rdp',
    startedAt: '2026-11-21T02:00:00.000Z',
    state: 'sealed',
    size: 1,
    blocks: 1,
  };
  const asked: object[] = [];
  beforeEach(() => {
    asked.length = 0;
    answers = {
      'recording.list': async () => ({ recordings: [recording] }),
      'recording.draw': async (fields, part) => {
        asked.push(fields);
        part({ at: 0, bytes: utf8('one ') });
        part({ at: 0, bytes: utf8('two') });
        return { recording };
      },
      'recording.play': async (fields, part) => {
        asked.push(fields);
        part({ at: 0, bytes: utf8('00:00:01 keys: a\n') });
        return { recording };
      },
    };
  });

  test('is not played where there is no terminal: how to get it is said', async () => {
    const { code, out } = await sallyport('play', 'r1');
    expect([code, asked]).toEqual([0, []]);
    for (const way of ['--mp4 --out FILE', '--png TIME --out FILE', '--text']) expect(out).toContain(way);
  });

  test('is small pictures in a terminal, as wide as it is', async () => {
    const terminal = { isTTY: process.stdout.isTTY, columns: process.stdout.columns };
    Object.assign(process.stdout, { isTTY: true, columns: 132 });
    try {
      expect((await sallyport('play', 'r1', '--at', '1:02:03')).out).toBe('one two');
    } finally {
      Object.assign(process.stdout, terminal);
    }
    expect(asked).toEqual([{ recording: 'r1', format: 'strip', columns: 132, at: 3723 }]);
  });

  test('is exported as picture, film or text, to a pipe or into a new file that only its owner reads', async () => {
    expect((await sallyport('recording', 'export', 'r1', '--png', '90')).out).toBe('one two');
    const file = join(data, 'film.mp4');
    expect(await sallyport('recording', 'export', 'r1', '--mp4', '--max-idle', '2', '--out', file)).toMatchObject({
      code: 0,
      out: '',
    });
    expect(readFileSync(file, 'utf8')).toBe('one two');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await sallyport('recording', 'export', 'r1', '--mp4', '--out', file)).err).toContain('cli.file-unwritable');
    expect((await sallyport('recording', 'export', 'r1', '--text')).out).toBe('00:00:01 keys: a\n');
    expect(asked).toEqual([
      { recording: 'r1', format: 'png', at: 90 },
      { recording: 'r1', format: 'mp4', maxIdle: 2 },
      { recording: 'r1', format: 'text' },
    ]);
  });

  test.each([
    [['recording', 'export', 'r1']],
    [['recording', 'export', 'r1', '--text', '--mp4']],
    [['recording', 'export', 'r1', '--png', 'soon']],
    [['recording', 'export', 'r1', '--mp4', '--max-idle', 'long']],
    [['play', 'another', '--at', '3']],
  ])('is not asked for by %j', async (argv) => {
    expect((await sallyport(...argv)).code).toBe(2);
    expect(asked).toEqual([]);
  });
});

describe('the exit code', () => {
  const verdict = (status: string) => async () => ({ account: 'root@web-01', status, words: 'as it is' });

  test.each<[number, string, string[], Partial<RouteAnswers>]>([
    [0, 'a change that is confirmed', ['rotate', 'x'], { 'rotation.rotate': verdict('confirmed') }],
    [7, 'a change that is uncertain', ['rotate', 'x'], { 'rotation.rotate': verdict('uncertain') }],
    [1, 'a change that failed', ['rotate', 'x'], { 'rotation.rotate': verdict('failed') }],
    [0, 'a credential that is accepted', ['verify', 'x'], { 'rotation.verify': verdict('accepted') }],
    [1, 'a credential that is rejected', ['verify', 'x'], { 'rotation.verify': verdict('rejected') }],
    [
      7,
      'an unbroken trail that is broken',
      ['audit', 'verify'],
      { 'audit.verify': async () => ({ ok: false, rows: 3, head: '', problem: 'row 2' }) },
    ],
    [0, 'an unbroken trail', ['audit', 'verify'], { 'audit.verify': async () => ({ ok: true, rows: 3, head: 'ab' }) }],
    [
      4,
      'an explanation that says no',
      ['explain', 'ana', 'root@web-01'],
      { 'access.explain': async () => ({ allowed: false, lines: ['no grant'] }) },
    ],
    [
      4,
      'a refusal',
      ['kill', 'x', '--reason', 'y'],
      { 'session.kill': async () => refuse('keeper.not-allowed', 'you may not') },
    ],
    [
      7,
      'an account in use',
      ['rotate', 'x'],
      { 'rotation.rotate': async () => refuse('rotation.in-use', 'a session uses it') },
    ],
    [2, 'a command that does not exist', ['rotat', 'x'], {}],
    [2, 'a missing argument', ['rotate'], {}],
    [2, 'a missing option', ['kill', 'x'], {}],
    [2, 'a format that does not exist', ['-o', 'xml', 'sessions'], {}],
    [2, 'a file that is not there', ['apply', '-f', '/nowhere.yaml'], {}],
    [2, 'a speed that is none', ['play', 'x', '--speed', 'fast'], {}],
    [1, 'a question that nobody answers', ['status'], {}],
  ])('is %i after %s', async (code, _, argv, told) => {
    answers = told;
    expect((await sallyport(...argv)).code).toBe(code);
  });

  test('is 1 where no Sallyport runs, with what to do', async () => {
    const { code, err } = await sallyport('--data', join(data, 'nobody'), 'status');
    expect(code).toBe(1);
    expect(err).toContain('(contract.no-keeper)\n  start it with `sallyport start`');
  });

  test('of a mistyped command comes with the one that was meant', async () => {
    expect((await sallyport('sesions')).err).toContain('Did you mean sessions?');
  });
});

describe('a secret', () => {
  test('is read from standard input without its line break, and is not printed', async () => {
    const got: string[] = [];
    answers = {
      'account.store': async ({ secret }) => {
        got.push(text(secret));
        return { status: 'confirmed', sigkey: '0198' };
      },
    };
    const ran = await piped('correct horse\r\n', 'account', 'set', 'root@web-01', '--stdin');
    expect(ran.code).toBe(0);
    expect(got).toEqual(['correct horse']);
    expect(ran.stdout + ran.stderr).not.toContain('horse');
  });

  test('is not asked for where there is no terminal, but told how to give it', async () => {
    const ran = await piped('', 'user', 'passwd', 'ana');
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('(cli.no-terminal)\n  give the value on standard input with --stdin');
  });

  test('of two lines comes apart, each without its line break', async () => {
    const got: string[] = [];
    answers = {
      enrol: async ({ code, password }) => {
        got.push(text(code), text(password));
        return { user: 'ana', roles: [] };
      },
    };
    const ran = await piped('CODE-1\r\na long enough sentence\r\n', 'enrol', 'ana', '--stdin');
    expect(ran.code).toBe(0);
    expect(got).toEqual(['CODE-1', 'a long enough sentence']);
  });

  test('longer than 64 KiB is refused before anybody is asked', async () => {
    const ran = await piped('x'.repeat(64 * 1024 + 1), 'user', 'passwd', 'ana', '--stdin');
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining('more than 64 KiB')]);
  });
});
