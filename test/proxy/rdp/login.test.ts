import { expect, test } from 'vitest';
import { Secret } from '../../../src/base/secret.ts';
import { beginLogin, submitPassword } from '../../../src/proxy/rdp/login.ts';
import { stage } from '../stage.ts';

async function factorsOf(password: string, verdicts: readonly string[], domain = ''): Promise<unknown[]> {
  let asked = 0;
  const seen: unknown[] = [];
  using it = stage({
    'login.begin': () => ({ login: 'l1', next: ['password'] }),
    'login.factor': ({ factor }: { factor: { kind: string; secret?: Uint8Array; code?: Uint8Array } }) => {
      seen.push([factor.kind, Buffer.from(factor.secret ?? factor.code ?? []).toString()]);
      return { verdict: verdicts[asked++] ?? 'refused', next: [] };
    },
  });
  const signal = new AbortController().signal;
  const login = await beginLogin(it.place.keeper, { address: '192.0.2.1', port: 1 }, { user: 'alice', domain }, signal);
  using secret = Secret.fromText(password);
  seen.push((await submitPassword(it.place.keeper, login, secret, signal))?.wish);
  return seen;
}

const alice = { user: 'alice' };

test('what looks like a connection token is given as one', async () => {
  expect(await factorsOf('abcd-efgh-ijkm-npqr-stuv-wxyz-2345', ['accepted'])).toEqual([
    ['token', 'abcd-efgh-ijkm-npqr-stuv-wxyz-2345'],
    alice,
  ]);
});

test('a password is a password, and a code behind a comma its second factor', async () => {
  expect(await factorsOf('correct horse', ['accepted'])).toEqual([['password', 'correct horse'], alice]);
  expect(await factorsOf('correct horse,123456', ['partial', 'accepted'])).toEqual([
    ['password', 'correct horse'],
    ['totp', '123456'],
    alice,
  ]);
});

test('a password that needs a code and comes without one lets nobody in', async () => {
  expect(await factorsOf('correct horse', ['partial'])).toEqual([['password', 'correct horse'], undefined]);
  expect(await factorsOf('wrong,123456', ['refused'])).toEqual([['password', 'wrong'], undefined]);
});

test('a password that ends like a code but has no comma is taken whole', async () => {
  expect(await factorsOf('secret123456', ['accepted'])).toEqual([['password', 'secret123456'], alice]);
});

test('a domain is where a password wants to go; a token knows better than what the client filled in', async () => {
  const target = { ...alice, target: 'desktop-1', guessed: true };
  expect((await factorsOf('correct horse', ['accepted'], 'DESKTOP-1')).at(-1)).toEqual(target);
  expect((await factorsOf('correct horse,123456', ['partial', 'accepted'], 'DESKTOP-1')).at(-1)).toEqual(target);
  expect((await factorsOf('abcd-efgh-ijkm-npqr-stuv-wxyz-2345', ['accepted'], 'DESKTOP-1')).at(-1)).toEqual(alice);
});
