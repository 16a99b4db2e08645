/** Logging in: factors, what stands in the way, and that nobody learns which it was. */
import { generate } from 'otplib';
import { expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import {
  barOf,
  enrolTotp,
  knowsKey,
  removeTotp,
  setDisabled,
  setPassword,
  submitFactor,
  type Verdict,
} from '../../src/identity/identity.ts';
import { hashesMade } from '../../src/identity/password.ts';
import {
  audited,
  begin,
  counted,
  goodPassword,
  key,
  operator,
  password,
  people,
  person,
  signature,
  totp,
  tryPassword,
} from './people.ts';

const wrongAnswer: Verdict = { kind: 'refused', next: ['publickey', 'password'] };

test('the right password is let in, and the audit trail knows by what', async () => {
  await using room = await people();
  await person(room.db, 'alice', { roles: ['password-user'] });
  const verdict = await tryPassword(room.context, 'ALICE', goodPassword);
  expect(verdict.kind).toBe('accepted');
  if (verdict.kind !== 'accepted') return;
  expect(verdict.identity).toMatchObject({
    name: 'alice',
    roles: ['password-user'],
    factors: ['password'],
    mustChange: false,
  });
  const [event] = await audited(room.db, 'identity.login.succeeded');
  expect(event).toMatchObject({
    actor: { kind: 'user', name: 'alice', address: '192.0.2.10' },
    details: { factors: ['password'] },
  });
});

test('unknown, disabled, expired, elsewhere, without password: one answer, one amount of work, and the reason only in the audit trail', async () => {
  await using room = await people();
  const { db, context, clock } = room;
  await person(db, 'wrong');
  await person(db, 'disabled', { disabled: true });
  await person(db, 'expired', { expiresAt: new Date(clock.now()) });
  await person(db, 'elsewhere', { sources: ['10.0.0.0/8'] });
  await person(db, 'keyonly', {}, null);
  const answers: unknown[] = [];
  for (const [name, text] of [
    ['wrong', 'not the right password'],
    ['unknown', goodPassword],
    ['disabled', goodPassword],
    ['expired', goodPassword],
    ['elsewhere', goodPassword],
    ['keyonly', goodPassword],
  ] as const) {
    const before = hashesMade();
    answers.push(await tryPassword(context, name, text));
    expect(hashesMade() - before, name).toBe(1);
  }
  expect(answers).toEqual(answers.map(() => wrongAnswer));
  const reasons = (await audited(db, 'identity.login.refused')).map((event) => event.details['code']);
  expect(reasons).toEqual([
    'identity.password-wrong',
    'identity.user-unknown',
    'identity.user-disabled',
    'identity.user-expired',
    'identity.source-outside',
    'identity.password-wrong',
  ]);
});

test('a name that nobody has is not written into the audit trail', async () => {
  await using room = await people();
  await tryPassword(room.context, 'hunter2-typed-in-the-wrong-line', 'x');
  const [event] = await audited(room.db, 'identity.login.refused');
  expect(JSON.stringify(event)).not.toContain('hunter2');
});

test('a user who expires is denied from that minute on', async () => {
  await using room = await people();
  const { db, context, clock } = room;
  const end = Date.parse('2026-12-01T12:00:00Z');
  await person(db, 'alice', { expiresAt: new Date(end) });
  clock.set(end - 1);
  expect((await tryPassword(context, 'alice', goodPassword)).kind).toBe('accepted');
  clock.set(end);
  expect(await tryPassword(context, 'alice', goodPassword)).toEqual(wrongAnswer);
});

test.each<readonly [string, boolean]>([
  ['192.0.2.10', true],
  ['::ffff:192.0.2.10', true],
  ['192.0.3.1', false],
  ['2001:db8::5', true],
  ['2001:db9::5', false],
  ['not an address', false],
])('from %s: let in %s', (address, letIn) => {
  const user = {
    disabled: false,
    expiresAt: undefined,
    lockedUntil: undefined,
    sources: ['192.0.2.0/24', '2001:db8::/32'],
  };
  expect(barOf(user, address, 0)).toBe(letIn ? undefined : 'source');
});

test('a key is a factor: known, signed by this key, for this user', async () => {
  await using room = await people();
  const [own, foreign] = [await key('own'), await key('foreign')];
  await person(room.db, 'alice', { publicKeys: [own.line] }, null);
  await person(room.db, 'bob', {}, null);
  const login = begin(room.context, 'alice');
  expect(await knowsKey(login, own.signer.publicKey)).toBe(true);
  expect(await knowsKey(login, foreign.signer.publicKey)).toBe(false);
  expect(await knowsKey(begin(room.context, 'nobody'), own.signer.publicKey)).toBe(false);
  expect(await submitFactor(login, await signature(foreign, 'alice@root@web-01'))).toEqual(wrongAnswer);
  expect(await submitFactor(login, await signature(own, 'bob@root@web-01'))).toEqual(wrongAnswer);
  expect(await submitFactor(login, { ...(await signature(own, 'alice')), user: 'alice@x' })).toEqual(wrongAnswer);
  expect((await submitFactor(login, await signature(own, 'Alice@root@web-01'))).kind).toBe('accepted');
  expect(await submitFactor(login, await signature(own, 'alice'))).toEqual({ kind: 'refused', next: [] });
});

test('an e-mail address is a user however it is written in the signed login name', async () => {
  await using room = await people();
  const own = await key();
  await person(room.db, 'ann@corp.example', { publicKeys: [own.line] }, null);
  for (const signed of ['ann@corp.example@root@web-01', 'ann%40corp.example@web-01']) {
    expect((await submitFactor(begin(room.context, 'ann@corp.example'), await signature(own, signed))).kind).toBe(
      'accepted',
    );
  }
  expect((await submitFactor(begin(room.context, 'ann@corp.example'), await signature(own, 'ann@web-01'))).kind).toBe(
    'refused',
  );
});

test('with a second factor the first is only partial, a code is taken once, and the step before it not any more', async () => {
  await using room = await people();
  const { db, vault, context, clock } = room;
  clock.set(Date.parse('2026-11-21T12:00:15Z'));
  await person(db, 'alice');
  using uri = await enrolTotp(db, vault, 'alice', operator);
  expect(uri.revealText()).toMatch(/^otpauth:\/\/totp\/Sallyport:alice\?secret=[A-Z2-7]{32}&/);
  const secret = new URL(uri.revealText()).searchParams.get('secret') ?? '';
  const codeAt = async (shift: number): Promise<string> =>
    await generate({ secret, epoch: clock.now() / 1000 + shift });
  const second = async (code: string): Promise<Verdict> => {
    const login = begin(context, 'alice');
    expect(await submitFactor(login, password(goodPassword))).toEqual({ kind: 'partial', next: ['totp'] });
    return await submitFactor(login, totp(code));
  };
  expect((await second('000000')).kind).toBe('refused');
  expect((await second(await codeAt(-60))).kind).toBe('refused');
  expect((await second(await codeAt(-30))).kind).toBe('accepted');
  expect((await second(await codeAt(0))).kind).toBe('accepted');
  expect((await second(await codeAt(0))).kind).toBe('refused');
  expect((await second(await codeAt(-30))).kind).toBe('refused');
  clock.set(clock.now() + 30_000);
  const accepted = await second(await codeAt(30));
  expect(accepted.kind === 'accepted' && accepted.identity.factors).toEqual(['password', 'totp']);
  const codes = (await audited(db, 'identity.login.refused')).map((event) => event.details['code']);
  expect(codes).toEqual([
    'identity.totp-wrong',
    'identity.totp-wrong',
    'identity.totp-replayed',
    'identity.totp-replayed',
  ]);
  await removeTotp(db, 'alice', operator);
  expect((await tryPassword(context, 'alice', goodPassword)).kind).toBe('accepted');
});

test('a code is no first factor, and a password no second', async () => {
  await using room = await people();
  await person(room.db, 'alice');
  using _uri = await enrolTotp(room.db, room.vault, 'alice', operator);
  const login = begin(room.context, 'alice');
  expect(await submitFactor(login, totp('123456'))).toEqual(wrongAnswer);
  expect((await submitFactor(login, password(goodPassword))).kind).toBe('partial');
  expect(await submitFactor(login, password(goodPassword))).toEqual({ kind: 'refused', next: ['totp'] });
});

test('of two logins with one code at the same moment, one is let in', async () => {
  await using room = await people();
  await person(room.db, 'alice');
  using uri = await enrolTotp(room.db, room.vault, 'alice', operator);
  const secret = new URL(uri.revealText()).searchParams.get('secret') ?? '';
  const code = await generate({ secret, epoch: room.clock.now() / 1000 });
  const logins = [begin(room.context, 'alice'), begin(room.context, 'alice'), begin(room.context, 'alice')];
  for (const login of logins) await submitFactor(login, password(goodPassword));
  const kinds = (await Promise.all(logins.map(async (login) => (await submitFactor(login, totp(code))).kind))).sort();
  expect(kinds).toEqual(['accepted', 'refused', 'refused']);
});

test('who is disabled between two factors does not come in', async () => {
  await using room = await people();
  await person(room.db, 'alice');
  using uri = await enrolTotp(room.db, room.vault, 'alice', operator);
  const secret = new URL(uri.revealText()).searchParams.get('secret') ?? '';
  const login = begin(room.context, 'alice');
  await submitFactor(login, password(goodPassword));
  await setDisabled(room.db, 'alice', true, operator);
  const code = await generate({ secret, epoch: room.clock.now() / 1000 });
  expect((await submitFactor(login, totp(code))).kind).toBe('refused');
});

test('a password that must be changed says so, to those who came with it', async () => {
  await using room = await people();
  const own = await key();
  await person(room.db, 'alice', { publicKeys: [own.line] });
  using other = Secret.fromText('another long sentence');
  await setPassword(room.db, 'alice', other, { mustChange: true }, operator);
  const byPassword = await tryPassword(room.context, 'alice', 'another long sentence');
  const byKey = await submitFactor(begin(room.context, 'alice'), await signature(own, 'alice'));
  expect(byPassword.kind === 'accepted' && byPassword.identity.mustChange).toBe(true);
  expect(byKey.kind === 'accepted' && byKey.identity.mustChange).toBe(false);
});

test('a password is stored as argon2id with 64 MiB and three passes, and nowhere else', async () => {
  await using room = await people();
  await person(room.db, 'alice');
  const row = await room.db.selectFrom('users').selectAll().where('name', '=', 'alice').executeTakeFirstOrThrow();
  expect(row.password_hash).toMatch(/^\$argon2id\$v=19\$m=65536,t=3,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
  expect(JSON.stringify(await audited(room.db, 'identity.password.changed'))).not.toContain(goodPassword);
});

test('a code that is no text is a wrong one, and audited', async () => {
  await using room = await people();
  await person(room.db, 'alice');
  using _ = await enrolTotp(room.db, room.vault, 'alice', operator);
  const login = begin(room.context, 'alice');
  expect(await submitFactor(login, password(goodPassword))).toMatchObject({ kind: 'partial' });
  const code = new Secret(Uint8Array.of(0xff, 0xfe));
  expect(await submitFactor(login, { kind: 'totp', code })).toMatchObject({ kind: 'refused' });
  expect((await audited(room.db, 'identity.login.refused'))[0]?.details).toMatchObject({ code: 'identity.totp-wrong' });
});

test('whether a user exists is not told by how much the database is asked about a key', async () => {
  await using room = await people();
  await person(room.db, 'alice');
  const { signer } = await key();
  const questions = async (name: string): Promise<number> => {
    const { db, asked } = counted(room.db);
    expect(await knowsKey(begin({ ...room.context, db }, name), signer.publicKey)).toBe(false);
    return asked();
  };
  expect(await questions('nobody')).toBe(await questions('alice'));
});
