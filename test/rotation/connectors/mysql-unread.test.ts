/**
 * Servers whose administrator may not read what is kept: logins are tried only where the server locks nobody for refused
 * ones. A stand-in for versions that are not at hand; the real MariaDB is asked in test/e2e/rotation-mariadb.test.ts.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { mysql } from '../../../src/rotation/connectors/mysql.ts';
import { never } from '../room.ts';
import { password } from './machine.ts';

/** Lets everybody in, and answers each statement by an error with this number, or by hanging up. */
async function server(version: string, errors: (statement: string) => number | 'cut') {
  let logins = 0;
  const listener = createServer((socket) => {
    logins++;
    socket.on('error', () => {});
    const packet = (sequence: number, body: Buffer): void => {
      socket.write(Buffer.concat([Buffer.from([body.length & 255, body.length >> 8, 0, sequence]), body]));
    };
    const text = (value: string): Buffer => Buffer.from(`${value}\0`);
    const salt = Buffer.alloc(20, 'x');
    // Protocol 10, capabilities without TLS, utf8mb4, status, the length of the salt, reserved.
    const rest = Buffer.from([0, 0xff, 0xf7, 45, 2, 0, 0xff, 0x80, 21, ...Buffer.alloc(10)]);
    const head = [Buffer.from([10]), text(version), Buffer.from([1, 0, 0, 0])];
    const tail = [salt.subarray(0, 8), rest, salt.subarray(8), Buffer.from([0]), text('mysql_native_password')];
    packet(0, Buffer.concat([...head, ...tail]));
    let inside = false;
    socket.on('data', (chunk: Buffer) => {
      if (!inside) {
        inside = true;
        return packet(2, Buffer.from([0, 0, 0, 2, 0, 0, 0]));
      }
      if (chunk[4] !== 3) return socket.end();
      const number = errors(chunk.subarray(5).toString('latin1'));
      if (number === 'cut') return socket.destroy();
      packet(1, Buffer.from([0xff, number & 255, number >> 8, ...Buffer.from('#42000denied')]));
    });
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const bound = listener.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  const { port } = bound;
  const place = {
    protocol: 'mysql',
    address: '127.0.0.1',
    port,
    hostKeys: [],
    tls: { kind: 'off' },
    settings: {},
  } as const;
  return {
    place,
    logins: () => logins,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await once(listener, 'close');
    },
  };
}

const mayNot = 1142;
const noSuchVariable = 1193;

test.for([
  ['MySQL 8, whose accounts may have FAILED_LOGIN_ATTEMPTS', '8.0.36', () => mayNot, 1, 'permission'],
  ['MySQL 5.7, which locks nobody', '5.7.44', () => mayNot, 2, 'permission'],
  [
    'MariaDB without max_password_errors',
    '5.5.5-10.3.39-MariaDB',
    (statement: string) => (statement.includes('max_password_errors') ? noSuchVariable : mayNot),
    2,
    'permission',
  ],
  ['MariaDB that does not say', '5.5.5-10.11.6-MariaDB', () => mayNot, 1, 'permission'],
  ['a server that hangs up', '5.5.5-10.11.6-MariaDB', () => 'cut' as const, 1, 'cut'],
] as const)('%s', async ([, version, errors, logins, kind]) => {
  await using stand = await server(version, errors);
  const task = { place: stand.place, account: 'app@%', settings: {} };
  const admin = { user: 'manager@%', credential: password('Manager.Pass-1') };
  const each = await mysql.adminverify(task, admin, [password('one'), password('two')], 10, never);
  expect(each).toHaveLength(2);
  for (const one of each) expect(one).toMatchObject({ answer: 'unknown', class: kind });
  expect(stand.logins(), 'the administrator, and whoever was tried').toBe(logins);
});
