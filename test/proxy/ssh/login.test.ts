/** The login as the gate carries it: the name read as a selector, factors to the keeper, its verdicts back. */
import { describe, expect, test } from 'vitest';
import { text, utf8 } from '../../../src/base/bytes.ts';
import { refuse } from '../../../src/base/errors.ts';
import { Secret } from '../../../src/base/secret.ts';
import type { Keeper } from '../../../src/link/link.ts';
import { keeperLogin } from '../../../src/proxy/ssh/login.ts';
import { type Stage, stage } from '../stage.ts';

const never = new AbortController().signal;
const peer = { address: '192.0.2.9', port: 5000 };
type Factor = Parameters<Keeper['login.factor']>[0]['factor'];
type Next = ('password' | 'publickey' | 'totp')[];

/** A keeper that wants a password or a key and then, if told so, a code. */
function keeper(second: Next = []): Stage & { readonly factors: Factor[] } {
  const factors: Factor[] = [];
  const first: Next = ['publickey', 'password'];
  const judge = (factor: Factor): { verdict: string; next: Next } => {
    factors.push({ ...factor, ...('secret' in factor ? { secret: factor.secret.slice() } : {}) });
    if (factor.kind === 'password' && text(factor.secret) !== 'right') return { verdict: 'refused', next: first };
    if (factor.kind === 'totp') return { verdict: 'accepted', next: [] };
    return second.length > 0 ? { verdict: 'partial', next: second } : { verdict: 'accepted', next: [] };
  };
  const around = stage({
    'login.begin': () => ({ login: 'l1', next: first }),
    'login.knowsKey': ({ publicKey }: { publicKey: Uint8Array }) => ({ known: publicKey[0] === 1 }),
    'login.factor': ({ factor }: { factor: Factor }) => judge(factor),
  });
  return { ...around, factors };
}

test('the login name is read from the right, and the keeper is asked about the person only', async () => {
  using it = keeper();
  const login = keeperLogin(it.place.keeper, peer);
  const begun = await login.begin('ann@corp@root@web-01,alt', () => {}, never);
  expect(it.asked).toEqual([
    { name: 'login.begin', fields: { user: 'ann@corp', address: '192.0.2.9', port: 5000, protocol: 'ssh' } },
  ]);
  expect(login.selector).toEqual({ user: 'ann@corp', account: 'root', target: 'web-01', service: 'alt' });
  expect([login.handle, begun.next]).toEqual(['l1', ['publickey', 'password', 'keyboard-interactive']]);
});

test.each(['@web-01', 'a\u0000b', 'ana@web 01', 'x'.repeat(800)])(
  'a login name that is none (%j) goes the same way, to nobody',
  async (name) => {
    using it = keeper();
    const login = keeperLogin(it.place.keeper, peer);
    expect((await login.begin(name, () => {}, never)).next).toEqual(['publickey', 'password', 'keyboard-interactive']);
    expect([login.selector, it.asked[0]?.fields['user']]).toEqual([undefined, '']);
  },
);

/** A login that has begun, as `ana@web-01`. */
async function begun(it: Stage): Promise<ReturnType<typeof keeperLogin>> {
  const login = keeperLogin(it.place.keeper, peer);
  await login.begin('ana@web-01', () => {}, never);
  return login;
}

describe('a factor', () => {
  test('is the keeper’s to judge: accepted, or refused with what may be tried', async () => {
    using it = keeper();
    const login = await begun(it);
    using wrong = Secret.fromText('wrong');
    using right = Secret.fromText('right');
    const next = ['publickey', 'password', 'keyboard-interactive'];
    expect(await login.password('ana', wrong, never)).toEqual({ kind: 'refused', next });
    expect(await login.password('ana', right, never)).toEqual({ kind: 'accepted' });
    expect(await login.none('ana', never)).toEqual({ kind: 'refused', next: [] });
  });

  test('that is right and not enough leaves the code, by keyboard-interactive', async () => {
    using it = keeper(['totp']);
    const login = await begun(it);
    using right = Secret.fromText('right');
    expect(await login.password('ana', right, never)).toEqual({ kind: 'partial', next: ['keyboard-interactive'] });
  });

  test('that the keeper will not look at is refused like a wrong one', async () => {
    using it = stage({
      'login.begin': () => ({ login: 'l1', next: ['password'] }),
      'login.factor': () => refuse('keeper.unknown-handle', 'too late'),
      'login.knowsKey': () => refuse('keeper.unknown-handle', 'too late'),
    });
    const login = await begun(it);
    using right = Secret.fromText('right');
    expect(await login.password('ana', right, never)).toMatchObject({ kind: 'refused' });
    expect(await login.publickeyQuery('ana', 'ssh-ed25519', Uint8Array.of(1), never)).toBe(false);
  });

  test('by a key carries the parts that the keeper puts together itself', async () => {
    using it = keeper();
    const login = await begun(it);
    expect(await login.publickeyQuery('ana', 'ssh-ed25519', Uint8Array.of(1), never)).toBe(true);
    expect(await login.publickeyQuery('ana', 'ssh-ed25519', Uint8Array.of(2), never)).toBe(false);
    const claim = {
      algorithm: 'ssh-ed25519',
      blob: Uint8Array.of(1),
      signature: Uint8Array.of(2),
      signedData: utf8('what the gate says was signed'),
      sessionId: Uint8Array.of(3),
    };
    expect(await login.publickey('ana@web-01', claim, never)).toEqual({ kind: 'accepted' });
    expect(it.factors).toEqual([
      {
        kind: 'publickey',
        algorithm: 'ssh-ed25519',
        publicKey: Uint8Array.of(1),
        signature: Uint8Array.of(2),
        sessionId: Uint8Array.of(3),
        user: 'ana@web-01',
        service: 'ssh-connection',
      },
    ]);
  });
});

describe('keyboard-interactive', () => {
  test('asks for the password, then for the code, and shows neither', async () => {
    using it = keeper(['totp']);
    const login = await begun(it);
    await using talk = await login.keyboardInteractive('ana', '', never);
    using right = Secret.fromText('right');
    using code = Secret.fromText('123456');
    expect(await talk.next(undefined, never)).toEqual({
      kind: 'prompts',
      prompts: [{ text: 'Password: ', echo: false }],
    });
    expect(await talk.next([right], never)).toEqual({
      kind: 'prompts',
      prompts: [{ text: 'One-time code: ', echo: false }],
    });
    expect(await talk.next([code], never)).toEqual({ kind: 'accepted' });
    expect(it.factors.map((factor) => factor.kind)).toEqual(['password', 'totp']);
  });

  test('after a key asks for the code only', async () => {
    using it = keeper(['totp']);
    const login = await begun(it);
    const claim = {
      algorithm: 'a',
      blob: Uint8Array.of(1),
      signature: utf8(''),
      signedData: utf8(''),
      sessionId: utf8(''),
    };
    expect(await login.publickey('ana', claim, never)).toMatchObject({ kind: 'partial' });
    await using talk = await login.keyboardInteractive('ana', '', never);
    expect(await talk.next(undefined, never)).toMatchObject({ prompts: [{ text: 'One-time code: ' }] });
  });

  test('ends with a wrong password, without asking for the code', async () => {
    using it = keeper(['totp']);
    const login = await begun(it);
    await using talk = await login.keyboardInteractive('ana', '', never);
    using wrong = Secret.fromText('wrong');
    await talk.next(undefined, never);
    expect(await talk.next([wrong], never)).toMatchObject({ kind: 'refused' });
  });
});
