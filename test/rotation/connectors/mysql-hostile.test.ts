/** The mysql connector and servers that want the password itself: none of them gets it without TLS. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import type { Place } from '../../../src/rotation/connectors/connector.ts';
import { mysql } from '../../../src/rotation/connectors/mysql.ts';
import { never } from '../room.ts';

const word = 'Canary.Value-1';

/** A server that greets, asks for another plugin, and keeps all that it hears. */
async function hostile(
  greeting: string,
  ask: string,
): Promise<AsyncDisposable & { place: Place; heard: () => Buffer }> {
  const chunks: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    const packet = (sequence: number, body: Buffer): void => {
      const head = Buffer.from([body.length & 255, body.length >> 8, 0, sequence]);
      socket.write(Buffer.concat([head, body]));
    };
    const text = (value: string): Buffer => Buffer.from(`${value}\0`);
    const salt = Buffer.alloc(20, 'x');
    packet(
      0,
      Buffer.concat([
        Buffer.from([10]),
        text('8.0.36'),
        Buffer.from([1, 0, 0, 0]),
        salt.subarray(0, 8),
        // Capabilities without TLS, utf8mb4, status, the length of the salt, reserved.
        Buffer.from([0, 0xff, 0xf7, 45, 2, 0, 0xff, 0x80, 21, ...Buffer.alloc(10)]),
        salt.subarray(8),
        Buffer.from([0]),
        text(greeting),
      ]),
    );
    let asked = false;
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (asked) return socket.end();
      asked = true;
      packet(2, Buffer.concat([Buffer.from([0xfe]), text(ask), salt, Buffer.from([0])]));
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return {
    place: {
      protocol: 'mysql',
      address: '127.0.0.1',
      port: bound.port,
      hostKeys: [],
      tls: { kind: 'off' },
      settings: {},
    },
    heard: () => Buffer.concat(chunks),
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

test.for([
  ['mysql_native_password', 'mysql_clear_password'],
  ['mysql_native_password', 'sha256_password'],
  ['mysql_native_password', 'caching_sha2_password'],
  ['mysql_native_password', 'dialog'],
  ['mysql_native_password', 'constructor'],
  ['mysql_clear_password', 'mysql_clear_password'],
  ['sha256_password', 'sha256_password'],
  ['caching_sha2_password', 'caching_sha2_password'],
] as const)(
  'greeted with %s and asked for %s it says no more than a name and a scramble',
  async ([greeting, plugin]) => {
    await using server = await hostile(greeting, plugin);
    const login = { user: 'app', credential: { kind: 'password', secret: Secret.fromText(word) } } as const;
    const answer = await mysql.verify({ place: server.place, account: 'app@%', settings: {} }, login, never);
    expect(answer).toMatchObject({ answer: 'unknown', class: 'unsupported' });
    expect(server.heard().includes('app')).toBe(true);
    expect(server.heard().includes(word)).toBe(false);
  },
);

test('a server without TLS gets nothing where TLS was declared', async () => {
  await using server = await hostile('mysql_native_password', 'mysql_clear_password');
  const place: Place = { ...server.place, tls: { kind: 'verify' } };
  const login = { user: 'app', credential: { kind: 'password', secret: Secret.fromText(word) } } as const;
  const answer = await mysql.verify({ place, account: 'app@%', settings: {} }, login, never);
  expect(answer).toMatchObject({ answer: 'unknown', class: 'certificate' });
  expect(server.heard()).toHaveLength(0);
});
