/**
 * Clients of other makes through the gate to a real sshd: PuTTY, Dropbear, paramiko, Go's x/crypto/ssh and npm's ssh2. What
 * a machine has not and cannot install is left out, and the run says so; OpenSSH is in the other files, russh in its own.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensurePackages, type Package } from '../lab/install.ts';
import { fullMachines } from '../lab/machine.ts';
import { plainEnv, run, runWell } from '../lab/run.ts';
import { buildGoPeer } from '../peers/go-peer.ts';
import { pattern } from '../protocol/ssh/transport/exec.ts';
import { alice, openStage, sha256, type Stage, sumThere } from './ssh-stage.ts';

const bob = 'bob@deploy@web-01';

async function has(name: Package): Promise<boolean> {
  const packages = fullMachines ? await ensurePackages([name]).catch(() => undefined) : undefined;
  if (packages?.kind === 'ready') return true;
  if (fullMachines) process.stderr.write(`no ${name} here, so it was not tried\n`);
  return false;
}

const putty = await has('putty-tools');
const dropbear = await has('dropbear-bin');
const paramiko = await has('python3-paramiko');

describe.runIf(fullMachines)('other clients', () => {
  let stage: Stage;
  /** The gate's Ed25519 key, as `type base64`. */
  let hostKey = '';
  let file = '';
  let bytes: Buffer;
  beforeAll(async () => {
    stage = await openStage();
    hostKey = /ssh-ed25519 \S+/.exec(stage.gate.knownHosts ?? '')?.[0] ?? '';
    file = join(stage.scratch, 'file');
    bytes = randomBytes(1_500_000);
    await writeFile(file, bytes);
  });
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]();
  });

  /** Every PuTTY and Dropbear call gets a home of its own. */
  const env = (): Record<string, string> => ({ ...plainEnv, HOME: stage.scratch });
  const port = (): string => String(stage.gate.port);

  if (putty) {
    describe('PuTTY', () => {
      let known: readonly string[] = [];
      let key = '';
      beforeAll(async () => {
        const line = join(stage.scratch, 'host.pub');
        await writeFile(line, `${hostKey}\n`);
        const print = (await runWell(['ssh-keygen', '-lf', line])).stdout.split(' ')[1] ?? '';
        known = ['-batch', '-hostkey', print, '-P', port()];
        key = join(stage.scratch, 'key.ppk');
        await runWell(['puttygen', stage.aliceKey, '-O', 'private', '-o', key], { env: env() });
      });

      test('plink with a key: bytes both ways and the status', async () => {
        const argv = ['plink', '-ssh', ...known, '-i', key, '-l', alice, stage.gate.address, 'cat; echo e >&2; exit 9'];
        const ran = await run(argv, { input: bytes, env: env() });
        expect([ran.code, sha256(ran.output)], ran.stderr).toEqual([9, sha256(bytes)]);
        expect(ran.stderr).toContain('e\n');
      });

      test('plink with a password', async () => {
        const password = join(stage.scratch, 'password');
        await writeFile(password, `${stage.passwords.bob}\n`, { mode: 0o600 });
        const argv = ['plink', '-ssh', ...known, '-pwfile', password, '-l', bob, stage.gate.address, 'id -un'];
        const ran = await run(argv, { env: env() });
        expect([ran.code, ran.stdout], ran.stderr).toEqual([0, 'deploy\n']);
      });

      test.each(['-scp', '-sftp'])('pscp %s up and down', async (way) => {
        const at = `${stage.gate.address}:/tmp/pscp${way}`;
        const pscp = ['pscp', way, ...known, '-i', key, '-l', alice];
        const up = await run([...pscp, file, at], { env: env() });
        expect(up.code, up.stderr).toBe(0);
        expect(await sumThere(stage.machine, `/tmp/pscp${way}`)).toBe(sha256(bytes));
        const back = join(stage.scratch, `pscp${way}`);
        const down = await run([...pscp, at, back], { env: env() });
        expect([down.code, sha256(await readFile(back))], down.stderr).toEqual([0, sha256(bytes)]);
      });
    });
  }

  if (dropbear) {
    test('Dropbear: dbclient with a key, bytes both ways and the status', async () => {
      const key = join(stage.scratch, 'key.dropbear');
      await runWell(['dropbearconvert', 'openssh', 'dropbear', stage.aliceKey, key]);
      const argv = ['dbclient', '-y', '-y', '-i', key, '-p', port(), '-l', alice, stage.gate.address, 'cat; exit 9'];
      const ran = await run(argv, { input: bytes, env: env() });
      expect([ran.code, sha256(ran.output)], ran.stderr).toEqual([9, sha256(bytes)]);
    });
  }

  if (paramiko) {
    test.each(['a key', 'a password'])('paramiko with %s: a command and SFTP', async (way) => {
      const there = `/tmp/paramiko-${way.at(-1)}`;
      const login =
        way === 'a key' ? { user: alice, key: stage.aliceKey } : { user: bob, password: stage.passwords.bob };
      const asked = { ...stage.product.ssh, ...login, known: hostKey, up: file, there };
      const script = join(import.meta.dirname, '../peers/paramiko/visit.py');
      const ran = await run(['/usr/bin/python3', '-W', 'ignore', script], { input: JSON.stringify(asked) });
      expect(ran.code, ran.stderr).toBe(0);
      expect(JSON.parse(ran.stdout)).toEqual({ output: 100_000, error: 'words\n', status: 9, sha256: sha256(bytes) });
      expect(await sumThere(stage.machine, there)).toBe(sha256(bytes));
    });
  }

  test("npm's ssh2 by keyboard-interactive: a command in a terminal, with its window and a signal", async () => {
    const client = new ssh2.Client();
    client.on('keyboard-interactive', (_name, _words, _language, _prompts, answer) => answer([stage.passwords.bob]));
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve).once('error', reject);
      client.connect({ host: stage.gate.address, port: stage.gate.port, username: bob, tryKeyboard: true });
    });
    const ended = await new Promise<{ output: string; signal: unknown }>((resolve, reject) => {
      client.exec('stty size; exec cat', { pty: { rows: 33, cols: 99 } }, (error, channel) => {
        if (error) return reject(error);
        let output = '';
        let signal: unknown;
        channel.on('data', (part: Buffer) => {
          output += part.toString();
          if (output.endsWith('\r\n')) channel.signal('TERM');
        });
        channel.on('exit', (_code: unknown, name: unknown) => {
          signal = name;
        });
        channel.on('close', () => resolve({ output, signal }));
      });
    });
    client.end();
    expect(ended).toEqual({ output: '33 99\r\n', signal: 'SIGTERM' });
  });

  test("Go's x/crypto/ssh with ML-KEM: bytes both ways across rekeys; what was agreed on is in the trail", async () => {
    const program = await buildGoPeer(stage.scratch);
    if (program === undefined) return;
    const size = 12_000_000;
    for (const kex of ['mlkem768x25519-sha256', 'curve25519-sha256']) {
      const from = await stage.mark();
      const at = `${stage.gate.address}:${stage.gate.port}`;
      const algorithms = [kex, 'aes128-gcm@openssh.com', '2000000'];
      const ran = await run([program, 'login', at, ...algorithms, alice, stage.aliceKey, 'cat', String(size)]);
      expect([ran.code, ran.stdout], ran.stderr).toEqual([0, sha256(pattern(0, size))]);
      const started = await stage.event((row) => row.type === 'session.started', from);
      expect(started.details['front']).toMatchObject({ kex, version: 'SSH-2.0-Go', strict: 'true' });
    }
  });
});
