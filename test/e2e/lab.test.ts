/** The lab itself: whoever trusts a test that uses it trusts these. */
import { createHash } from 'node:crypto';
import { mkdtempDisposable, readdir, readFile, readlink } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type AddressInfo, connect, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { makeKey, ssh } from '../lab/client.ts';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import { run } from '../lab/run.ts';
import { openWire } from '../lab/wire.ts';

function reach(machine: Machine): { address: string; port: number; knownHosts: string } {
  return { address: machine.address, port: machine.port, knownHosts: machine.knownHosts() };
}

/** Every name, mode, owner and content under a folder, as one hash. */
async function fingerprint(folder: string): Promise<string> {
  const listing = await run(['find', folder, '-printf', '%p %m %u %g %l\\n']);
  const hash = createHash('sha256').update(listing.stdout.split('\n').toSorted().join('\n'));
  const sums = await run(['find', folder, '-type', 'f', '-exec', 'sha256sum', '{}', '+']);
  return hash.update(sums.stdout.split('\n').toSorted().join('\n')).digest('hex');
}

/** Host process ids whose mount namespace is this one. */
async function processesIn(namespace: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const mounts = await readlink(`/proc/${pid}/ns/mnt`).catch(() => '');
    if (mounts === namespace) found.push(pid);
  }
  return found;
}

describe.runIf(fullMachines)('a full machine', () => {
  test('takes a password and a key from stock ssh, and refuses the wrong ones', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'lab-test-'));
    const key = await makeKey(folder.path);
    const users = [
      { name: 'root', password: 'top of the house' },
      { name: 'ana', password: `p"ä$' x`, authorizedKeys: [key.line] },
      { name: 'nobody-home' },
    ];
    await using machine = await startMachine({ name: 'web-01', users });

    const byPassword = await ssh(reach(machine), { user: 'ana', answers: [`p"ä$' x`], command: 'id -un; hostname' });
    expect([byPassword.code, byPassword.stdout]).toEqual([0, 'ana\nweb-01\n']);
    expect(byPassword.prompts).toEqual([`ana@${machine.address}'s password: `]);
    const asRoot = await ssh(reach(machine), { user: 'root', answers: ['top of the house'], command: 'id -u' });
    expect([asRoot.code, asRoot.stdout]).toEqual([0, '0\n']);
    const byKey = await ssh(reach(machine), { user: 'ana', keyFile: key.file, command: 'id -un' });
    expect([byKey.code, byKey.stdout, byKey.prompts]).toEqual([0, 'ana\n', []]);
    const wrong = await ssh(reach(machine), { user: 'ana', answers: ['wrong'], command: 'true' });
    expect([wrong.code, wrong.stderr]).toEqual([255, expect.stringContaining('Permission denied')]);
    const without = await ssh(reach(machine), { user: 'nobody-home', answers: [''], command: 'true' });
    expect(without.code).toBe(255);
    await machine.logged(/Accepted publickey for ana/);
  });

  test('changes a password with chpasswd for real, in its own shadow file', async () => {
    await using machine = await startMachine({ name: 'web-01', users: [{ name: 'svc', password: 'old' }] });
    const shadowBefore = await machine.readFile('/etc/shadow');
    expect((await machine.exec(['chpasswd'], { input: 'svc:new\n' })).code).toBe(0);
    expect(await machine.readFile('/etc/shadow')).not.toBe(shadowBefore);
    expect((await ssh(reach(machine), { user: 'svc', answers: ['old'], command: 'true' })).code).toBe(255);
    expect((await ssh(reach(machine), { user: 'svc', answers: ['new'], command: 'true' })).code).toBe(0);
  });

  test('lets sudo in as told: without a password, with one, or not at all', async () => {
    const users = [
      { name: 'free', sudo: 'nopasswd' },
      { name: 'asked', password: 'please', sudo: 'password' },
      { name: 'none', password: 'never' },
    ] as const;
    await using machine = await startMachine({ name: 'web-01', users });
    const as = (name: string, command: string[], input = '') =>
      machine.exec(['setpriv', `--reuid=${name}`, `--regid=${name}`, '--init-groups', ...command], { input });
    expect((await as('free', ['sudo', '-n', 'id', '-u'])).stdout).toBe('0\n');
    expect((await as('asked', ['sudo', '-n', 'id', '-u'])).code).toBe(1);
    expect((await as('asked', ['sudo', '-S', '-p', '', 'id', '-u'], 'please\n')).stdout).toBe('0\n');
    expect((await as('none', ['sudo', '-S', '-p', '', 'id', '-u'], 'never\n')).code).toBe(1);
  });

  test("leaves the host's /etc as it was, and cannot write to the host's disk", async () => {
    const before = await fingerprint('/etc');
    {
      await using machine = await startMachine({ name: 'web-01', users: [{ name: 'svc', password: 'x' }] });
      await machine.exec(['chpasswd'], { input: 'root:changed\n' });
      await machine.putFile('/etc/lab-was-here', 'x');
      expect(await machine.readFile('/etc/lab-was-here')).toBe('x');
      const write = await machine.exec(['sh', '-c', 'for d in / /usr /var/lib; do touch $d/lab-was-here; done']);
      expect(write.stderr.match(/Read-only file system/g)).toHaveLength(3);
    }
    expect(await fingerprint('/etc')).toBe(before);
  });

  test('knows nothing of another machine that runs beside it', async () => {
    await using one = await startMachine({ name: 'web-01', users: [{ name: 'ana', password: 'one' }] });
    await using two = await startMachine({ name: 'db-01', users: [{ name: 'ben', password: 'two' }] });
    expect(one.address).not.toBe(two.address);
    expect(one.hostKeys).not.toEqual(two.hostKeys);
    expect((await one.exec(['id', 'ben'])).code).toBe(1);
    expect((await two.exec(['id', 'ana'])).code).toBe(1);
    expect((await ssh(reach(one), { user: 'ben', answers: ['two'], command: 'true' })).code).toBe(255);
    expect((await ssh(reach(two), { user: 'ben', answers: ['two'], command: 'hostname' })).stdout).toBe('db-01\n');
    expect((await two.exec(['ls', '/home'])).stdout).toBe('ben\n');
    const wrongKey = await ssh(
      { ...reach(one), knownHosts: two.knownHosts(one.address, one.port) },
      { user: 'ana', answers: ['one'] },
    );
    expect(wrongKey.stderr).toContain('Host key verification failed');
  });

  test('has a network of its own when asked, and its wire can be taken down and put up', async () => {
    const users = [{ name: 'ana', password: 'x' }];
    await using machine = await startMachine({ name: 'far-01', users, network: 'netns' });
    expect(machine.port).toBe(22);
    expect((await ssh(reach(machine), { user: 'ana', answers: ['x'], command: 'hostname' })).stdout).toBe('far-01\n');
    await machine.setWire(false);
    const unreachable = await ssh(reach(machine), { user: 'ana', answers: ['x'], options: ['ConnectTimeout=1'] });
    expect(unreachable.code).toBe(255);
    await machine.setWire(true);
    expect((await ssh(reach(machine), { user: 'ana', answers: ['x'], command: 'hostname' })).stdout).toBe('far-01\n');
  });

  test('restarts its sshd with other lines and other host keys, and refuses connections while it is stopped', async () => {
    await using machine = await startMachine({ name: 'web-01', users: [{ name: 'ana', password: 'x' }] });
    const before = reach(machine);
    await machine.restartSshd({ hostKeyTypes: ['ed25519'], sshd: ['Banner /etc/hostname'] });
    const changed = await ssh(before, { user: 'ana', answers: ['x'], command: 'true' });
    expect(changed.stderr).toContain('REMOTE HOST IDENTIFICATION HAS CHANGED');
    const known = await ssh(reach(machine), { user: 'ana', answers: ['x'], command: 'true' });
    expect([known.code, known.stderr]).toEqual([0, 'web-01\n']);
    await machine.stopSshd();
    expect((await ssh(reach(machine), { user: 'ana' })).stderr).toContain('Connection refused');
  });

  test('ends with all its processes when the process that started it is killed', async () => {
    const script = `
      const { startMachine } = await import(${JSON.stringify(join(import.meta.dirname, '../lab/machine.ts'))});
      const machine = await startMachine({ name: 'web-01', users: [] });
      machine.exec(['sleep', '1000']);
      const { stdout } = await machine.exec(['readlink', '/proc/self/ns/mnt']);
      console.log(stdout.trim(), machine.address, machine.port);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    const [line] = (await once(lines, 'line')) as [string];
    const [namespace = '', address = '', port = ''] = line.split(' ');
    expect((await processesIn(namespace)).length).toBeGreaterThan(2);
    const socket = connect(Number(port), address);
    await once(socket.resume(), 'data');
    child.kill('SIGKILL');
    // The kernel ends the machine's processes one after the other; the connection's end tells that sshd is gone.
    await once(socket, 'close');
    await expect.poll(() => processesIn(namespace), { timeout: 20_000 }).toEqual([]);
  });
});

describe.runIf(fullMachines)("an ordinary user's machine", () => {
  test('takes a key, refuses passwords, says what only root can make, and ends with its process', async () => {
    await using machine = await startMachine({ name: 'web-01', users: [{ name: 'ana' }] });
    // An account of the machine plays the ordinary user, with copies of the lab and of node: he may not be able to read ours.
    const lab = join(import.meta.dirname, '../lab');
    for (const entry of await readdir(lab, { withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = await readFile(join(lab, entry.name));
      await machine.putFile(`/home/ana/lab/${entry.name}`, bytes, { owner: 'ana', mode: '0700' });
    }
    await machine.putFile('/home/ana/node', await readFile(process.execPath), { owner: 'ana', mode: '0700' });
    await machine.putFile('/home/ana/package.json', '{ "type": "module" }', { owner: 'ana' });
    await machine.putFile('/home/ana/try.ts', ordinaryUser, { owner: 'ana' });
    await machine.exec(['chown', '-R', 'ana:ana', '/home/ana']);
    const argv = ['setpriv', '--reuid=ana', '--regid=ana', '--init-groups', '/home/ana/node', '/home/ana/try.ts'];
    const ran = await machine.exec(argv, { env: { PATH: '/usr/bin:/bin:/usr/sbin', HOME: '/home/ana' } });
    expect(ran.stderr).toBe('');
    expect(JSON.parse(ran.stdout)).toEqual({
      kind: 'own',
      key: [0, 'ana'],
      ownKeys: true,
      password: 255,
      stopped: expect.stringContaining('Connection refused'),
      refusal: expect.stringContaining('only root can make'),
    });
    await expect.poll(async () => (await machine.exec(['pgrep', '-u', 'ana'])).stdout, { timeout: 20_000 }).toBe('');
  });
});

const ordinaryUser = `
  import { makeKey, ssh } from './lab/client.ts';
  import { startMachine } from './lab/machine.ts';
  const key = await makeKey('/home/ana');
  const machine = await startMachine({ name: 'own', users: [{ name: 'ana', authorizedKeys: [key.line] }] });
  const to = { address: machine.address, port: machine.port, knownHosts: machine.knownHosts() };
  const byKey = await ssh(to, { user: 'ana', keyFile: key.file, command: 'id -un; cat ~/.ssh/authorized_keys' });
  const ownKeys = byKey.stdout.endsWith(key.line + '\\n');
  const password = await ssh(to, { user: 'ana', answers: ['x'], command: 'true' });
  await machine.stopSshd();
  const stopped = await ssh(to, { user: 'ana', keyFile: key.file });
  await machine.restartSshd();
  const refusal = await startMachine({ name: 'x', users: [{ name: 'ana', password: 'x' }] }).catch((error) => error.message);
  console.log(JSON.stringify({
    kind: machine.kind, key: [byKey.code, byKey.stdout.split('\\n')[0]], ownKeys, password: password.code, stopped: stopped.stderr, refusal,
  }));
  process.kill(process.pid, 'SIGKILL');
`;

describe.runIf(fullMachines)('a wire', () => {
  const users = [{ name: 'ana', password: 'x' }];
  const answers = ['x'];

  test('carries ssh, counts its bytes, and knows its connections', async () => {
    await using machine = await startMachine({ name: 'web-01', users });
    await using wire = await openWire(machine);
    const to = { address: wire.address, port: wire.port, knownHosts: machine.knownHosts(wire.address, wire.port) };
    const bytes = 300_000;
    const ran = await ssh(to, { user: 'ana', answers, command: `head -c ${bytes} /dev/zero` });
    expect([ran.code, ran.output.length]).toEqual([0, bytes]);
    expect(wire.bytes.down).toBeGreaterThan(bytes);
    expect(wire.bytes.up).toBeLessThan(bytes);
    expect(wire.accepted).toBe(1);
  });

  test('breaks a session with a reset and with a close, and refuses new ones on demand', async () => {
    await using machine = await startMachine({ name: 'web-01', users });
    await using wire = await openWire(machine);
    const to = { address: wire.address, port: wire.port, knownHosts: machine.knownHosts(wire.address, wire.port) };
    for (const how of ['reset', 'close'] as const) {
      wire.cutAfter('down', 200_000, how);
      const cut = await ssh(to, { user: 'ana', answers, command: 'cat /dev/zero' });
      expect(cut.code).toBe(255);
      expect(cut.stderr).toMatch(/Connection reset|Broken pipe|closed by/);
    }
    wire.refuse(true);
    // Whether ssh meets the reset while it reads or while it writes is up to the kernel.
    expect((await ssh(to, { user: 'ana', answers })).stderr).toMatch(/Connection reset|Broken pipe/);
    wire.refuse(false);
    expect((await ssh(to, { user: 'ana', answers, command: 'true' })).code).toBe(0);
  });

  test('lets through exactly the bytes it was told to, then ends as it was told to', async () => {
    await using echo = createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    await using wire = await openWire({ address: '127.0.0.1', port: (echo.address() as AddressInfo).port });
    for (const [how, end] of [
      ['reset', 'ECONNRESET'],
      ['close', 'end'],
    ] as const) {
      wire.cutAfter('down', 1234, how);
      const socket = connect(wire.port, wire.address);
      const ended = new Promise<string>((resolve) => {
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
        socket.on('end', () => resolve('end'));
      });
      let got = 0;
      socket.on('data', (chunk: Buffer) => (got += chunk.length));
      socket.write(Buffer.alloc(100_000));
      expect(await ended).toBe(end);
      expect(got).toBe(1234);
      socket.destroy();
    }
    expect([wire.accepted, wire.bytes.down]).toEqual([2, 2468]);
  });

  test('swallows everything without telling anybody, until it is cut', async () => {
    await using machine = await startMachine({ name: 'web-01', users });
    await using wire = await openWire(machine);
    const to = { address: wire.address, port: wire.port, knownHosts: machine.knownHosts(wire.address, wire.port) };
    wire.blackhole();
    const silent = await ssh(to, { user: 'ana', answers, options: ['ConnectTimeout=1'] });
    expect(silent.stderr).toContain('timed out');
    expect([wire.bytes.up, wire.bytes.down]).toEqual([0, 0]);
    wire.resume();
    const running = ssh(to, { user: 'ana', answers, command: 'cat', input: 'x' });
    expect((await running).stdout).toBe('x');
  });

  test('pauses a stream and lets it go on with every byte in place', async () => {
    await using machine = await startMachine({ name: 'web-01', users });
    await using wire = await openWire(machine);
    const to = { address: wire.address, port: wire.port, knownHosts: machine.knownHosts(wire.address, wire.port) };
    const running = ssh(to, { user: 'ana', answers, command: 'seq 1 200000' });
    await wire.reached('down', 400_000);
    wire.pause();
    const stood = wire.bytes.down;
    // A whole other round trip of this process and the machine goes by, and nothing moved on the paused wire.
    await machine.exec(['true']);
    expect(wire.bytes.down).toBe(stood);
    wire.resume();
    const expected = Array.from({ length: 200_000 }, (_, i) => `${i + 1}\n`).join('');
    expect((await running).stdout).toBe(expected);
  });
});
