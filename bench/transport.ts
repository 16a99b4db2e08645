/**
 * MB/s and CPU seconds per GB of our transport over loopback: one process sends, one receives, each its own CPU time.
 *
 *     node bench/transport.ts [cipher] [megabytes] [payload bytes]
 */
import { fork } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { openTransport, signerFromPrivateKey } from '../src/protocol/ssh/ssh.ts';

const cipher = process.argv[2] ?? 'aes128-gcm@openssh.com';
const megabytes = Number(process.argv[3] ?? 2000);
const size = Number(process.argv[4] ?? 32777);
const version = 'SSH-2.0-Bench';
const never = new AbortController().signal;
const algorithms = { cipher: [cipher] };

function report(who: string, bytes: number, since: bigint, cpu: NodeJS.CpuUsage): void {
  const seconds = Number(process.hrtime.bigint() - since) / 1e9;
  const { user, system } = process.cpuUsage(cpu);
  const perGb = (user + system) / 1e6 / (bytes / 1e9);
  console.log(
    `${who}: ${(bytes / 1e6 / seconds).toFixed(0)} MB/s, ${perGb.toFixed(2)} CPU s/GB (${((system / (user + system)) * 100).toFixed(0)} % system)`,
  );
}

async function receive(port: number): Promise<void> {
  const options = { role: 'client', version, algorithms, checkHostKey: () => true } as const;
  const transport = await openTransport(connect(port, '127.0.0.1'), options, never);
  const since = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  let bytes = 0;
  transport.relay((payload) => {
    bytes += payload.length;
  });
  await transport.ended;
  report('receiver', bytes, since, cpu);
}

async function main(): Promise<void> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const server = createServer((socket) => void serve(socket));
  async function serve(socket: Socket): Promise<void> {
    const options = { role: 'server', version, algorithms, hostKeys: [signerFromPrivateKey(privateKey)] } as const;
    const transport = await openTransport(socket, options, never);
    const since = process.hrtime.bigint();
    const cpu = process.cpuUsage();
    const payload = Buffer.alloc(size, 94);
    const total = megabytes * 1e6;
    let sent = 0;
    const more = (): void => {
      while (sent < total && !transport.congested) {
        transport.send(payload);
        sent += size;
      }
      if (sent >= total) void transport.disconnect(11, 'done').then(() => report(`sender ${cipher}`, sent, since, cpu));
    };
    transport.onDrain(more);
    more();
    server.close();
  }
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    fork(import.meta.filename, [cipher, String(megabytes), String(size)], {
      env: { ...process.env, BENCH_PORT: String(port) },
    });
  });
}

const port = process.env['BENCH_PORT'];
await (port === undefined ? main() : receive(Number(port)));
