/** What the grant does not name is refused cleanly: the connection goes on, and the trail says what was refused. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSsh } from '../lab/client.ts';
import { fullMachines } from '../lab/machine.ts';
import { alice, openStage, sha256, type Stage, sumThere } from './ssh-stage.ts';

describe.runIf(fullMachines)('permissions', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]();
  });

  const refusal = (from: number, kind: string) =>
    stage.event((row) => row.type === 'session.channel.refused' && row.details['kind'] === kind, from);

  describe('forwarding is refused, and the shell goes on', () => {
    /** A port on which nobody listens just now. */
    async function freePort(): Promise<number> {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      server.close();
      await once(server, 'close');
      return typeof address === 'object' ? (address?.port ?? 0) : 0;
    }

    /** Speaks to the client's local end; gives what came back until it was closed. */
    async function knock(port: number, words: readonly Uint8Array[]): Promise<Buffer> {
      const socket = connect(port, '127.0.0.1');
      const parts: Buffer[] = [];
      socket.on('data', (bytes: Buffer) => parts.push(bytes));
      // A reset is as good an end as any.
      socket.on('error', () => {});
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      for (const bytes of words) socket.write(bytes);
      await closed;
      return Buffer.concat(parts);
    }

    test.each([
      ['-L', (port: number) => ['-L', `127.0.0.1:${port}:127.0.0.1:22`], [Buffer.from('hello')]],
      ['-D', (port: number) => ['-D', `127.0.0.1:${port}`], [Buffer.from('040100167f00000100', 'hex')]],
    ] as const)('%s: the connection is closed without an answer', async (_, flags, words) => {
      const from = await stage.mark();
      const port = await freePort();
      await using client = await openSsh(stage.gate, {
        user: alice,
        keyFile: stage.aliceKey,
        flags: [...flags(port)],
        command: 'echo up; cat',
      });
      const { child } = client;
      if (child.stdout === null || child.stderr === null) throw new Error('no pipes');
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
      child.stderr.on('data', (bytes: Buffer) => err.push(bytes));
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      await once(child.stdout, 'data');
      const answer = await knock(port, words);
      expect(answer.toString('latin1')).not.toContain('SSH-');
      await refusal(from, 'direct-tcpip');
      child.stdin?.end('the shell goes on');
      expect([await ended, Buffer.concat(out).toString()]).toEqual([0, 'up\nthe shell goes on']);
      expect(Buffer.concat(err).toString()).toContain('administratively prohibited');
    });

    test('-W: the client ends with a failure', async () => {
      const from = await stage.mark();
      const ran = await stage.ssh(undefined, { flags: ['-W', '127.0.0.1:22'] });
      expect([ran.code, ran.stdout]).toEqual([255, '']);
      expect(ran.stderr).toContain('administratively prohibited');
      await refusal(from, 'direct-tcpip');
    });

    test('-R', async () => {
      const from = await stage.mark();
      const ran = await stage.ssh('echo on', { flags: ['-R', '0:127.0.0.1:22'] });
      expect([ran.code, ran.stdout]).toEqual([0, 'on\n']);
      expect(ran.stderr).toContain('remote port forwarding failed');
      await refusal(from, 'tcpip-forward');
      const listeners = await stage.machine.exec(['ss', '-ltnp']);
      expect(listeners.stdout.split('\n').filter((line) => line.includes('sshd'))).toHaveLength(1);
    });

    test('-A: no agent appears on the target', async () => {
      const from = await stage.mark();
      const socket = join(stage.scratch, 'agent');
      const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
      await once(agent.stdout, 'data');
      try {
        const ran = await stage.ssh('echo "on [$SSH_AUTH_SOCK]"', {
          flags: ['-A'],
          options: [`IdentityAgent=${socket}`],
        });
        expect([ran.code, ran.stdout]).toEqual([0, 'on []\n']);
        await refusal(from, 'auth-agent-req@openssh.com');
      } finally {
        agent.kill();
      }
    });

    test('-X: no display appears on the target', async () => {
      const from = await stage.mark();
      const ran = await stage.tool((options, gate) => [
        'env',
        'DISPLAY=:77',
        'ssh',
        '-Y',
        ...options,
        gate.address,
        'echo "on [$DISPLAY]"',
      ]);
      expect([ran.code, ran.stdout]).toEqual([0, 'on []\n']);
      expect(ran.stderr).toContain('X11 forwarding request failed');
      await refusal(from, 'x11-req');
    });
  });

  describe('a grant of scp-up and sftp', () => {
    const frank = 'frank@deploy@web-01';

    async function file(name: string): Promise<{ path: string; bytes: Buffer }> {
      const path = join(stage.scratch, name);
      const bytes = randomBytes(50_000);
      await writeFile(path, bytes);
      return { path, bytes };
    }

    test.each([
      ['a command', 'exec', ['id']],
      ['a shell as a command', 'exec', ['sh']],
      ['scp hidden in a command', 'exec', ['scp -t /tmp; id']],
      ['a terminal', 'shell', []],
    ])('%s is refused', async (_, kind, command) => {
      const from = await stage.mark();
      const flags = command.length === 0 ? ['-tt'] : [];
      const ran = await stage.ssh(command[0], { user: frank, flags, input: 'id\n' });
      expect(ran.code).not.toBe(0);
      expect(ran.stdout).not.toContain('uid=');
      await refusal(from, kind);
    });

    test('scp -O: up is allowed, down is not', async () => {
      const up = await file('frank-up');
      const sent = await stage.tool((options, gate) => [
        'scp',
        '-O',
        '-o',
        `User=${frank}`,
        ...options,
        up.path,
        `${gate.address}:/tmp/frank-up`,
      ]);
      expect(sent.code, sent.stderr).toBe(0);
      expect(await sumThere(stage.machine, '/tmp/frank-up')).toBe(sha256(up.bytes));
      const from = await stage.mark();
      const got = await stage.tool((options, gate) => [
        'scp',
        '-O',
        '-o',
        `User=${frank}`,
        ...options,
        `${gate.address}:/tmp/frank-up`,
        join(stage.scratch, 'frank-down'),
      ]);
      expect(got.code).not.toBe(0);
      await refusal(from, 'scp-down');
    });

    test('sftp is allowed, another subsystem is not', async () => {
      const ran = await stage.tool(
        (options, gate) => ['sftp', '-o', `User=${frank}`, ...options, '-b', '-', gate.address],
        { input: 'ls /etc/passwd\n' },
      );
      expect([ran.code, ran.stdout], ran.stderr).toEqual([0, expect.stringContaining('/etc/passwd')]);
      const from = await stage.mark();
      const other = await stage.ssh('netconf', { user: frank, flags: ['-s'] });
      expect(other.code).not.toBe(0);
      await refusal(from, 'subsystem');
    });
  });

  test('a grant without sftp refuses it by subsystem and by the name of the program', async () => {
    await stage.product.ask(
      ['apply', '-f', '-'],
      'grants: [{ name: files, group: files, accounts: [deploy@web-01], subprotocols: [scp-up] }]\n',
    );
    for (const [flags, command] of [
      [['-s'], 'sftp'],
      [[], '/usr/lib/openssh/sftp-server'],
    ] as const) {
      const from = await stage.mark();
      const ran = await stage.ssh(command, { user: 'frank@deploy@web-01', flags: [...flags] });
      expect(ran.code).not.toBe(0);
      await refusal(from, 'sftp');
    }
  });
});
