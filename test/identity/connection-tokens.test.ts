/** Connection tokens: what they are bound to, that one is used once, and by whom it may be used again. */
import { createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { AccountId, TargetId } from '../../src/base/ids.ts';
import { isRefusal } from '../../src/base/errors.ts';
import { newId } from '../../src/base/new-id.ts';
import { targetNamed } from '../../src/estate/estate.ts';
import {
  beginLogin,
  interceptedLogin,
  liveTokens,
  type Login,
  type LoginContext,
  type Minted,
  mintToken,
  pruneTokens,
  submitFactor,
  submitNtlm,
  userNamed,
} from '../../src/identity/identity.ts';
import type { NtlmClaim } from '../../src/protocol/ntlm/ntlm.ts';
import { ntHash } from '../../src/protocol/ntlm/ntlm.ts';
import { accountNamed } from '../../src/vault/vault.ts';
import { desktops, type Place } from '../access/place.ts';
import { audited, counted, operator, password } from './people.ts';

let room: Place;
beforeAll(async () => {
  room = await desktops();
});
afterAll(async () => await room[Symbol.asyncDispose]());
beforeEach(async () => {
  await room.db.deleteFrom('connection_token').execute();
  await room.db.updateTable('users').set({ failures: 0, locked_until: null, disabled: false }).execute();
});

const from = '192.0.2.10';
const minute = 60_000;

interface Wish {
  readonly source?: string;
  readonly minutes?: number;
  readonly user?: string;
}

async function tryMint(wish: Wish = {}): Promise<Awaited<ReturnType<typeof mintToken>>> {
  const { db, vault, clock } = room;
  const user = await userNamed(db, wish.user ?? 'alice');
  const target = await targetNamed(db, 'win-01');
  const account = await accountNamed(db, 'admin@win-01');
  const [service] = target?.services ?? [];
  if (user === undefined || target === undefined || account === undefined || service === undefined) throw new Error();
  const place = { target: target.id, account: account.id, service: service.id };
  const { source, minutes = 10 } = wish;
  const words = { userName: user.name, label: account.label, serviceName: service.name };
  const request = { user: user.id, ...place, ...words, minutes, ...(source === undefined ? {} : { source }) };
  return await mintToken(db, vault, request, clock.now(), operator);
}

async function mint(wish: Wish = {}): Promise<Minted> {
  const minted = await tryMint(wish);
  if (isRefusal(minted)) throw new Error(minted.reason);
  return minted;
}

function begin(user = 'alice', address = from, context: LoginContext = room.context): Login {
  return beginLogin(context, { user, address, protocol: 'rdp' });
}

const bring = (login: Login, token: Secret) => submitFactor(login, { kind: 'token', token: token.copy() });

/** What a client sends that was given this password (MS-NLMP §3.3.2), as it computes it, and the key that it then has. */
function claimOf(typed: string, user = 'alice', domain = ''): NtlmClaim & { readonly key: Buffer } {
  const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Buffer => {
    const out = createHmac('md5', key);
    for (const part of parts) out.update(part);
    return out.digest();
  };
  using secret = Secret.fromText(typed);
  using hash = ntHash(secret);
  const owf = hmac(hash.reveal(), Buffer.from(user.toUpperCase() + domain, 'utf16le'));
  const serverChallenge = randomBytes(8);
  const blob = randomBytes(60);
  const proof = hmac(owf, serverChallenge, blob);
  return { user, domain, serverChallenge, proof, blob, key: hmac(owf, proof) };
}

test('a token has 140 random bits in groups that can be typed, and only what cannot be turned around is stored', async () => {
  const { token } = await mint();
  expect(token.revealText()).toMatch(/^([a-km-np-z2-9]{4}-){6}[a-km-np-z2-9]{4}$/);
  const row = await room.db.selectFrom('connection_token').selectAll().executeTakeFirstOrThrow();
  using hash = ntHash(token);
  const stored = Buffer.concat([row.lookup, row.nt_hash]);
  expect(stored.includes(Buffer.from(token.reveal()))).toBe(false);
  expect(stored.includes(Buffer.from(hash.reveal()))).toBe(false);
});

test('its proof by NTLM gives the session base key, and then the token itself ends the login', async () => {
  const { token } = await mint();
  const login = begin();
  const claim = claimOf(token.revealText(), 'Alice%admin%win-01', 'CORP');
  const key = await submitNtlm(login, claim);
  expect(key === undefined ? undefined : Buffer.from(key.reveal())).toEqual(claim.key);
  expect(login.next).toEqual(['token']);
  const verdict = await bring(login, token);
  expect(verdict).toMatchObject({ kind: 'accepted', identity: { name: 'alice', factors: ['token'] } });
  expect((await audited(room.db, 'identity.token.used')).at(-1)?.details).toEqual({ user: 'alice', reconnect: false });
});

test('of several tokens the proof finds the one that made it; after a proof no other token is taken', async () => {
  const [first, second] = [await mint(), await mint()];
  const login = begin();
  expect(await submitNtlm(login, claimOf(second.token.revealText()))).toBeDefined();
  expect(await bring(login, first.token)).toMatchObject({ kind: 'refused' });
  expect(await submitFactor(login, password('a long enough sentence'))).toMatchObject({ kind: 'refused' });
  expect(await bring(login, second.token)).toMatchObject({ kind: 'accepted' });
  expect(await bring(begin(), first.token)).toMatchObject({ kind: 'accepted' });
});

test('a proof consumes nothing: clients try, and ask again', async () => {
  const { token } = await mint();
  for (let i = 0; i < 3; i++) expect(await submitNtlm(begin(), claimOf(token.revealText()))).toBeDefined();
  expect(await bring(begin(), token)).toMatchObject({ kind: 'accepted' });
});

test('a login that somebody stood in the way of is over, is told to the trail, and costs neither token nor attempt', async () => {
  const { token } = await mint();
  const login = begin();
  expect(await submitNtlm(login, claimOf(token.revealText()))).toBeDefined();
  await interceptedLogin(login);
  expect(await bring(login, token)).toMatchObject({ kind: 'refused', next: [] });
  expect((await audited(room.db, 'identity.login.refused')).at(-1)?.details).toMatchObject({
    user: 'alice',
    code: 'identity.intercepted',
    reason: `token from ${from}`,
  });
  const counted = await room.db.selectFrom('users').select('failures').where('name', '=', 'alice').executeTakeFirst();
  expect(counted).toEqual({ failures: 0 });
  expect(await bring(begin(), token)).toMatchObject({ kind: 'accepted' });
});

test('a wrong proof counts like a wrong password and locks, and costs no token', async () => {
  const { token } = await mint();
  for (let i = 0; i < 5; i++) expect(await submitNtlm(begin(), claimOf('abcd-abcd'))).toBeUndefined();
  expect((await userNamed(room.db, 'alice'))?.lockedUntil).toBeDefined();
  expect(await submitNtlm(begin(), claimOf(token.revealText()))).toBeUndefined();
  expect((await audited(room.db, 'identity.login.refused')).at(-1)?.details).toMatchObject({
    user: 'alice',
    factor: 'token',
    code: 'identity.user-locked',
    client: 'rdp',
  });
  await room.db.updateTable('users').set({ failures: 0, locked_until: null }).execute();
  expect(await bring(begin(), token)).toMatchObject({ kind: 'accepted' });
});

test('a right proof does not count', async () => {
  const { token } = await mint();
  await submitNtlm(begin(), claimOf('wrong'));
  for (let i = 0; i < 6; i++) expect(await submitNtlm(begin(), claimOf(token.revealText()))).toBeDefined();
  expect((await userNamed(room.db, 'alice'))?.lockedUntil).toBeUndefined();
  const row = await room.db.selectFrom('users').select('failures').where('name', '=', 'alice').executeTakeFirst();
  expect(row?.failures).toBe(1);
});

test('who is unknown, disabled or without tokens costs the same questions as who has some', async () => {
  await mint();
  const ask = async (user: string): Promise<number> => {
    const { db, asked } = counted(room.db);
    await submitNtlm(begin(user, from, { ...room.context, db }), claimOf('wrong', user));
    return asked();
  };
  const known = await ask('alice');
  expect([await ask('nobody-of-that-name'), await ask('bob')]).toEqual([known, known]);
});

test('a token of somebody else proves nothing', async () => {
  const { token } = await mint({ user: 'bob' });
  expect(await submitNtlm(begin('alice'), claimOf(token.revealText()))).toBeUndefined();
  expect(await bring(begin('alice'), token)).toMatchObject({ kind: 'refused' });
  expect(await bring(begin('bob'), token)).toMatchObject({ kind: 'accepted' });
});

test('of two logins that bring one token at once, from two addresses, one gets it', async () => {
  const { token } = await mint();
  const verdicts = await Promise.all([bring(begin('alice', from), token), bring(begin('alice', '192.0.2.11'), token)]);
  expect(verdicts.map(({ kind }) => kind).sort()).toEqual(['accepted', 'refused']);
});

test('its own client comes back with it for two minutes, and nobody else', async () => {
  const at = room.clock.now();
  const { token } = await mint();
  expect(await bring(begin(), token)).toMatchObject({ kind: 'accepted' });
  room.clock.set(at + 2 * minute - 1);
  expect(await submitNtlm(begin('alice', '192.0.2.11'), claimOf(token.revealText()))).toBeUndefined();
  expect(await bring(begin('alice', '192.0.2.11'), token)).toMatchObject({ kind: 'refused' });
  const again = begin();
  expect(await submitNtlm(again, claimOf(token.revealText()))).toBeDefined();
  expect(await bring(again, token)).toMatchObject({ kind: 'accepted', identity: { token: { reconnect: true } } });
  room.clock.set(at + 2 * minute);
  expect(await bring(begin(), token)).toMatchObject({ kind: 'refused' });
  room.clock.set(at);
});

test('a token expires after its minutes, of which there are 10 unless told, and 60 at most', async () => {
  const at = room.clock.now();
  const { token, expiresAt } = await mint();
  expect(expiresAt.getTime()).toBe(at + 10 * minute);
  room.clock.set(at + 10 * minute);
  expect(await submitNtlm(begin(), claimOf(token.revealText()))).toBeUndefined();
  expect(await bring(begin(), token)).toMatchObject({ kind: 'refused' });
  room.clock.set(at);
  for (const minutes of [0, 61, 1.5, Number.NaN])
    expect(await tryMint({ minutes })).toMatchObject({ code: 'identity.token-minutes' });
  expect(isRefusal(await tryMint({ minutes: 60 }))).toBe(false);
});

test('a token with a source is worth nothing from elsewhere', async () => {
  const { token } = await mint({ source: '192.0.2.20' });
  expect(await submitNtlm(begin(), claimOf(token.revealText()))).toBeUndefined();
  expect(await bring(begin(), token)).toMatchObject({ kind: 'refused' });
  expect(await bring(begin('alice', '192.0.2.20'), token)).toMatchObject({ kind: 'accepted' });
});

test('an address is the same in whatever way it is written', async () => {
  for (const [source, seen, again] of [
    ['192.0.2.20', '::ffff:192.0.2.20', '192.0.2.20'],
    ['2001:DB8:0::1', '2001:db8::1', '2001:0db8::0:1'],
  ] as const) {
    const { token } = await mint({ source });
    expect(await submitNtlm(begin('alice', seen), claimOf(token.revealText()))).toBeDefined();
    expect(await bring(begin('alice', seen), token)).toMatchObject({ kind: 'accepted' });
    expect(await bring(begin('alice', again), token)).toMatchObject({ kind: 'accepted' });
  }
});

test('at most twenty live tokens a user, also when they are asked for at once; used ones make room', async () => {
  const made = await Promise.all(Array.from({ length: 24 }, () => tryMint()));
  const tokens = made.flatMap((one) => (isRefusal(one) ? [] : [one]));
  expect(tokens).toHaveLength(20);
  expect(made.find(isRefusal)).toMatchObject({ code: 'identity.token-limit' });
  const [first] = tokens;
  if (first === undefined) throw new Error();
  // The twentieth and the first are both found by their proofs.
  for (const { token } of tokens) expect(await submitNtlm(begin(), claimOf(token.revealText()))).toBeDefined();
  expect(await bring(begin(), first.token)).toMatchObject({ kind: 'accepted' });
  expect(isRefusal(await tryMint())).toBe(false);
});

test('typed without hyphens or in capitals it is taken, where the client sends the text itself', async () => {
  const { token } = await mint();
  using typed = Secret.fromText(` ${token.revealText().replaceAll('-', '').toUpperCase()}`);
  expect(await bring(begin(), typed)).toMatchObject({ kind: 'accepted' });
});

test('bytes that are no text, nothing, or very much are a wrong token', async () => {
  for (const bytes of [new Uint8Array(), Uint8Array.of(0xff, 0xfe), new Uint8Array(4096).fill(97)])
    expect(await submitFactor(begin(), { kind: 'token', token: new Secret(bytes) })).toMatchObject({ kind: 'refused' });
});

test('a login over ssh takes no token', async () => {
  const { token } = await mint();
  const login = beginLogin(room.context, { user: 'alice', address: from, protocol: 'ssh' });
  expect(login.next).toEqual(['publickey', 'password']);
  expect(await bring(login, token)).toMatchObject({ kind: 'refused' });
});

test('a client of RDP may log in with a password too', async () => {
  expect(begin().next).toEqual(['token', 'password']);
  expect(await submitFactor(begin(), password('a long enough sentence'))).toMatchObject({ kind: 'accepted' });
});

/** A row of a session that this token opened. */
async function sessionOf(token: Minted, at: number): Promise<void> {
  await room.db
    .insertInto('session')
    .values({
      id: newId(),
      authorization_id: newId(),
      user_id: null,
      user_name: 'alice',
      account_id: null as AccountId | null,
      account_name: 'admin',
      target_id: null as TargetId | null,
      target_name: 'win-01',
      service_id: null,
      protocol: 'rdp',
      subprotocols: ['rdp'],
      record_content: false,
      gate_id: 'g',
      peer_address: from,
      opened_at: new Date(at),
      live_at: null,
      ended_at: null,
      outcome: null,
      detail: null,
      recording_id: null,
      until: null,
      kill_reason: null,
      connection_token_id: token.id,
    })
    .execute();
}

test('a used one is good while its session lives, for twelve hours at most', async () => {
  const { db, clock } = room;
  const at = clock.now();
  const [used, held] = [await mint(), await mint()];
  for (const { token } of [used, held]) await bring(begin(), token);
  await sessionOf(held, at);
  clock.set(at + 3 * minute);
  expect(await bring(begin(), used.token)).toMatchObject({ kind: 'refused' });
  expect((await liveTokens(db, clock.now())).map(({ id }) => id)).toEqual([held.id]);
  clock.set(at + 12 * 60 * minute - 1);
  const back = { kind: 'accepted', identity: { token: { reconnect: true } } };
  expect(await bring(begin(), held.token)).toMatchObject(back);
  clock.set(at + 12 * 60 * minute);
  expect(await submitNtlm(begin(), claimOf(held.token.revealText()))).toBeUndefined();
  expect(await bring(begin(), held.token)).toMatchObject({ kind: 'refused' });
  clock.set(at + 3 * minute);
  expect(await bring(begin(), held.token)).toMatchObject(back);
  await db
    .updateTable('session')
    .set({ state: 'ended', ended_at: new Date(), outcome: 'closed' })
    .where('connection_token_id', '=', held.id)
    .execute();
  expect(await bring(begin(), held.token)).toMatchObject({ kind: 'refused' });
  clock.set(at);
});

test('what nobody could use any more for hours is removed', async () => {
  const { db, clock } = room;
  const at = clock.now();
  await mint();
  await sessionOf(await mint(), at);
  expect(await pruneTokens(db, at + 24 * 60 * minute - 1)).toBe(0);
  expect(await pruneTokens(db, at + 24 * 60 * minute)).toBe(2);
});

describe('a token that is over', () => {
  const failures = async (): Promise<number | undefined> =>
    (await room.db.selectFrom('users').select('failures').where('name', '=', 'alice').executeTakeFirst())?.failures;

  test.each<[string, Wish, (token: Secret) => Promise<unknown>, number]>([
    ['used up', {}, async (token) => await bring(begin(), token), 2 * minute],
    ['too late', {}, async () => {}, 10 * minute],
    ['for another address', { source: '192.0.2.20' }, async () => {}, 0],
  ])('is refused like a wrong one when it is %s, but locks nobody out', async (_, wish, happens, later) => {
    const at = room.clock.now();
    const { token } = await mint(wish);
    await happens(token);
    room.clock.set(at + later);
    const wrong = await bring(begin(), Secret.fromText('aaaa-aaaa'));
    await room.db.updateTable('users').set({ failures: 4 }).where('name', '=', 'alice').execute();
    expect(await bring(begin(), token)).toEqual(wrong);
    expect(await submitNtlm(begin(), claimOf(token.revealText()))).toBeUndefined();
    expect(await failures()).toBe(4);
    expect((await userNamed(room.db, 'alice'))?.lockedUntil).toBeUndefined();
    const refused = (await audited(room.db, 'identity.login.refused')).slice(-2);
    expect(refused.map(({ details }) => details['code'])).toEqual(['identity.token-wrong', 'identity.token-wrong']);
    expect(await bring(begin(), Secret.fromText('aaaa-aaaa'))).toEqual(wrong);
    expect((await userNamed(room.db, 'alice'))?.lockedUntil).toBeDefined();
    room.clock.set(at);
  });

  test('costs the same questions as one that never was', async () => {
    const { token } = await mint({ source: '192.0.2.20' });
    const ask = async (text: string): Promise<number[]> => {
      const { db, asked } = counted(room.db);
      const login = begin('alice', from, { ...room.context, db });
      await submitNtlm(login, claimOf(text));
      const proof = asked();
      await bring(login, Secret.fromText(text));
      return [proof, asked() - proof];
    };
    expect(await ask(token.revealText())).toEqual(await ask('aaaa-aaaa'));
  });
});

test('a token that was altered in the database opens nothing, and the alarm is raised', async () => {
  const [one, other] = [await mint(), await mint()];
  const rows = await room.db.selectFrom('connection_token').select(['id', 'nt_hash']).execute();
  const sealed = rows.find((row) => row.id === other.id)?.nt_hash;
  if (sealed === undefined) throw new Error();
  await room.db.updateTable('connection_token').set({ nt_hash: sealed }).where('id', '=', one.id).execute();
  await expect(submitNtlm(begin(), claimOf(other.token.revealText()))).rejects.toMatchObject({
    code: 'vault.tampered',
  });
  expect(await audited(room.db, 'vault.credential.tampered')).not.toEqual([]);
});
