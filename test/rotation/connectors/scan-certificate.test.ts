/** What a server for RDP shows before anybody has trusted it: its certificate, and every answer that is none. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scanCertificate } from '../../../src/rotation/connectors/scan-certificate.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-scan-'));
const confirm = '030000130ed000001234000200080001000000';
let cert = '';
let key = '';

beforeAll(() => {
  const argv = 'req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=win-01 -days 2'.split(' ');
  execFileSync('openssl', argv, { cwd: folder, stdio: 'ignore' });
  cert = readFileSync(join(folder, 'c.pem'), 'utf8');
  key = readFileSync(join(folder, 'k.pem'), 'utf8');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Scans a server that answers the first message as `speak` does. */
async function scan(speak: (socket: Socket) => void, signal = AbortSignal.timeout(10_000)) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => speak(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await scanCertificate('127.0.0.1', (server.address() as AddressInfo).port, signal);
  } finally {
    server.close();
  }
}

function secure(socket: Socket): void {
  new TLSSocket(socket, { isServer: true, cert, key }).on('error', () => {});
}

test('the certificate of a server is seen, also when its first answer comes in pieces', async () => {
  const bytes = Buffer.from(confirm, 'hex');
  const answers = [
    await scan((socket) => {
      socket.write(bytes);
      secure(socket);
    }),
    await scan((socket) => {
      socket.write(bytes.subarray(0, 3), () => {
        socket.write(bytes.subarray(3));
        secure(socket);
      });
    }),
  ];
  const words = new X509Certificate(cert).raw.toString('base64');
  for (const answer of answers) expect(answer).toEqual({ outcome: 'confirmed', class: 'none', words });
});

test.each<[string, string]>([
  ['refuses TLS', '030000130ed000001234000300080002000000'],
  ['speaks no TLS inside', '030000130ed000001234000200080000000000'],
  ['speaks something else', Buffer.from('SSH-2.0-something-else').toString('hex')],
])('a server that %s has none', async (_, hex) => {
  expect(await scan((socket) => socket.write(Buffer.from(hex, 'hex')))).toMatchObject({ outcome: 'failed' });
});

test('a server that hangs up has none', async () => {
  expect(await scan((socket) => socket.end())).toMatchObject({ outcome: 'failed' });
});

test('a server that says nothing is left when the signal fires', async () => {
  await expect(scan(() => {}, AbortSignal.timeout(200))).rejects.toThrow();
});
