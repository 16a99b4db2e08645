/** The client's side of user authentication, against our own server side and against servers of bad manners. */
import { expect, test } from 'vitest';
import { Secret } from '../../../../src/base/secret.ts';
import {
  type LoggedIn,
  type LoginCredential,
  type LoginRefusal,
  logIn,
} from '../../../../src/protocol/ssh/auth/client.ts';
import { authenticate } from '../../../../src/protocol/ssh/auth/server.ts';
import { parsePrivateKey } from '../../../../src/protocol/ssh/keys/private.ts';
import { generateKeyPair, type KeyKind, signerFromPrivateKey } from '../../../../src/protocol/ssh/keys/signer.ts';
import type { Signer } from '../../../../src/protocol/ssh/types.ts';
import {
  encodeFailure,
  encodeInfoRequest,
  encodeService,
  encodeSuccess,
} from '../../../../src/protocol/ssh/wire/auth.ts';
import { Writer } from '../../../../src/protocol/ssh/wire/writer.ts';
import { type MemoryEnd, memoryTransports } from './memory-transport.ts';
import { people, type Person } from './people.ts';

const never = new AbortController().signal;
const secret = (text: string): Secret => Secret.fromText(text);

async function key(kind: KeyKind = 'ed25519'): Promise<Signer> {
  const parsed = await parsePrivateKey((await generateKeyPair(kind)).privateKeyOpenSsh, undefined, never);
  if ('refused' in parsed) throw new Error(parsed.reason);
  return signerFromPrivateKey(parsed.key);
}

interface Tried {
  readonly answer: LoggedIn | LoginRefusal;
  readonly diary: readonly string[];
}

async function tryIn(person: Person, credential: LoginCredential, sigAlgs?: string): Promise<Tried> {
  const { client, server } = memoryTransports();
  if (sigAlgs !== undefined) client.peerExtensions = new Map([['server-sig-algs', Buffer.from(sigAlgs)]]);
  const authenticator = people({ root: person }, 'welcome\n');
  void authenticate(server, authenticator, { refusalMs: 0, probeMs: 0 }, never);
  const answer = await logIn(client, 'root', credential, never);
  return { answer, diary: authenticator.diary };
}

/** A server that answers each request by what `answers` holds next. */
async function scripted(
  credential: LoginCredential,
  ...answers: readonly Uint8Array[]
): Promise<{
  answer: Promise<LoggedIn | LoginRefusal>;
  server: MemoryEnd;
  client: MemoryEnd;
}> {
  const { client, server } = memoryTransports();
  const answer = logIn(client, 'root', credential, never);
  answer.catch(() => {});
  await server.next(never);
  server.send(encodeService('accept', 'ssh-userauth'));
  for (const each of answers) {
    await server.next(never);
    server.send(each);
  }
  return { answer, server, client };
}

test('a key logs in with one signed request: no `none`, no query', async () => {
  const signer = await key();
  const { answer, diary } = await tryIn({ keys: [signer.publicKey] }, { signers: [signer] });
  expect(answer).toEqual({ accepted: true, method: 'publickey', banner: 'welcome\n' });
  expect(diary).toEqual(['begin root', 'publickey ssh-ed25519']);
});

test.for(['ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa-2048'] as const)('a key of kind %s logs in', async (kind) => {
  const signer = await key(kind);
  expect((await tryIn({ keys: [signer.publicKey] }, { signers: [signer] })).answer).toMatchObject({ accepted: true });
});

test('RSA signs by what the server says it takes, and never with SHA-1', async () => {
  const signer = await key('rsa-2048');
  const asked = async (list: string | undefined): Promise<readonly string[]> =>
    (await tryIn({ keys: [signer.publicKey] }, { signers: [signer] }, list)).diary.slice(1);
  expect(await asked(undefined)).toEqual(['publickey rsa-sha2-512']);
  expect(await asked('ssh-ed25519,rsa-sha2-256')).toEqual(['publickey rsa-sha2-256']);
  const { answer } = await tryIn({ keys: [signer.publicKey] }, { signers: [signer] }, 'ssh-rsa');
  expect(answer).toMatchObject({ refused: true, code: 'ssh.no-login-method' });
});

test('keys are tried in their order, then the password', async () => {
  const [one, two] = [await key(), await key()];
  const { answer, diary } = await tryIn({ password: 'pw' }, { signers: [one, two], password: secret('pw') });
  expect(answer).toMatchObject({ accepted: true, method: 'password' });
  expect(diary).toEqual(['begin root', 'publickey ssh-ed25519', 'publickey ssh-ed25519', 'password pw']);
});

test('key and password complete a login that needs both', async () => {
  const signer = await key();
  const person = { keys: [signer.publicKey], password: 'pw', both: true };
  const { answer } = await tryIn(person, { signers: [signer], password: secret('pw') });
  expect(answer).toMatchObject({ accepted: true, method: 'password' });
});

test('a wrong password is sent once, and rejected', async () => {
  const { answer, diary } = await tryIn({ password: 'right' }, { password: secret('wrong') });
  expect(answer).toMatchObject({ refused: true, code: 'ssh.login-rejected' });
  expect(diary).toEqual(['begin root', 'password wrong']);
});

test('where only keyboard-interactive is taken, the password answers the hidden prompt', async () => {
  const kbd = encodeFailure(['publickey', 'keyboard-interactive'], false);
  const prompt = encodeInfoRequest({ name: '', instruction: '', prompts: [{ text: 'Password: ', echo: false }] });
  const empty = encodeInfoRequest({ name: '', instruction: 'hello', prompts: [] });
  const { answer, client } = await scripted({ password: secret('pw') }, kbd, prompt, empty, encodeSuccess());
  expect(await answer).toMatchObject({ accepted: true, method: 'keyboard-interactive' });
  expect(client.sent.at(-2)).toEqual(new Writer().u8(61).u32(1).text('pw').finish());
  expect(client.sent.at(-1)).toEqual(new Writer().u8(61).u32(0).finish());
});

const strangePrompts: readonly [string, readonly { text: string; echo: boolean }[]][] = [
  ['a visible prompt', [{ text: 'Password: ', echo: true }]],
  [
    'two hidden prompts',
    [
      { text: 'Password: ', echo: false },
      { text: 'Token: ', echo: false },
    ],
  ],
];

test.for(strangePrompts)('%s never gets the secret', async ([, prompts]) => {
  const kbd = encodeFailure(['keyboard-interactive'], false);
  const request = encodeInfoRequest({ name: '', instruction: '', prompts });
  const { answer, client } = await scripted({ password: secret('s3cret') }, kbd, request);
  expect(await answer).toMatchObject({ refused: true, code: 'ssh.unexpected-prompt' });
  expect(client.sent.some((payload) => payload[0] === 61)).toBe(false);
});

test('a second hidden prompt of a dialogue does not get the secret again', async () => {
  const { answer } = await tryIn({ password: 'pw', code: 'x' }, { password: secret('no') });
  expect(answer).toMatchObject({ refused: true });
  const kbd = encodeFailure(['keyboard-interactive'], false);
  const ask = (text: string): Uint8Array =>
    encodeInfoRequest({ name: '', instruction: '', prompts: [{ text, echo: false }] });
  const token = await scripted({ password: secret('pw') }, kbd, ask('Password: '), ask('Verification code: '));
  expect(await token.answer).toMatchObject({ refused: true, code: 'ssh.unexpected-prompt' });
  const expired = await scripted({ password: secret('pw') }, kbd, ask('Password: '), ask('New password: '));
  expect(await expired.answer).toMatchObject({ refused: true, code: 'ssh.password-expired' });
});

test('words about new or expired passwords before the password was told are no proof that it is right', async () => {
  const kbd = encodeFailure(['keyboard-interactive'], false);
  const hidden = [{ text: 'Password: ', echo: false }];
  const hint = encodeInfoRequest({ name: '', instruction: 'If your password has expired, call us', prompts: hidden });
  const fresh = encodeInfoRequest({ name: '', instruction: '', prompts: [{ text: 'New password: ', echo: false }] });
  for (const request of [hint, fresh]) {
    const { answer, client } = await scripted({ password: secret('pw') }, kbd, request);
    expect(await answer).toMatchObject({ refused: true, code: 'ssh.unexpected-prompt' });
    expect(client.sent.some((payload) => payload[0] === 61)).toBe(false);
  }
});

test('a request to change the password is its own refusal', async () => {
  const change = new Writer().u8(60).text('Your password has expired').text('').finish();
  const { answer } = await scripted({ password: secret('old') }, change);
  expect(await answer).toMatchObject({ refused: true, code: 'ssh.password-expired' });
});

test('a server that takes no method of ours is told from one that rejects', async () => {
  const { answer } = await scripted({ password: secret('pw') }, encodeFailure(['publickey'], false));
  expect(await answer).toMatchObject({ refused: true, code: 'ssh.no-login-method' });
});

test('four billion prompts are malformed, not allocated', async () => {
  const kbd = encodeFailure(['keyboard-interactive'], false);
  const greedy = new Writer().u8(60).text('').text('').text('').u32(0xffffffff).finish();
  const { answer } = await scripted({ password: secret('pw') }, kbd, greedy);
  await expect(answer).rejects.toMatchObject({ code: 'ssh.malformed' });
});

test('hanging up because of too many failures is a rejection, any other end is broken', async () => {
  const dismissed = await scripted({ password: secret('pw') });
  await dismissed.server.next(never);
  await dismissed.server.disconnect(2, 'Too many authentication failures');
  expect(await dismissed.answer).toMatchObject({ refused: true, code: 'ssh.login-rejected' });
  const down = await scripted({ password: secret('pw') });
  await down.server.next(never);
  await down.server.disconnect(11, 'going down');
  await expect(down.answer).rejects.toMatchObject({ code: 'ssh.disconnected' });
  const gone = await scripted({ password: secret('pw') });
  await gone.server.next(never);
  await gone.server[Symbol.asyncDispose]();
  await expect(gone.answer).rejects.toMatchObject({ code: 'ssh.connection-lost' });
});

test('a channel message during authentication is broken', async () => {
  const { answer } = await scripted({ password: secret('pw') }, Uint8Array.of(90));
  await expect(answer).rejects.toMatchObject({ code: 'ssh.protocol' });
});

test('the packet that held the password is zeroed once it is queued', async () => {
  const { client, server } = memoryTransports();
  const given: Uint8Array[] = [];
  const send = client.send.bind(client);
  client.send = (payload) => {
    given.push(payload);
    send(payload);
  };
  void authenticate(server, people({ root: { password: 's3cret' } }), { refusalMs: 0 }, never);
  expect(await logIn(client, 'root', { password: secret('s3cret') }, never)).toMatchObject({ accepted: true });
  expect(given.every((payload) => !Buffer.from(payload).includes('s3cret'))).toBe(true);
  expect(client.sent.some((payload) => Buffer.from(payload).includes('s3cret'))).toBe(true);
});

test('neither refusals nor errors hold the secret', async () => {
  const { answer } = await tryIn({ password: 'right' }, { password: secret('wr0ng-s3cret') });
  expect(JSON.stringify(answer)).not.toContain('wr0ng');
});
