/** Two transports of our own over a loopback socket. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import {
  openTransport,
  signerFromPrivateKey,
  type Transport,
  type TransportOptions,
} from '../../../../src/protocol/ssh/ssh.ts';

export const signal: AbortSignal = new AbortController().signal;

export const keys: Readonly<Record<string, KeyObject>> = {
  'ssh-ed25519': generateKeyPairSync('ed25519').privateKey,
  'ecdsa-sha2-nistp256': generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  'ecdsa-sha2-nistp384': generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  'ecdsa-sha2-nistp521': generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  'rsa-sha2-512': generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
};

export const serverOptions: TransportOptions = {
  role: 'server',
  version: 'SSH-2.0-TestServer',
  hostKeys: Object.values(keys).map(signerFromPrivateKey),
};

export const clientOptions: TransportOptions = {
  role: 'client',
  version: 'SSH-2.0-TestClient',
  checkHostKey: () => true,
};

/** Two connected sockets. */
export async function sockets(): Promise<[Socket, Socket]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  server.close();
  return [client, accepted];
}

export interface Pair extends AsyncDisposable {
  readonly client: Transport;
  readonly server: Transport;
}

export async function pair(
  forClient: Partial<TransportOptions> = {},
  forServer: Partial<TransportOptions> = {},
): Promise<Pair> {
  const [near, far] = await sockets();
  const [client, server] = await Promise.all([
    openTransport(near, { ...clientOptions, ...forClient }, signal),
    openTransport(far, { ...serverOptions, ...forServer }, signal),
  ]);
  return {
    client,
    server,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([client[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
    },
  };
}
