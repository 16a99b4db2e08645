/** The certificate by which other nodes know our database: what it says, and that a TLS client that pins it is content. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { expect, test } from 'vitest';
import { makeCertificate } from '../../src/db/embedded/certificate.ts';
import { run } from '../lab/run.ts';

test('it stands for itself, and for nobody else’s key', () => {
  const { certificate } = makeCertificate('sallyport');
  const read = new X509Certificate(certificate);
  expect(read.subject).toBe('CN=sallyport');
  expect(read.ca).toBe(true);
  expect(read.verify(read.publicKey)).toBe(true);
  expect(read.verify(new X509Certificate(makeCertificate('sallyport').certificate).publicKey)).toBe(false);
  expect(new Date(read.validTo).getFullYear()).toBe(9999);
});

test('another reader of certificates finds no fault with it', async () => {
  const { certificate } = makeCertificate('sallyport');
  await using folder = await mkdtempDisposable(join(tmpdir(), 'certificate-'));
  const file = join(folder.path, 'server.pem');
  await writeFile(file, certificate);
  expect((await run(['openssl', 'verify', '-CAfile', file, '-purpose', 'sslserver', file])).stdout).toBe(
    `${file}: OK\n`,
  );
  const text = await run(['openssl', 'x509', '-noout', '-text'], { input: certificate });
  expect(text.stdout).toMatch(/CA:TRUE, pathlen:0/);
});

test('who pins it connects, who pins another one does not', async () => {
  const own = makeCertificate('sallyport');
  const server = createServer({ cert: own.certificate, key: own.privateKey }, (socket) => socket.end('hello'));
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const dial = async (ca: string): Promise<string> => {
    const socket = connect({ host: '127.0.0.1', port, ca, checkServerIdentity: () => undefined });
    return new Promise((resolve) => {
      socket.once('secureConnect', () => resolve('connected'));
      socket.once('error', (error) => resolve(error.message));
    }).finally(() => socket.destroy()) as Promise<string>;
  };
  expect(await dial(own.certificate)).toBe('connected');
  expect(await dial(makeCertificate('sallyport').certificate)).not.toBe('connected');
  server.close();
});
