/** Which addresses of databases are accepted (P-63). */
import { expect, test } from 'vitest';
import { clientConfig } from '../../src/db/dsn.ts';

test.each([
  'postgres://app@db.example/sallyport',
  'postgres://app@192.0.2.1/sallyport?sslmode=disable',
  'postgres://app@db.example/sallyport?sslmode=require',
  'postgres://app@db.example/sallyport?sslmode=verify-ca',
  'postgres://app@db.example/sallyport?sslmode=no-verify',
  'postgres://app@db.example/sallyport?ssl=true',
  'postgres://app@localhost/sallyport?host=db.example',
  'postgres://app@127.0.0.1.example/sallyport',
  'postgres://app@db.example/sallyport?sslmode=no-verify&sslmode=require',
  'postgres://app@db.example/sallyport?sslmode=disable&uselibpqcompat=true',
])('a server on another machine without verified TLS is refused: %s', (url) => {
  expect(() => clientConfig(url)).toThrow(expect.objectContaining({ code: 'db.remote-without-tls' }));
});

test.each([
  'postgres://app@/sallyport?host=/run/sallyport',
  'postgres://app@localhost/sallyport?host=%2Frun%2Fsallyport',
  'postgres://app@localhost/sallyport',
  'postgres://app@127.0.0.1:5433/sallyport',
  'postgresql://app@[::1]/sallyport',
])('a unix socket and this machine itself need no TLS: %s', (url) => {
  expect(clientConfig(url)).toMatchObject({ user: 'app', database: 'sallyport', ssl: false });
});

test('a server on another machine is accepted when its certificate and name are verified', () => {
  const { host, ssl } = clientConfig('postgres://app:pw@db.example/sallyport?sslmode=verify-full');
  expect(host).toBe('db.example');
  expect(ssl).not.toMatchObject({ rejectUnauthorized: false });
  expect(ssl).not.toBe(false);
});

test.each([
  '',
  'nonsense',
  'postgres://',
  'postgres://app@/sallyport',
  'postgres://host/db',
  'mysql://app@localhost/db',
])('an address that does not say everything is refused, and nothing is taken from the environment: %s', (url) => {
  expect(() => clientConfig(url)).toThrow(expect.objectContaining({ code: 'db.url-invalid' }));
});

test('an address that is refused is not repeated, for it may hold a password', () => {
  for (const url of [
    'postgres://app:hunter2@db.example/s',
    'postgres://app:hunter2@h:99999/s',
    'postgres://app:hunter2@',
  ])
    expect(() => clientConfig(url)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hunter2') }),
    );
});
