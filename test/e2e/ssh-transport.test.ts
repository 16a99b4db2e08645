/**
 * Our transport against transports of another make, in both roles: OpenSSH's ssh, ssh-keyscan and sshd, npm's ssh2, and
 * Go's x/crypto/ssh where there is a Go.
 */
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import ssh2 from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  formatKeyLine,
  openTransport,
  signerFromPrivateKey,
  type Transport,
  type TransportOptions,
} from '../../src/protocol/ssh/ssh.ts';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import { type Ran, run } from '../lab/run.ts';
import { buildGoPeer } from '../peers/go-peer.ts';
import { pattern, patternHash, runCommand, serveExec } from '../protocol/ssh/transport/exec.ts';
import { clientOptions, keys, serverOptions, signal } from '../protocol/ssh/transport/pair.ts';

const megabytes = 1_000_000;

interface Served extends AsyncDisposable {
  readonly port: number;
  /** Every transport that got through its handshake, and why the others did not. */
  readonly transports: Transport[];
  readonly failures: unknown[];
}

/** A server of ours on loopback that serves the three commands to anybody. */
async function serve(change: Partial<TransportOptions> = {}): Promise<Served> {
  const transports: Transport[] = [];
  const failures: unknown[] = [];
  const server = createServer((socket) => {
    openTransport(socket, { ...serverOptions, ...change }, signal).then(
      (transport) => {
        transports.push(transport);
        return serveExec(transport);
      },
      (error: unknown) => failures.push(error),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    transports,
    failures,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await Promise.all(transports.map((transport) => transport[Symbol.asyncDispose]()));
    },
  };
}

function ssh(port: number, options: readonly string[], command: string, input?: Uint8Array): Promise<Ran> {
  const own = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', ...options];
  const argv = [
    'ssh',
    '-F',
    'none',
    '-T',
    ...own.flatMap((option) => ['-o', option]),
    '-p',
    String(port),
    'x@127.0.0.1',
  ];
  return run([...argv, command], input === undefined ? {} : { input });
}

async function openTo(port: number, change: Partial<TransportOptions> = {}, address = '127.0.0.1'): Promise<Transport> {
  return openTransport(connect(port, address), { ...clientOptions, ...change }, signal);
}

describe("OpenSSH's ssh", () => {
  test.each([
    ['curve25519-sha256', 'aes128-gcm@openssh.com', 'ssh-ed25519', ''],
    ['curve25519-sha256@libssh.org', 'aes256-gcm@openssh.com', 'rsa-sha2-512', ''],
    ['ecdh-sha2-nistp256', 'aes128-ctr', 'rsa-sha2-256', 'hmac-sha2-256-etm@openssh.com'],
    ['ecdh-sha2-nistp384', 'aes192-ctr', 'ecdsa-sha2-nistp384', 'hmac-sha2-512-etm@openssh.com'],
    ['ecdh-sha2-nistp521', 'aes256-ctr', 'ecdsa-sha2-nistp521', 'hmac-sha2-512-etm@openssh.com'],
    ['curve25519-sha256', 'chacha20-poly1305@openssh.com', 'ecdsa-sha2-nistp256', ''],
    ['curve25519-sha256', 'aes128-ctr', 'ssh-ed25519', 'hmac-sha2-256'],
    ['curve25519-sha256', 'aes256-ctr', 'ssh-ed25519', 'hmac-sha2-512'],
  ])('%s, %s, %s: data both ways', async (kex, cipher, hostKey, mac) => {
    await using server = await serve({ algorithms: { cipher: [cipher] } });
    const macs = mac === '' ? [] : [`MACs=${mac}`];
    const options = [`KexAlgorithms=${kex}`, `Ciphers=${cipher}`, `HostKeyAlgorithms=${hostKey}`, ...macs];
    const input = pattern(0, 300_000);
    const ran = await ssh(server.port, options, 'echo', input);
    expect([ran.code, ran.output.equals(input)], ran.stderr).toEqual([0, true]);
    expect(server.transports[0]?.negotiated).toEqual({
      kex,
      hostKey,
      cipherIn: cipher,
      cipherOut: cipher,
      macIn: mac,
      macOut: mac,
      strict: true,
    });
  });

  test('unconfigured: it picks AES-CTR, and a bulk session moves to AES-GCM by itself', async () => {
    await using server = await serve();
    const ran = await ssh(server.port, [], 'source 8000000');
    expect([ran.code, ran.output.equals(pattern(0, 8 * megabytes))], ran.stderr).toEqual([0, true]);
    const [transport] = server.transports;
    expect(transport?.negotiated).toMatchObject({
      cipherOut: 'aes128-gcm@openssh.com',
      cipherIn: 'aes128-gcm@openssh.com',
    });
    expect(transport?.rekeys).toEqual({ ours: 1, theirs: 0 });
  });

  test.each(['aes128-gcm@openssh.com', 'aes128-ctr', 'chacha20-poly1305@openssh.com'])(
    '%s: rekeys that ssh starts and rekeys that we start, in both directions of bulk',
    async (cipher) => {
      const algorithms = { cipher: [cipher] };
      const input = pattern(0, 12 * megabytes);
      for (const [theirs, ours] of [
        ['RekeyLimit=1M', 2 ** 30],
        ['RekeyLimit=default', 1_000_000],
      ] as const) {
        await using server = await serve({ algorithms, limits: { rekeyBytes: ours } });
        const down = await ssh(server.port, [`Ciphers=${cipher}`, theirs], 'source 12000000');
        expect([down.code, down.output.equals(input)], down.stderr).toEqual([0, true]);
        const up = await ssh(server.port, [`Ciphers=${cipher}`, theirs], 'sink', input);
        expect([up.code, up.stdout], up.stderr).toEqual([0, patternHash(12 * megabytes)]);
        for (const { rekeys } of server.transports)
          expect(theirs === 'RekeyLimit=1M' ? rekeys.theirs : rekeys.ours).toBeGreaterThanOrEqual(3);
        expect(server.transports.length).toBe(2);
      }
    },
  );

  test('ssh-keyscan reads every host key', async () => {
    await using server = await serve();
    const ran = await run(['ssh-keyscan', '-p', String(server.port), '127.0.0.1']);
    const types = ran.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' ')[1]);
    expect(new Set(types)).toEqual(new Set(['ecdsa-sha2-nistp256', 'ssh-ed25519', 'ssh-rsa']));
  });

  test('a pinned host key is accepted, another one refused by ssh before it says who it is', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'transport-'));
    await using server = await serve();
    const blob = serverOptions.hostKeys?.[0]?.publicKey ?? new Uint8Array(0);
    const file = join(folder.path, 'known_hosts');
    const pinned = async (line: string): Promise<Ran> => {
      await writeFile(file, `[127.0.0.1]:${server.port} ${line}\n`);
      return run([
        'ssh',
        '-F',
        'none',
        '-T',
        '-o',
        'StrictHostKeyChecking=yes',
        '-o',
        `UserKnownHostsFile=${file}`,
        '-o',
        'BatchMode=yes',
        '-p',
        String(server.port),
        'x@127.0.0.1',
        'source 10',
      ]);
    };
    expect((await pinned(formatKeyLine(blob, ''))).code).toBe(0);
    const other = await pinned(`ssh-ed25519 ${Buffer.from(blob).fill(7, 30).toString('base64')}`);
    expect([other.code, other.stderr]).toEqual([255, expect.stringContaining('Host key verification failed')]);
  });
});

describe("OpenSSH's sshd", () => {
  const me = fullMachines ? 'ana' : userInfo().username;
  const signer = signerFromPrivateKey(keys['ssh-ed25519'] ?? Object.values(keys)[0]!);
  let machine: Machine;
  beforeAll(async () => {
    machine = await startMachine({
      name: 'transport-01',
      users: [{ name: me, authorizedKeys: [formatKeyLine(signer.publicKey, 'test')] }],
      hostKeyTypes: ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa-2048'],
      sshd: ['MaxStartups 100'],
    });
  });
  afterAll(() => machine[Symbol.asyncDispose]());

  test.each([
    ['curve25519-sha256', 'aes128-gcm@openssh.com', 'ssh-ed25519'],
    ['curve25519-sha256@libssh.org', 'aes256-gcm@openssh.com', 'rsa-sha2-512'],
    ['ecdh-sha2-nistp256', 'aes128-ctr', 'rsa-sha2-256'],
    ['ecdh-sha2-nistp384', 'aes192-ctr', 'ecdsa-sha2-nistp384'],
    ['ecdh-sha2-nistp521', 'aes256-ctr', 'ecdsa-sha2-nistp521'],
    ['curve25519-sha256', 'chacha20-poly1305@openssh.com', 'ecdsa-sha2-nistp256'],
  ])('%s, %s, %s: the pinned key is shown, data both ways', async (kex, cipher, hostKey) => {
    const shown: string[] = [];
    await using transport = await openTo(
      machine.port,
      {
        algorithms: { kex: [kex], cipher: [cipher] },
        hostKeyAlgorithms: [hostKey],
        checkHostKey: (key) => {
          shown.push(formatKeyLine(key, '').trim());
          return true;
        },
      },
      machine.address,
    );
    expect(machine.hostKeys.map((line) => line.split(' ').slice(0, 2).join(' '))).toContain(shown[0]);
    expect(transport.negotiated).toMatchObject({ kex, hostKey, cipherIn: cipher, cipherOut: cipher, strict: true });
    expect(transport.peerExtensions.has('server-sig-algs')).toBe(true);
    const ran = await runCommand(transport, me, [signer], 'cat', 500_000);
    expect([ran.bytes, ran.hash]).toEqual([500_000, patternHash(500_000)]);
  });

  test('rekeys that sshd starts and rekeys that we start, in both directions of bulk', async () => {
    await machine.restartSshd({ sshd: ['RekeyLimit 1M'] });
    await using theirs = await openTo(machine.port, {}, machine.address);
    expect(await runCommand(theirs, me, [signer], 'cat', 10 * megabytes)).toMatchObject({
      hash: patternHash(10 * megabytes),
    });
    expect(theirs.rekeys.theirs).toBeGreaterThanOrEqual(3);
    await machine.restartSshd({ sshd: [] });
    await using ours = await openTo(machine.port, { limits: { rekeyBytes: megabytes } }, machine.address);
    expect(await runCommand(ours, me, [signer], 'cat', 10 * megabytes)).toMatchObject({
      hash: patternHash(10 * megabytes),
    });
    expect(ours.rekeys.ours).toBeGreaterThanOrEqual(3);
  });
});

describe('npm ssh2', () => {
  test.each([
    ['curve25519-sha256', 'aes128-gcm@openssh.com', 'ssh-ed25519'],
    ['ecdh-sha2-nistp384', 'aes256-ctr', 'rsa-sha2-256'],
    ['ecdh-sha2-nistp521', 'chacha20-poly1305@openssh.com', 'ecdsa-sha2-nistp384'],
  ] as const)('as client: %s, %s, %s, with our rekeys', async (kex, cipher, serverHostKey) => {
    await using server = await serve({ algorithms: { cipher: [cipher] }, limits: { rekeyBytes: megabytes } });
    const client = new ssh2.Client();
    client.connect({
      host: '127.0.0.1',
      port: server.port,
      username: 'x',
      algorithms: {
        kex: [kex],
        cipher: [cipher],
        serverHostKey: [serverHostKey],
        hmac: ['hmac-sha2-256-etm@openssh.com'],
      },
    });
    await once(client, 'ready');
    const output = await new Promise<Buffer>((resolve, reject) => {
      client.exec('source 12000000', (error, stream) => {
        if (error) return reject(error);
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('close', () => resolve(Buffer.concat(chunks)));
      });
    });
    expect(output.equals(pattern(0, 12 * megabytes))).toBe(true);
    expect(server.transports[0]?.rekeys.ours).toBeGreaterThanOrEqual(3);
    client.end();
  });

  test('as server: data both ways, with our rekeys', async () => {
    const pem = keys['ecdsa-sha2-nistp256']?.export({ type: 'sec1', format: 'pem' }) ?? '';
    const server = new ssh2.Server({ hostKeys: [pem] }, (connection) => {
      connection.on('error', () => {});
      connection.on('authentication', (context) => context.accept());
      connection.on('session', (accept) => {
        accept().on('exec', (take) => {
          const stream = take();
          stream.on('data', (chunk: Buffer) => stream.write(chunk));
          stream.on('end', () => {
            stream.exit(0);
            stream.end();
          });
        });
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    await using transport = await openTo((server.address() as AddressInfo).port, { limits: { rekeyBytes: megabytes } });
    expect(await runCommand(transport, 'x', [], 'cat', 5 * megabytes)).toMatchObject({
      hash: patternHash(5 * megabytes),
    });
    expect(transport.rekeys.ours).toBeGreaterThanOrEqual(3);
    server.close();
  });
});

// A machine without Go runs russh's comparison (ssh-russh.test.ts) and says that this one was left out.
const goFolder = await mkdtempDisposable(join(tmpdir(), 'go-ssh-'));
const program = await buildGoPeer(goFolder.path);
afterAll(() => goFolder[Symbol.asyncDispose]());

function againstGo(program: string): void {
  const combinations = [
    ['mlkem768x25519-sha256', 'aes128-gcm@openssh.com'],
    ['mlkem768x25519-sha256', 'chacha20-poly1305@openssh.com'],
    ['curve25519-sha256', 'aes256-gcm@openssh.com'],
    ['ecdh-sha2-nistp256', 'aes128-ctr'],
  ] as const;

  test.each(combinations)('as client: %s, %s, rekeys of both sides', async (kex, cipher) => {
    for (const [theirs, ours] of [
      [megabytes, 2 ** 30],
      [0, megabytes],
    ] as const) {
      await using server = await serve({ algorithms: { cipher: [cipher] }, limits: { rekeyBytes: ours } });
      const go = (...command: string[]): Promise<Ran> =>
        run([program, 'client', `127.0.0.1:${server.port}`, kex, cipher, String(theirs), ...command]);
      const down = await go('source 12000000');
      expect([down.code, down.stdout], down.stderr).toEqual([0, patternHash(12 * megabytes)]);
      const up = await go('sink', String(12 * megabytes));
      expect([up.code, up.stdout], up.stderr).toEqual([0, patternHash(12 * megabytes)]);
      for (const transport of server.transports) {
        expect(transport.negotiated).toMatchObject({ kex, strict: true });
        expect(theirs > 0 ? transport.rekeys.theirs : transport.rekeys.ours).toBeGreaterThanOrEqual(3);
      }
    }
  });

  test.each(combinations)('as server: %s, %s, rekeys of both sides', async (kex, cipher) => {
    const child = spawn(program, ['server', kex, cipher, String(megabytes)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const port = Number(line.split(':')[1]);
    await using theirs = await openTo(port);
    const down = await runCommand(theirs, 'x', [], 'source 12000000');
    expect([down.bytes, down.hash]).toEqual([12 * megabytes, patternHash(12 * megabytes)]);
    expect(theirs.negotiated).toMatchObject({ kex, cipherIn: cipher, strict: true });
    expect(theirs.rekeys.theirs).toBeGreaterThanOrEqual(3);
    await using ours = await openTo(port, { limits: { rekeyBytes: 300_000 } });
    expect((await runCommand(ours, 'x', [], 'sink', 12 * megabytes)).text).toBe(patternHash(12 * megabytes));
    expect(ours.rekeys.ours).toBeGreaterThanOrEqual(3);
    child.stdin.end();
    await once(child, 'close');
  });
}

if (program !== undefined) describe("Go's x/crypto/ssh", () => againstGo(program));
