/** What a gate is answered about RDP, over a real line: from the proof of NTLM to the certificate of the target. */
import { createHmac, randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isRefusal, type Refusal } from '../../src/base/errors.ts';
import type { GateId } from '../../src/base/ids.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declareAccounts } from '../../src/vault/vault.ts';
import { silent } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secret.ts';
import type { Fields, Reply } from '../../src/contract/contract.ts';
import { presentedCertificate, targetNamed, trustCertificate } from '../../src/estate/estate.ts';
import { openAuthority } from '../../src/keeper/authority.ts';
import { openGates } from '../../src/keeper/gates.ts';
import { serveGates } from '../../src/keeper/link-server.ts';
import { openLiveSessions } from '../../src/keeper/live-sessions.ts';
import type { Rooms } from '../../src/keeper/rooms.ts';
import { rdpAnswers } from '../../src/keeper/routes/rdp.ts';
import { type Keeper, keeperOver, Line } from '../../src/link/link.ts';
import { ntHash } from '../../src/protocol/ntlm/ntlm.ts';
import { desktops, type Place } from '../access/place.ts';
import { audited, goodPassword, operator } from '../identity/people.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-rdp-link-'));
const never = new AbortController().signal;
const stop = new AbortController();
const from = '192.0.2.10';
const grant = {
  name: 'desktops',
  group: 'admins',
  targets: ['win-01'],
  subprotocols: ['rdp', 'clipboard-up'],
  rdp: { idleMinutes: 15 },
} as const;
let room: Place;
let line: Line;
let keeper: Keeper;
let answers: ReturnType<typeof rdpAnswers>;

beforeAll(async () => {
  room = await desktops();
  const gates = openGates();
  const token = randomBytes(32).toString('hex');
  gates.expect({ id: 'g1' as GateId, token });
  const rooms = { ...room, gates, log: silent, version: '0', spool: folder, recordings: folder } as unknown as Rooms;
  const rdp = { address: '127.0.0.1', port: 13389, names: ['gate.corp.example'] };
  const authority = openAuthority({ ...room, log: silent }, rdp);
  const socket = join(folder, 'link.sock');
  const options = { socket, gateUid: undefined, ssh: { address: '127.0.0.1', port: 22 }, rdp, authority };
  await serveGates(rooms, openLiveSessions(rooms), { ...options, events: undefined, hostKeys: [] }, stop.signal);
  answers = rdpAnswers(room, authority, rdp, operator);
  line = new Line(
    connect(socket),
    async () => null,
    () => {},
  );
  keeper = keeperOver(() => line);
  const hello = await keeper['gate.hello']({ token: Buffer.from(token, 'hex'), pid: 1, running: [] }, never);
  if (isRefusal(hello)) throw new Error(hello.reason);
  expect(hello.listeners).toContainEqual({ protocol: 'rdp', address: '127.0.0.1', port: 13389 });
});
afterAll(async () => {
  await line[Symbol.asyncDispose]();
  stop.abort();
  await room[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await room.grant(grant);
  await room.db.deleteFrom('connection_token').execute();
});

function given<T>(answer: T | Refusal): Exclude<T, Refusal> {
  if (isRefusal(answer)) throw new Error(`${answer.code}: ${answer.reason}`);
  return answer as Exclude<T, Refusal>;
}

async function mint(
  fields: Partial<Fields<'connection-token.mint'>> = {},
): Promise<Reply<'connection-token.mint'> | Refusal> {
  const wish = { user: 'alice', account: 'admin', target: 'win-01', ...fields };
  return await answers['connection-token.mint'](wish, () => {}, never);
}

async function begin(user = 'alice'): Promise<string> {
  const begun = await keeper['login.begin']({ user, address: from, port: 5000, protocol: 'rdp' }, never);
  return given(begun).login;
}

function proofOf(typed: string, user: string, domain: string) {
  using secret = Secret.fromText(typed);
  using hash = ntHash(secret);
  const owf = createHmac('md5', hash.reveal())
    .update(user.toUpperCase() + domain, 'utf16le')
    .digest();
  const [serverChallenge, blob] = [randomBytes(8), randomBytes(80)];
  const proof = createHmac('md5', owf).update(serverChallenge).update(blob).digest();
  const key = createHmac('md5', owf).update(proof).digest();
  return { claim: { user, domain, serverChallenge, proof, blob }, key };
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

describe('a client with NLA', () => {
  test('proves its token, brings it, and is told its place and the terms', async () => {
    const { user, token, file, host, port } = given(await mint());
    expect([user, host, port]).toEqual(['alice%admin%win-01', 'gate.corp.example', 13389]);
    expect(Buffer.from(file).toString('utf16le')).not.toContain(token);
    const login = await begin();
    const { claim, key } = proofOf(token, user, 'WORKGROUP');
    expect(Buffer.from(given(await keeper['login.ntlm']({ login, ...claim }, never)).sessionBaseKey)).toEqual(key);
    const factor = { kind: 'token', secret: bytes(token) } as const;
    expect(given(await keeper['login.factor']({ login, factor }, never))).toEqual({ verdict: 'accepted', next: [] });
    expect(given(await keeper.authorize({ login }, never))).toMatchObject({
      protocol: 'rdp',
      user: 'alice',
      account: 'admin',
      domain: 'CORP',
      target: 'win-01',
      address: '192.0.2.3',
      port: 3389,
      hostKeyTypes: [],
      subprotocols: ['rdp', 'clipboard-up'],
      rdp: { security: 'nla', depth: 24, keys: 'masked', idleMinutes: 15 },
    });
  });

  test('with a wrong token is refused and has cost nothing', async () => {
    const { token, user } = given(await mint());
    const login = await begin();
    const { claim } = proofOf('wrong', user, '');
    expect(await keeper['login.ntlm']({ login, ...claim }, never)).toMatchObject({ code: 'keeper.not-allowed' });
    expect(await keeper.authorize({ login }, never)).toMatchObject({ code: 'keeper.not-allowed' });
    const again = await begin();
    expect(isRefusal(await keeper['login.ntlm']({ login: again, ...proofOf(token, user, '').claim }, never))).toBe(
      false,
    );
    // A proof alone is no login.
    expect(await keeper.authorize({ login: again }, never)).toMatchObject({ code: 'keeper.not-allowed' });
  });

  test('cannot lead a token elsewhere', async () => {
    const { token } = given(await mint());
    const login = await begin();
    await keeper['login.factor']({ login, factor: { kind: 'token', secret: bytes(token) } }, never);
    const answer = await keeper.authorize({ login, target: 'win-01', account: 'svc' }, never);
    expect(answer).toMatchObject({ code: 'access.refused' });
  });
});

test.each([
  ['CORP\\svc', 'svc', 'CORP'],
  ['svc@corp.example', 'svc@corp.example', ''],
])('the account %s logs in as %s of the domain %j', async (name, account, domain) => {
  await inTransaction(room.db, (tx) =>
    declareAccounts(tx, [{ name: `${name}@win-01`, kind: 'password' }], { actor: operator, prune: false }),
  );
  const login = await begin();
  await keeper['login.factor']({ login, factor: { kind: 'password', secret: bytes(goodPassword) } }, never);
  const answer = await keeper.authorize({ login, target: 'win-01', account: name, service: 'rdp' }, never);
  expect(given(answer)).toMatchObject({ account, domain });
});

test('a client with TLS alone logs in with a password, and says where it wants to go', async () => {
  const login = await begin();
  const factor = { kind: 'password', secret: bytes(goodPassword) } as const;
  expect(given(await keeper['login.factor']({ login, factor }, never)).verdict).toBe('accepted');
  const answer = await keeper.authorize({ login, target: 'win-01', account: 'svc', service: 'rdp-tls' }, never);
  expect(given(answer)).toMatchObject({ account: 'svc', port: 3390, domain: '', rdp: { security: 'tls' } });
});

describe('a session', () => {
  async function session(service = 'rdp'): Promise<string> {
    const { token } = given(await mint({ service }));
    const login = await begin();
    await keeper['login.factor']({ login, factor: { kind: 'token', secret: bytes(token) } }, never);
    const { authorization } = given(await keeper.authorize({ login }, never));
    return given(await keeper['session.open']({ authorization }, never)).session;
  }

  test('asks about the certificate of its target, and what differs from the trusted one is audited', async () => {
    const authority = openAuthority({ ...room, log: silent }, { address: '127.0.0.1', names: [] });
    const right = new Uint8Array(new X509Certificate((await authority.root()).pem).raw);
    const wrong = Uint8Array.from([...right].reverse());
    const id = await session();
    expect(await keeper['certificate.check']({ session: id, chain: [right] }, never)).toEqual({ verdict: 'unknown' });
    const service = (await targetNamed(room.db, 'win-01'))?.services.find(({ name }) => name === 'rdp');
    if (service === undefined) throw new Error();
    await trustCertificate(room.db, service.id, presentedCertificate(right).blob, operator);
    expect(await keeper['certificate.check']({ session: id, chain: [right] }, never)).toEqual({ verdict: 'trusted' });
    expect(await keeper['certificate.check']({ session: id, chain: [wrong] }, never)).toEqual({ verdict: 'changed' });
    expect((await audited(room.db, 'estate.hostkey.mismatched')).at(-1)?.details).toMatchObject({
      target: 'win-01',
      presented: presentedCertificate(wrong).fingerprint,
      trusted: [presentedCertificate(right).fingerprint],
    });
    await expect(keeper['certificate.check']({ session: id, chain: [] }, never)).rejects.toThrow();
    const nine = Array.from({ length: 9 }, () => right);
    await expect(keeper['certificate.check']({ session: id, chain: nine }, never)).rejects.toThrow();
  });

  test('tells what crosses beside the picture, and the text of a clipboard is not among it', async () => {
    const id = await session();
    const events: Parameters<Keeper['session.event']>[0]['event'][] = [
      { type: 'clipboard.text', direction: 'upload', length: 12, sha256: 'ab' },
      { type: 'clipboard.files', direction: 'download', names: ['a.txt'] },
      { type: 'file.changed', what: 'renamed', path: '\\a', to: '\\b' },
      { type: 'device.announced', kind: 'drive', name: 'home' },
      { type: 'device.refused', kind: 'printer', name: 'laser' },
    ];
    for (const event of events) given(await keeper['session.event']({ session: id, event }, never));
    const types = ['clipboard.text', 'clipboard.files', 'file.changed', 'device.announced', 'device.refused'] as const;
    for (const [i, type] of types.entries()) {
      const { type: _, ...details } = events[i] ?? { type };
      expect((await audited(room.db, `session.${type}`)).at(-1)?.details).toEqual(details);
    }
  });
});

describe('making a token', () => {
  test('is audited, and names whom and what it is for', async () => {
    given(await mint({ minutes: 5, from }));
    expect((await audited(room.db, 'identity.token.minted')).at(-1)).toMatchObject({
      actor: operator,
      details: { user: 'alice', account: 'admin@win-01', service: 'rdp', from },
    });
  });

  test('for whoever may not go there is refused like for nobody', async () => {
    const refused = await mint({ user: 'bob' });
    expect(refused).toMatchObject({ code: 'access.refused' });
    expect(await mint({ user: 'nobody-of-that-name' })).toEqual(refused);
    expect(await mint({ target: 'no-such-target' })).toEqual(refused);
  });

  test('people make tokens for themselves and nobody else', async () => {
    const row = await room.db.selectFrom('users').select('id').where('name', '=', 'alice').executeTakeFirstOrThrow();
    const authority = openAuthority({ ...room, log: silent }, { address: '127.0.0.1', names: [] });
    const rdp = { address: '127.0.0.1', port: 13389, names: [] };
    const wish = { account: 'admin', target: 'win-01' };
    const mintAs = async (id: typeof row.id, name: string, user: string) => {
      const own = rdpAnswers(room, authority, rdp, { kind: 'user', id, name });
      return await own['connection-token.mint']({ user, ...wish }, () => {}, never);
    };
    expect(isRefusal(await mintAs(row.id, 'alice', 'Alice'))).toBe(false);
    const bob = await room.db.selectFrom('users').select('id').where('name', '=', 'bob').executeTakeFirstOrThrow();
    expect(await mintAs(bob.id, 'bob', 'alice')).toEqual(await mint({ user: 'nobody-of-that-name' }));
  });

  test('is refused where no clients of RDP come in', async () => {
    const authority = openAuthority({ ...room, log: silent }, { address: '127.0.0.1', names: [] });
    const off = rdpAnswers(room, authority, undefined, operator);
    const wish = { user: 'alice', account: 'admin', target: 'win-01' };
    await expect(off['connection-token.mint'](wish, () => {}, never)).rejects.toMatchObject({ code: 'keeper.rdp-off' });
  });
});

test('a gate is given the certificate with its key, and a stranger nothing', async () => {
  const { chain, key } = given(await keeper['gate.certificate'](null, never));
  const leaf = new X509Certificate(Buffer.from(chain));
  expect(leaf.checkHost('gate.corp.example')).toBe('gate.corp.example');
  expect(Buffer.from(key).toString()).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  const stranger = new Line(
    connect(join(folder, 'link.sock')),
    async () => null,
    () => {},
  );
  await expect(keeperOver(() => stranger)['gate.certificate'](null, never)).rejects.toThrow();
  await stranger[Symbol.asyncDispose]();
});
