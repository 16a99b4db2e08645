import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import { openTransport, signerFromPrivateKey } from '../../../src/protocol/ssh/ssh.ts';
import { encodeService } from '../../../src/protocol/ssh/wire/auth.ts';
import { dialSsh } from '../../../src/proxy/ssh/back.ts';

const never = new AbortController().signal;

afterEach(() => {
  vi.useRealTimers();
});

test('a target that takes the login and never answers it is given up after a minute', async () => {
  const signer = signerFromPrivateKey(generateKeyPairSync('ed25519').privateKey);
  const asked = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on('error', () => {});
    void openTransport(socket, { role: 'server', version: 'SSH-2.0-Silent', hostKeys: [signer] }, never).then(
      async (transport) => {
        await transport.next(never);
        transport.send(encodeService('accept', 'ssh-userauth'));
        await transport.next(never);
        asked.resolve();
      },
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { port } = server.address() as AddressInfo;
  const back = await dialSsh(
    { address: '127.0.0.1', port, hostKeyTypes: [], target: 'silent' } as never,
    { id: 'session' } as never,
    { keeper: { 'hostkey.check': async () => ({ verdict: 'trusted' }) } } as never,
    never,
  );
  using secret = Secret.fromText('not for silent ones');
  let over = false;
  const login = back.logIn('deploy', { kind: 'password', secret, [Symbol.dispose]: () => {} }, never);
  const refused = expect(login).rejects.toMatchObject({ code: 'proxy.target-unreachable' });
  void login.catch(() => {
    over = true;
  });
  await asked.promise;
  await vi.advanceTimersByTimeAsync(59_999);
  expect(over).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await refused;
  vi.useRealTimers();
  server.close();
  await back[Symbol.asyncDispose]();
});
