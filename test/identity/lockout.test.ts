/** Wrong passwords lock, over all entry points together, however they are sent. */
import { expect, test } from 'vitest';
import { enrolTotp, submitFactor, unlock } from '../../src/identity/identity.ts';
import {
  audited,
  begin,
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

const quarter = 15 * 60 * 1000;

test('five wrong passwords over several gates lock the user everywhere, with the answer of a wrong password', async () => {
  await using room = await people();
  const { db, clock } = room;
  const own = await key();
  await person(db, 'alice', { publicKeys: [own.line] });
  const gates = [room.context, { ...room.context, db: await room.another() }];
  const answers: unknown[] = [];
  for (let n = 0; n < 5; n++) answers.push(await tryPassword(gates[n % 2] ?? room.context, 'alice', `wrong ${n}`));
  for (const gate of gates) answers.push(await tryPassword(gate, 'alice', goodPassword));
  answers.push(await submitFactor(begin(room.context, 'alice'), await signature(own, 'alice')));
  expect(answers).toEqual(answers.map(() => ({ kind: 'refused', next: ['publickey', 'password'] })));
  const [locked, ...more] = await audited(db, 'identity.login.locked');
  expect(locked?.details).toMatchObject({ user: 'alice', failures: 5 });
  expect(more).toEqual([]);
  clock.set(clock.now() + quarter - 1);
  expect((await tryPassword(room.context, 'alice', goodPassword)).kind).toBe('refused');
  clock.set(clock.now() + 1);
  expect((await tryPassword(room.context, 'alice', goodPassword)).kind).toBe('accepted');
});

test('ten guesses at once are five guesses', async () => {
  await using room = await people();
  await person(room.db, 'alice');
  const guesses = Array.from({ length: 10 }, async (_, n) => await tryPassword(room.context, 'alice', `guess ${n}`));
  await Promise.all(guesses);
  const codes = (await audited(room.db, 'identity.login.refused')).map((event) => event.details['code']);
  expect(codes.filter((code) => code === 'identity.password-wrong')).toHaveLength(5);
  expect(codes.filter((code) => code === 'identity.user-locked')).toHaveLength(5);
});

test('a complete login forgets what went wrong before; four wrong ones do not lock', async () => {
  await using room = await people();
  await person(room.db, 'alice');
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 4; n++) await tryPassword(room.context, 'alice', 'wrong');
    expect((await tryPassword(room.context, 'alice', goodPassword)).kind).toBe('accepted');
  }
});

test('a right password does not buy new guesses at the second factor', async () => {
  await using room = await people();
  await person(room.db, 'alice');
  using _uri = await enrolTotp(room.db, room.vault, 'alice', operator);
  const kinds: string[] = [];
  for (let n = 0; n < 6; n++) {
    const login = begin(room.context, 'alice');
    kinds.push((await submitFactor(login, password(goodPassword))).kind);
    if (kinds.at(-1) === 'partial') await submitFactor(login, totp('000000'));
  }
  expect(kinds).toEqual(['partial', 'partial', 'partial', 'partial', 'partial', 'refused']);
  expect(await audited(room.db, 'identity.login.locked')).toHaveLength(1);
});

test('an administrator unlocks', async () => {
  await using room = await people();
  await person(room.db, 'alice');
  for (let n = 0; n < 5; n++) await tryPassword(room.context, 'alice', 'wrong');
  expect((await tryPassword(room.context, 'alice', goodPassword)).kind).toBe('refused');
  await unlock(room.db, 'alice', operator);
  expect((await tryPassword(room.context, 'alice', goodPassword)).kind).toBe('accepted');
  expect(await audited(room.db, 'identity.login.unlocked')).toHaveLength(1);
});
