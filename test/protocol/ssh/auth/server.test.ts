/** The server's side of user authentication, message by message. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AuthenticateOptions, AuthOutcome } from '../../../../src/protocol/ssh/auth/authenticator.ts';
import { authenticate } from '../../../../src/protocol/ssh/auth/server.ts';
import { generateKeyPair, signerFromPrivateKey } from '../../../../src/protocol/ssh/keys/signer.ts';
import { parsePrivateKey } from '../../../../src/protocol/ssh/keys/private.ts';
import type { Signer } from '../../../../src/protocol/ssh/types.ts';
import {
  decodeFailure,
  encodeInfoResponse,
  encodeKeyboardRequest,
  encodeNoneRequest,
  encodePasswordRequest,
  encodePublickeyRequest,
  encodeService,
  publickeySignedData,
} from '../../../../src/protocol/ssh/wire/auth.ts';
import { Writer } from '../../../../src/protocol/ssh/wire/writer.ts';
import { type MemoryEnd, memoryTransports } from './memory-transport.ts';
import { people, type Person } from './people.ts';

const never = new AbortController().signal;
const service = 'ssh-connection';
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const password = (word: string, user = 'ana'): Uint8Array => encodePasswordRequest(user, service, utf8(word));

interface Scene {
  readonly client: MemoryEnd;
  readonly diary: string[];
  readonly outcome: Promise<AuthOutcome>;
  /** Sends payloads at once and returns the numbers of as many answers. */
  readonly ask: (...payloads: readonly Uint8Array[]) => Promise<Uint8Array[]>;
}

async function scene(known: Record<string, Person>, options: AuthenticateOptions = {}): Promise<Scene> {
  const { client, server } = memoryTransports();
  const authenticator = people(known);
  const outcome = authenticate(server, authenticator, { refusalMs: 0, probeMs: 0, ...options }, never);
  client.send(encodeService('request', 'ssh-userauth'));
  expect((await client.next(never))?.[0]).toBe(6);
  const ask = async (...payloads: readonly Uint8Array[]): Promise<Uint8Array[]> => {
    for (const payload of payloads) client.send(payload);
    const answers: Uint8Array[] = [];
    while (answers.length < payloads.length) answers.push((await client.next(never)) ?? Uint8Array.of(0));
    return answers;
  };
  return { client, diary: authenticator.diary, outcome, ask };
}

async function someKey(): Promise<Signer> {
  const pair = await generateKeyPair('ed25519');
  const parsed = await parsePrivateKey(pair.privateKeyOpenSsh, undefined, never);
  if ('refused' in parsed) throw new Error(parsed.reason);
  return signerFromPrivateKey(parsed.key);
}

async function signed(signer: Signer, user: string, sessionId: Uint8Array): Promise<Uint8Array> {
  const data = publickeySignedData(sessionId, user, service, 'ssh-ed25519', signer.publicKey);
  const signature = await signer.sign(data, 'ssh-ed25519', never);
  return encodePublickeyRequest(user, service, 'ssh-ed25519', signer.publicKey, signature);
}

test('a right password lets the user in', async () => {
  const { ask, outcome } = await scene({ ana: { password: 'right' } });
  expect((await ask(password('right')))[0]).toEqual(Uint8Array.of(52));
  expect(await outcome).toEqual({ kind: 'accepted', user: 'ana', method: 'password', attempts: 0 });
});

test('six refusals end the connection, and `none` is not counted the first time', async () => {
  const { client, ask, outcome, diary } = await scene({ ana: { password: 'right' } });
  const answers = await ask(encodeNoneRequest('ana', service), ...Array.from({ length: 5 }, () => password('wrong')));
  expect(answers.map((answer) => answer[0])).toEqual([51, 51, 51, 51, 51, 51]);
  client.send(password('wrong'));
  client.send(password('right'));
  expect(await outcome).toMatchObject({ kind: 'ended', why: 'attempts', user: 'ana' });
  expect(diary).not.toContain('password right');
  expect(await client.next(never)).toBeUndefined();
  expect(await client.ended).toMatchObject({ kind: 'peer', reason: 14 });
});

test('requests that come in one burst are answered in their order', async () => {
  const { ask, diary } = await scene({ ana: { password: 'c' } });
  const answers = await ask(password('a'), password('b'), password('c'));
  expect(answers.map((answer) => answer[0])).toEqual([51, 51, 52]);
  expect(diary).toEqual(['begin ana', 'password a', 'password b', 'password c']);
});

test('an unknown method is refused and the connection goes on', async () => {
  const { ask, outcome } = await scene({ ana: { password: 'right' } });
  const gssapi = new Writer().u8(50).text('ana').text(service).text('gssapi-with-mic').u32(1).text('oid').finish();
  const [answer = new Uint8Array()] = await ask(gssapi);
  expect(decodeFailure(answer)).toEqual({ methods: ['publickey', 'password', 'keyboard-interactive'], partial: false });
  await ask(password('right'));
  expect(await outcome).toMatchObject({ kind: 'accepted', attempts: 1 });
});

test('a password change is refused without asking anybody', async () => {
  const { ask, diary } = await scene({ ana: { password: 'right' } });
  const change = new Writer().u8(50).text('ana').text(service).text('password').bool(true).text('right').text('new');
  expect((await ask(change.finish()))[0]?.[0]).toBe(51);
  expect(diary).toEqual(['begin ana']);
});

test('another user name than the first ends the connection', async () => {
  const { client, ask, outcome, diary } = await scene({ ana: { password: 'a' }, bob: { password: 'b' } });
  await ask(password('wrong'));
  client.send(password('b', 'bob'));
  expect(await outcome).toMatchObject({ kind: 'ended', why: 'protocol', user: 'ana' });
  expect(diary).not.toContain('password b');
});

test('another service, and a channel before login, end the connection', async () => {
  const other = await scene({});
  other.client.send(encodePasswordRequest('ana', 'ssh-userauth', utf8('x')));
  expect(await other.outcome).toMatchObject({ why: 'protocol' });
  const early = await scene({ ana: {} });
  early.client.send(new Writer().u8(90).text('session').u32(0).u32(1).u32(1).finish());
  expect(await early.outcome).toMatchObject({ why: 'protocol' });
  expect(early.diary).toEqual([]);
});

test('a key is queried, then proven by a signature over this session', async () => {
  const signer = await someKey();
  const { client, ask, outcome } = await scene({ ana: { keys: [signer.publicKey] } });
  const query = encodePublickeyRequest('ana', service, 'ssh-ed25519', signer.publicKey);
  const [ok] = await ask(query);
  expect(ok).toEqual(new Writer().u8(60).text('ssh-ed25519').string(signer.publicKey).finish());
  const [elsewhere] = await ask(await signed(signer, 'ana', new Uint8Array(32)));
  expect(elsewhere?.[0]).toBe(51);
  await ask(await signed(signer, 'ana', client.sessionId));
  expect(await outcome).toMatchObject({ kind: 'accepted', method: 'publickey', attempts: 1 });
});

test('PK_OK names the algorithm that was asked for, not the key type', async () => {
  const { publicKey } = await generateKeyPair('rsa-2048');
  const { ask } = await scene({ ana: { keys: [publicKey] } });
  const [ok] = await ask(encodePublickeyRequest('ana', service, 'rsa-sha2-256', publicKey));
  expect(ok).toEqual(new Writer().u8(60).text('rsa-sha2-256').string(publicKey).finish());
});

test('a certificate algorithm and SHA-1 are refused without asking anybody', async () => {
  const { publicKey } = await generateKeyPair('rsa-2048');
  const { ask, diary } = await scene({ ana: { keys: [publicKey] } });
  for (const algorithm of ['ssh-rsa', 'ssh-ed25519-cert-v01@openssh.com'])
    for (const signature of [undefined, new Uint8Array(64)]) {
      const [answer] = await ask(encodePublickeyRequest('ana', service, algorithm, publicKey, signature));
      expect(answer?.[0]).toBe(51);
    }
  expect(diary).toEqual(['begin ana']);
});

test('queries have a bound of their own and are no attempts', async () => {
  const signer = await someKey();
  const { client, ask, outcome } = await scene({ ana: {} }, { queries: 10 });
  const query = encodePublickeyRequest('ana', service, 'ssh-ed25519', signer.publicKey);
  const answers = await ask(...Array.from({ length: 10 }, () => query));
  expect(answers.every((answer) => answer[0] === 51)).toBe(true);
  client.send(query);
  expect(await outcome).toMatchObject({ kind: 'ended', why: 'attempts' });
});

test('two factors: the key is a partial success, the password completes it', async () => {
  const signer = await someKey();
  const { client, ask, outcome } = await scene({ ana: { keys: [signer.publicKey], password: 'right', both: true } });
  const [early] = await ask(password('right'));
  expect(early?.[0]).toBe(51);
  const [partial = new Uint8Array()] = await ask(await signed(signer, 'ana', client.sessionId));
  expect(decodeFailure(partial)).toEqual({ methods: ['password'], partial: true });
  await ask(password('right'));
  expect(await outcome).toMatchObject({ kind: 'accepted', method: 'password' });
});

test('a dialogue asks for password and code, one round each', async () => {
  const { ask, outcome, diary } = await scene({ ana: { password: 'right', code: '123456' } });
  expect((await ask(encodeKeyboardRequest('ana', service, 'pam')))[0]?.[0]).toBe(60);
  expect((await ask(encodeInfoResponse([utf8('right')])))[0]?.[0]).toBe(60);
  expect((await ask(encodeInfoResponse([utf8('123456')])))[0]).toEqual(Uint8Array.of(52));
  expect(await outcome).toMatchObject({ method: 'keyboard-interactive' });
  expect(diary).toEqual(['begin ana', 'dialogue pam', 'answers right', 'answers 123456', 'dialogue over']);
});

test('a dialogue given up for another request gets no answer of its own', async () => {
  const { ask, outcome, diary } = await scene({ ana: { password: 'right' } });
  await ask(encodeKeyboardRequest('ana', service));
  expect((await ask(password('right')))[0]).toEqual(Uint8Array.of(52));
  expect(await outcome).toMatchObject({ method: 'password', attempts: 1 });
  expect(diary).toEqual(['begin ana', 'dialogue ', 'dialogue over', 'password right']);
});

test('a response that claims four billion answers is refused before anything is allocated for them', async () => {
  const { ask, diary } = await scene({ ana: { password: 'right' } });
  await ask(encodeKeyboardRequest('ana', service));
  const before = process.memoryUsage().heapTotal;
  expect((await ask(new Writer().u8(61).u32(0xffffffff).finish()))[0]?.[0]).toBe(51);
  expect(process.memoryUsage().heapTotal - before).toBeLessThan(50_000_000);
  expect(diary).toEqual(['begin ana', 'dialogue ', 'dialogue over']);
});

test('an answer nobody asked for ends the connection', async () => {
  const { client, outcome } = await scene({});
  client.send(encodeInfoResponse([]));
  expect(await outcome).toMatchObject({ why: 'protocol' });
});

test('a client that leaves, a network that breaks and a grace time that is over are told apart', async () => {
  const left = await scene({ ana: {} });
  await left.ask(password('x'));
  await left.client.disconnect(11, 'bye');
  expect(await left.outcome).toMatchObject({ why: 'left', user: 'ana' });
  const broken = await scene({ ana: {} });
  broken.client.cut(new Error('gone'));
  expect(await broken.outcome).toMatchObject({ why: 'broken', detail: 'gone', user: undefined });
  const late = await scene({ ana: {} }, { graceMs: 1 });
  expect(await late.outcome).toMatchObject({ why: 'grace' });
});

test('a client that leaves while somebody decides ends the deciding', async () => {
  const { client, server } = memoryTransports();
  const authenticator = people({});
  const asked = Promise.withResolvers<void>();
  authenticator.password = (_user, _password, signal) =>
    new Promise((_resolve, reject) => {
      asked.resolve();
      signal.addEventListener('abort', () => reject(new Error('approval withdrawn')));
    });
  const outcome = authenticate(server, authenticator, {}, never);
  client.send(encodeService('request', 'ssh-userauth'));
  await client.next(never);
  client.send(password('x'));
  await asked.promise;
  await client.disconnect(11, 'bye');
  expect(await outcome).toMatchObject({ kind: 'ended', why: 'left' });
});

test('a password is zeroed once it was decided about', async () => {
  const { client, server } = memoryTransports();
  const authenticator = people({});
  let seen: Uint8Array = new Uint8Array(0);
  authenticator.password = async (_user, secret) => {
    seen = secret.reveal();
    expect(Buffer.from(seen).toString()).toBe('s3cret');
    return { kind: 'accepted' };
  };
  const outcome = authenticate(server, authenticator, {}, never);
  client.send(encodeService('request', 'ssh-userauth'));
  client.send(password('s3cret'));
  await outcome;
  expect(seen).toEqual(new Uint8Array(6));
});

test('a failing authenticator is thrown, and the client is told only that it is not available', async () => {
  const { client, server } = memoryTransports();
  const authenticator = people({});
  authenticator.password = async () => {
    throw new Error('keeper is gone');
  };
  const outcome = authenticate(server, authenticator, {}, never);
  client.send(encodeService('request', 'ssh-userauth'));
  client.send(password('x'));
  await expect(outcome).rejects.toThrow('keeper is gone');
  expect(await client.ended).toEqual({ kind: 'peer', reason: 11, message: 'authentication is not available' });
});

test('every refused factor is held back to the same time after its request, whatever it took', async () => {
  const slept: number[] = [];
  let now = 1000;
  const clock = {
    now: () => now,
    sleep: async (ms: number) => {
      slept.push(ms);
    },
  };
  const { client, server } = memoryTransports();
  const authenticator = people({});
  authenticator.password = async (user) => {
    now += user === 'ana' ? 120 : 0;
    return { kind: 'refused', next: [] };
  };
  void authenticate(server, authenticator, { clock }, never);
  client.send(encodeService('request', 'ssh-userauth'));
  client.send(encodeNoneRequest('ana', service));
  client.send(password('x'));
  const change = new Writer().u8(50).text('ana').text(service).text('password').bool(true).text('').text('');
  client.send(change.finish());
  for (let answers = 0; answers < 4; answers++) await client.next(never);
  expect(slept).toEqual([20, 180, 300]);
});

test('arbitrary requests never throw and never let anybody in', async () => {
  const bytes = fc.uint8Array({ maxLength: 60 });
  const method = fc.constantFrom('none', 'password', 'publickey', 'keyboard-interactive', 'hostbased');
  const request = fc
    .tuple(method, bytes)
    .map(([name, rest]) => new Writer().u8(50).text('ana').text(service).text(name).raw(rest).finish());
  const payload = fc.oneof(
    request,
    fc.tuple(fc.constantFrom(50, 61, 80, 5), bytes).map(([n, rest]) => Uint8Array.of(n, ...rest)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(payload, { maxLength: 12 }), async (payloads) => {
      const { client, outcome } = await scene({ ana: { password: 'right-and-long-enough' } });
      for (const each of payloads) client.send(each);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      await client.disconnect(11, '');
      expect((await outcome).kind).toBe('ended');
    }),
    { numRuns: 200 },
  );
});
