/** Commands and terminals through the gate with the stock client: bytes, statuses and ends are those of the target. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClient, openSsh, ssh } from '../lab/client.ts';
import { fullMachines } from '../lab/machine.ts';
import { plainEnv, runWell } from '../lab/run.ts';
import { alice, type AuditRow, openStage, sha256, type Stage, sumThere } from './ssh-stage.ts';

/** Collects what a stream says, and waits for words in it. */
function listen(stream: NodeJS.ReadableStream): { text(): string; until(words: RegExp): Promise<void> } {
  let text = '';
  const waiting = new Set<() => void>();
  stream.on('data', (bytes: Buffer) => {
    text = (text + bytes.toString('latin1')).slice(-1_000_000);
    for (const look of waiting) look();
  });
  return {
    text: () => text,
    until: (words) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!words.test(text)) return;
          waiting.delete(look);
          resolve();
        };
        stream.once('close', () => reject(new Error(`it ended without ${words}: ${text.slice(-2000)}`)));
        waiting.add(look);
        look();
      }),
  };
}

describe.runIf(fullMachines)('the SSH path', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage({ sshd: ['ClientAliveInterval 1', 'ClientAliveCountMax 2'] });
  });
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]();
  });

  test.each([
    ['a status', 'echo out; echo err >&2; exit 37'],
    ['a signal', 'echo before; kill -TERM $$'],
    ['a command that is not there', 'no-such-program-here'],
    ['a status above 128', 'exit 255'],
    ['bytes of every value', 'printf "$(printf "\\\\\\\\%03o" $(seq 0 255))"'],
    ['nothing', 'true'],
  ])('%s: the client sees what it sees without a gate', async (_, command) => {
    const { machine } = stage;
    const direct = await ssh(
      { address: machine.address, port: machine.port, knownHosts: machine.knownHosts() },
      { user: 'deploy', answers: [stage.secrets.deploy], command },
    );
    const ran = await stage.ssh(command);
    expect([ran.code, ran.signal, ran.output.toString('hex'), ran.stderr]).toEqual([
      direct.code,
      direct.signal,
      direct.output.toString('hex'),
      direct.stderr,
    ]);
  });

  test('no input is an end of input, and a program that reads it goes on', async () => {
    const ran = await stage.ssh('cat; echo done');
    expect([ran.code, ran.stdout]).toEqual([0, 'done\n']);
  });

  test('a file through standard input arrives whole', async () => {
    const input = randomBytes(5_000_000);
    const ran = await stage.ssh('cat >/tmp/whole', { input });
    expect([ran.code, await sumThere(stage.machine, '/tmp/whole')]).toEqual([0, sha256(input)]);
  });

  test('20 MB on standard output and 20 MB on standard error at once: both complete', async () => {
    const size = 20_000_000;
    const ran = await stage.ssh(
      `head -c ${size} /dev/zero | tr '\\0' o & head -c ${size} /dev/zero | tr '\\0' e >&2; wait; exit 3`,
    );
    expect(ran.code).toBe(3);
    expect(sha256(ran.output)).toBe(sha256('o'.repeat(size)));
    expect(sha256(ran.stderr)).toBe(sha256('e'.repeat(size)));
  });

  test('tar through ssh, there and back: the tree is the same', async () => {
    const from = join(stage.scratch, 'tree');
    const to = join(stage.scratch, 'tree-back');
    await mkdir(join(from, 'deep/er'), { recursive: true });
    await mkdir(to);
    for (const name of ['a', 'deep/b', 'deep/er/c c']) await writeFile(join(from, name), randomBytes(300_000));
    const up = await stage.tool((options, gate) => [
      'bash',
      '-c',
      'set -o pipefail; tar c -C "$1" . | ssh "${@:2}"',
      'bash',
      from,
      ...options,
      gate.address,
      'mkdir -p /tmp/tree && tar x -C /tmp/tree',
    ]);
    expect(up.code, up.stderr).toBe(0);
    const down = await stage.tool((options, gate) => [
      'bash',
      '-c',
      'set -o pipefail; ssh "${@:2}" | tar x -C "$1"',
      'bash',
      to,
      ...options,
      gate.address,
      'tar c -C /tmp/tree .',
    ]);
    expect(down.code, down.stderr).toBe(0);
    const diff = await runWell(['diff', '-r', from, to]);
    expect(diff.stdout).toBe('');
  });

  test('half-close: after the end of input the output goes on, and after the end of output the input does', async () => {
    const out = await stage.ssh('cat >/dev/null; head -c 3000000 /dev/zero; echo end; exit 4', { input: 'x' });
    expect([out.code, out.output.length]).toEqual([4, 3_000_004]);
    const input = randomBytes(3_000_000);
    const silent = await stage.ssh('exec >&- 2>&-; cat >/tmp/half', { input });
    expect([silent.code, await sumThere(stage.machine, '/tmp/half')]).toEqual([0, sha256(input)]);
  });

  test('environment: what the target accepts arrives, the rest does not', async () => {
    const ran = await stage.ssh('echo "[$LC_GATE][$OTHER]"', { options: ['SetEnv=LC_GATE=grün OTHER=no'] });
    expect([ran.code, ran.stdout]).toEqual([0, '[grün][]\n']);
  });

  test('a terminal has its size and its type, and a change of the window reaches the target', async () => {
    await using client = await openClient(stage.gate, { user: alice, keyFile: stage.aliceKey });
    const remote = [
      'echo "first $(stty size) $TERM"',
      'trap \'echo "then $(stty size)"; exit 5\' WINCH',
      'echo ready; while :; do read -r -t 1 x; done',
    ].join('; ');
    // script(1) makes the local terminal; it is resized from outside, as a window would.
    const inner = `tty; stty rows 24 cols 80; ssh -tt ${[
      ...client.arguments,
      '-p',
      stage.gate.port,
      stage.gate.address,
      remote,
    ]
      .map((word) => `'${String(word).replaceAll("'", `'\\''`)}'`)
      .join(' ')}`;
    const script = spawn('script', ['-q', '-e', '-f', '-c', inner, '/dev/null'], {
      env: { ...client.env, TERM: 'xterm-256color', SHELL: '/bin/sh' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = new Promise<number | null>((resolve) => script.once('close', resolve));
    const said = listen(script.stdout);
    await said.until(/ready/);
    expect(said.text()).toContain('first 24 80 xterm-256color');
    const tty = /\/dev\/pts\/\d+/.exec(said.text())?.[0] ?? '';
    await runWell(['stty', '-F', tty, 'rows', '50', 'cols', '132']);
    expect(await ended).toBe(5);
    expect(said.text()).toContain('then 50 132');
  });

  test('Ctrl-C ends endless output, and the shell takes the next command', async () => {
    await using client = await openSsh(stage.gate, { user: alice, keyFile: stage.aliceKey, flags: ['-tt'] });
    const { child } = client;
    if (child.stdout === null) throw new Error('no pipe');
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const said = listen(child.stdout);
    child.stdin?.write('yes endless\n');
    await said.until(/(endless\r\n){10000}/);
    child.stdin?.write('\x03');
    child.stdin?.write('echo "back $((40 + 2))"\n');
    await said.until(/back 42/);
    child.stdin?.write('exit 7\n');
    expect(await ended).toBe(7);
  });

  test('signs of life that client and target ask for are given, and neither leaves', async () => {
    // Unanswered, the client would leave after two seconds and the target's sshd after three.
    const options = ['ServerAliveInterval=1', 'ServerAliveCountMax=1'];
    const ran = await stage.ssh('sleep 5; echo alive', { options });
    expect([ran.code, ran.stdout]).toEqual([0, 'alive\n']);
  });

  test('ControlMaster: many sessions in one connection, each with its own bytes and status, is one session here', async () => {
    const from = await stage.mark();
    const path = join(stage.scratch, 'control');
    await using client = await openClient(stage.gate, { user: alice, keyFile: stage.aliceKey });
    const master = spawn(
      'ssh',
      [...client.arguments, '-M', '-N', '-S', path, '-p', String(stage.gate.port), stage.gate.address],
      { env: { ...client.env }, stdio: 'ignore' },
    );
    const over = new Promise<void>((resolve) => master.once('close', () => resolve()));
    await stage.event((row) => row.type === 'session.started', from);
    const through = (command: string, input: Uint8Array) =>
      runOver(path, [...client.arguments], stage.gate.address, command, input, client.env);
    const inputs = Array.from({ length: 8 }, () => randomBytes(200_000));
    const ran = await Promise.all(inputs.map((input, i) => through(`cat; exit ${i}`, input)));
    expect(ran.map(({ code }) => code)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(ran.map(({ output }) => sha256(output))).toEqual(inputs.map(sha256));
    await runWell(['ssh', ...client.arguments, '-S', path, '-O', 'exit', stage.gate.address], { env: client.env });
    await over;
    const opened = stage.trail.filter((row) => row.seq > from && row.type === 'session.opened');
    expect(opened).toHaveLength(1);
    const mine = (row: AuditRow): boolean => row.details['session'] === opened[0]?.details['session'];
    await stage.event((row) => row.type === 'session.ended' && mine(row), from);
    expect(stage.trail.filter((row) => row.type === 'session.channel.opened' && mine(row))).toHaveLength(8);
  });

  test('no-more-sessions reaches the target, which then opens no second one', async () => {
    const client = new ssh2.Client();
    const failed = new Promise<Error>((resolve) =>
      client.on('error', resolve).on('close', () => resolve(new Error('closed'))),
    );
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve).once('error', reject);
      void readFile(stage.aliceKey).then((privateKey) =>
        client.connect({
          host: stage.gate.address,
          port: stage.gate.port,
          username: alice,
          privateKey,
          strictVendor: false,
        }),
      );
    });
    await new Promise<void>((resolve, reject) => {
      client.exec('true', (error, channel) => {
        if (error) return reject(error);
        channel.on('close', () => resolve()).resume();
      });
    });
    await new Promise<void>((resolve, reject) => {
      client.openssh_noMoreSessions((error) => (error ? reject(error) : resolve()));
    }).catch(() => {});
    client.exec('true', () => {});
    await failed;
    await stage.machine.logged(/no-more-sessions|Possible attack: attempt to open a session after additional sessions/);
  });
});

async function runOver(
  path: string,
  options: readonly string[],
  address: string,
  command: string,
  input: Uint8Array,
  env: Readonly<Record<string, string>>,
): Promise<{ code: number | null; output: Buffer }> {
  const child = spawn('ssh', [...options, '-S', path, '-o', 'ControlMaster=no', address, command], {
    env: { ...plainEnv, ...env },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const parts: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => parts.push(bytes));
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output: Buffer.concat(parts) };
}
