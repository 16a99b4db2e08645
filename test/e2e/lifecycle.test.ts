/** How Sallyport starts and ends, as whom its parts run, and what it says when it cannot start. */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { type Ran, run } from '../lab/run.ts';
import { makeHome, partsOf, root, startProduct } from '../support/sallyport.ts';
import { account, type Chaos, freePort, openChaos, until } from './chaos-stage.ts';

const main = join(root, 'src/main.ts');

/** One `sallyport start` that is expected to end by itself. */
function start(home: string, more: { key?: string; port?: number } = {}): Promise<Ran> {
  const key = more.key ?? join(home, 'key/root.key');
  const listen = `127.0.0.1:${more.port ?? 0}`;
  const argv = [
    process.execPath,
    main,
    '--data',
    join(home, 'data'),
    'start',
    '--root-key',
    key,
    '--ssh-listen',
    listen,
    '--rdp-listen',
    'off',
  ];
  return run(argv, { env: { PATH: process.env['PATH'] ?? '' } }, AbortSignal.timeout(30_000));
}

/** What a person was told: the lines that are no log. */
function told(ran: Ran): string {
  return ran.stderr
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{'))
    .join('\n');
}

/** Processes that work in the data directory or have a file of it open. */
function leftIn(home: string): string[] {
  const cluster = statSync(join(home, 'data/db/cluster'), { throwIfNoEntry: false })?.ino;
  const holds = (pid: string): boolean => {
    try {
      if (statSync(`/proc/${pid}/cwd`).ino === cluster) return true;
      const lock = statSync(join(home, 'data/sallyport.pid')).ino;
      return readdirSync(`/proc/${pid}/fd`).some((fd) => {
        try {
          return statSync(`/proc/${pid}/fd/${fd}`).ino === lock;
        } catch {
          return false;
        }
      });
    } catch {
      return false;
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && holds(name));
}

function uidsOf(pid: number): string[] {
  const line = /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  return [...new Set(line.split(/\s+/))];
}

describe.runIf(fullMachines)('a Sallyport', () => {
  let chaos: Chaos;
  beforeAll(async () => {
    chaos = await openChaos();
  });
  afterAll(() => chaos[Symbol.asyncDispose]());

  it('on a data directory that another one has is refused, and leaves that one alone', async () => {
    const second = await start(chaos.home);
    expect(second.code).not.toBe(0);
    expect(told(second)).toContain('(supervisor.already-running)');
    expect(told(second)).toContain(`process ${chaos.product.pid}`);
    expect((await chaos.ssh('echo still $((1 + 1))')).stdout).toContain('still 2');
  });

  it('on a port of another one, or of a stranger, is refused and says so', async () => {
    const home = makeHome();
    mkdirSync(join(home, 'key'), { mode: 0o700 });
    const stranger = createServer().listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    const at = stranger.address();
    const ports = [chaos.product.ssh.port, typeof at === 'object' && at !== null ? at.port : 0];
    for (const port of ports) {
      const ran = await start(home, { port });
      expect(ran.code).not.toBe(0);
      expect(told(ran)).toMatch(new RegExp(`EADDRINUSE.*${port} \\(supervisor.cannot-listen\\)\n.*--ssh-listen`));
      expect(leftIn(home)).toEqual([]);
    }
    stranger.close();
    rmSync(home, { recursive: true });
  });

  it('has gates that can reach neither the root key nor the database nor the operators’ socket', async () => {
    const [gate = 0] = chaos.pids('gate');
    const [uid = '', ...others] = uidsOf(gate);
    expect(others).toEqual([]);
    expect(Number(uid)).toBeGreaterThanOrEqual(61_184);
    expect(/^Groups:\s*$/m.test(readFileSync(`/proc/${gate}/status`, 'utf8'))).toBe(true);
    const [postgres = 0] = chaos.pids('postgres');
    expect(uidsOf(postgres)).not.toContain(uid);
    const as = (script: string, path: string): Promise<Ran> =>
      run(['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', process.execPath, '-e', script, path]);
    const { data, rootKey } = chaos.product;
    const read = 'fs.readFileSync(process.argv[1])';
    const connect = "net.connect(process.argv[1]).on('connect', () => process.exit(0))";
    expect((await as(connect, join(data, 'run/link/link.sock'))).code).toBe(0);
    for (const [script, path] of [
      [read, rootKey],
      [connect, join(data, 'run/keeper/keeper.sock')],
      [connect, join(data, 'db/run/.s.PGSQL.5432')],
      ['fs.readdirSync(process.argv[1])', join(data, 'recordings')],
      ['fs.readdirSync(process.argv[1])', join(data, 'db/cluster')],
    ] as const)
      expect((await as(script, path)).stderr).toContain('EACCES');
  });

  it('that is interrupted at a terminal, and then told to stop, lets what runs finish and takes nothing new', async () => {
    await using terminal = await chaos.terminal();
    await terminal.answers();
    const everything = partsOf(chaos.product.pid).map((part) => part.pid);
    // What Ctrl-C does: every process of the group is signalled.
    for (const name of ['keeper', 'gate'] as const) for (const pid of chaos.pids(name)) process.kill(pid, 'SIGINT');
    chaos.product.kill('SIGINT');
    await until('nobody new gets in', async () => (await chaos.ssh('true')).stderr.includes('Connection refused'));
    await terminal.answers();
    terminal.type('exit 7');
    expect((await terminal.ended).code).toBe(7);
    expect(await chaos.product.exited).toBe(0);
    expect(everything.filter((pid) => readdirSync('/proc').includes(String(pid)))).toEqual([]);
    expect(leftIn(chaos.home)).toEqual([]);
  });

  it('keeps everything, and ends what does not finish in time with the reason', async () => {
    await chaos.startAgain({ env: { SALLYPORT_DRAIN_SECONDS: '1' } });
    expect(chaos.product.code).toBeUndefined();
    const { sessions } = await chaos.call('session.list', { live: false });
    expect(sessions.length).toBeGreaterThan(1);
    expect(sessions.every((one) => one.state === 'ended')).toBe(true);
    for (const { recording, state } of (await chaos.call('recording.list', {})).recordings) {
      expect(state).toBe('sealed');
      expect((await chaos.call('recording.verify', { recording })).ok).toBe(true);
    }
    await until('nothing is under way', async () => {
      const { versions } = await chaos.call('rotation.history', { account });
      return versions.every((one) => one.status !== 'P');
    });
    await using terminal = await chaos.terminal();
    await terminal.answers();
    chaos.product.kill('SIGTERM');
    expect((await terminal.ended).said).toContain('Sallyport is being stopped');
    expect(await chaos.product.exited).toBe(0);
    expect(leftIn(chaos.home)).toEqual([]);
  });

  it('without its root key, or with one that others could know, says so once and leaves nothing behind', async () => {
    await chaos.product.stop();
    const key = chaos.product.rootKey;
    const saved = `${key}.saved`;
    renameSync(key, saved);
    const put = (mode: number): void => {
      copyFileSync(saved, key);
      chmodSync(key, mode);
    };
    const inside = join(chaos.home, 'data/root.key');
    const cases: [code: string, prepare: () => void, key?: string][] = [
      ['vault.rootkey-missing', () => {}],
      ['vault.rootkey-wrong', () => writeFileSync(key, Buffer.alloc(32, 7), { mode: 0o400 })],
      ['vault.rootkey-too-open', () => put(0o444)],
      [
        'vault.rootkey-inside-data',
        () => {
          copyFileSync(saved, inside);
          chmodSync(inside, 0o400);
        },
        inside,
      ],
    ];
    for (const [code, prepare, other] of cases) {
      prepare();
      const ran = await start(chaos.home, other === undefined ? {} : { key: other });
      expect([code, ran.code]).not.toEqual([code, 0]);
      expect(told(ran).split(`(${code})\n  `).length, told(ran)).toBe(2);
      expect(told(ran).split('\n').length).toBe(2);
      expect(ran.stderr.match(/the keeper cannot run/g)?.length).toBe(1);
      expect(leftIn(chaos.home)).toEqual([]);
      rmSync(key, { force: true });
    }
    rmSync(inside);
    renameSync(saved, key);
    await chaos.startAgain();
    expect((await chaos.ssh('true')).code).toBe(0);
    expect((await chaos.call('audit.verify', {})).ok).toBe(true);
  });
});

describe.runIf(fullMachines)('a checkout', () => {
  it('below a folder that only root may enter works: gates run from a copy', async () => {
    const closed = mkdtempSync(join(tmpdir(), 'checkout-'));
    for (const name of ['src', 'package.json', 'package-lock.json'])
      cpSync(join(root, name), join(closed, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(closed, 'node_modules'));
    expect(statSync(closed).mode & 0o777).toBe(0o700);
    {
      await using product = await startProduct({ main: join(closed, 'src/main.ts'), port: await freePort() });
      const gate = partsOf(product.pid).find((part) => part.name === 'gate');
      expect(uidsOf(gate?.pid ?? 0)).not.toContain('0');
      expect(readFileSync(`/proc/${gate?.pid}/cmdline`, 'utf8')).toContain(join(product.data, 'program'));
      expect((await run(['ssh-keyscan', '-p', String(product.ssh.port), '127.0.0.1'])).stdout).toContain('ssh-ed25519');
    }
    rmSync(closed, { recursive: true });
  });

  it('of an ordinary user runs every part as that user', async () => {
    const home = makeHome();
    const nobody = 65_534;
    chownSync(home, nobody, nobody);
    mkdirSync(join(home, 'key'), { mode: 0o700 });
    chownSync(join(home, 'key'), nobody, nobody);
    {
      const wrap = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--'];
      await using product = await startProduct({ home, wrap, env: { HOME: home } });
      const parts = [{ name: 'supervisor', pid: product.pid }, ...partsOf(product.pid)];
      expect(parts.map((part) => part.name).toSorted()).toEqual(['gate', 'keeper', 'postgres', 'supervisor']);
      for (const part of parts) expect([part.name, ...uidsOf(part.pid)]).toEqual([part.name, String(nobody)]);
      expect((await run(['ssh-keyscan', '-p', String(product.ssh.port), '127.0.0.1'])).stdout).toContain('ssh-ed25519');
    }
    expect(leftIn(home)).toEqual([]);
    rmSync(home, { recursive: true });
  });
});
