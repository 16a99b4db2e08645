/** The client's channels against a server played by the test, message by message. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Secret } from '../../../../src/base/secret.ts';
import { type ExecOptions, type ExecResult, SshClient } from '../../../../src/protocol/ssh/client/client.ts';
import { ownWindow } from '../../../../src/protocol/ssh/client/channel.ts';
import {
  type ConnectionMessage,
  decodeConnection,
  encodeConnection,
} from '../../../../src/protocol/ssh/wire/connection.ts';
import { encodeRequest } from '../../../../src/protocol/ssh/wire/connection-requests.ts';
import { isViolation } from '../../../../src/protocol/ssh/wire/reader.ts';
import { type MemoryEnd, memoryTransports } from '../auth/memory-transport.ts';

const never = new AbortController().signal;
const body = new Uint8Array(0);
const theirs = 40;

interface Scene {
  readonly client: SshClient;
  readonly server: MemoryEnd;
  /** The next message of the client; `data` keeps coming in pieces. */
  readonly heard: () => Promise<ConnectionMessage>;
  readonly say: (message: Exclude<ConnectionMessage, { kind: 'request' }>) => void;
  /** Plays the server up to a granted command. */
  readonly accept: (window?: number, maxPacket?: number) => Promise<void>;
  readonly exit: (status: number) => void;
}

function scene(): Scene {
  const pair = memoryTransports();
  const client = new SshClient(pair.client);
  const heard = async (): Promise<ConnectionMessage> => {
    const message = decodeConnection((await pair.server.next(never)) ?? body);
    if (isViolation(message)) throw new Error(message.violation);
    return message;
  };
  const say = (message: Exclude<ConnectionMessage, { kind: 'request' }>): void =>
    pair.server.send(encodeConnection(message));
  return {
    client,
    server: pair.server,
    heard,
    say,
    accept: async (window = 1 << 20, maxPacket = 32_768) => {
      expect(await heard()).toMatchObject({ kind: 'open', type: 'session', sender: 0 });
      say({ kind: 'open-confirmation', recipient: 0, sender: theirs, window, maxPacket, body });
      expect(await heard()).toMatchObject({ kind: 'request', recipient: theirs, name: 'exec' });
      say({ kind: 'success', recipient: 0 });
    },
    exit: (status) => {
      pair.server.send(encodeRequest(0, { type: 'exit-status', status }, false));
      say({ kind: 'eof', recipient: 0 });
      say({ kind: 'close', recipient: 0 });
    },
  };
}

function run(at: Scene, options: ExecOptions = {}): Promise<ExecResult> {
  const result = at.client.exec('id', options, never);
  // Read later in most tests; not read at all is not a crash.
  result.catch(() => {});
  return result;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

test('both streams and the status of a command come back, and the channel is closed once from both sides', async () => {
  const at = scene();
  const result = run(at);
  await at.accept();
  expect(await at.heard()).toEqual({ kind: 'eof', recipient: theirs });
  at.say({ kind: 'data', recipient: 0, data: Buffer.from('out') });
  at.say({ kind: 'extended-data', recipient: 0, type: 1, data: Buffer.from('err') });
  at.say({ kind: 'data', recipient: 0, data: Buffer.from('put') });
  at.exit(3);
  const { stdout, stderr, exit } = await result;
  expect([text(stdout), text(stderr), exit]).toEqual(['output', 'err', { kind: 'status', status: 3 }]);
  expect(await at.heard()).toEqual({ kind: 'close', recipient: theirs });
});

test('a signal and a silent end are no statuses', async () => {
  const killed = scene();
  const one = run(killed);
  await killed.accept();
  killed.server.send(encodeRequest(0, { type: 'exit-signal', signal: 'KILL', coreDumped: false, message: 'x' }, false));
  killed.say({ kind: 'close', recipient: 0 });
  expect((await one).exit).toEqual({ kind: 'signal', signal: 'KILL', message: 'x' });
  const silent = scene();
  const two = run(silent);
  await silent.accept();
  silent.say({ kind: 'close', recipient: 0 });
  expect((await two).exit).toEqual({ kind: 'none' });
});

test('a maximum packet size of 0 ends the connection instead of looping for ever', async () => {
  const at = scene();
  const result = run(at, { stdin: Buffer.from('x') });
  await at.heard();
  at.say({ kind: 'open-confirmation', recipient: 0, sender: theirs, window: 100, maxPacket: 0, body });
  await expect(result).rejects.toMatchObject({ code: 'ssh.malformed' });
  expect(await at.server.ended).toMatchObject({ kind: 'peer', reason: 2 });
});

test('input is cut to the window and the packet size of the server, and ends after its last byte', async () => {
  const at = scene();
  const input = Buffer.from('0123456789');
  const result = run(at, { stdin: new Secret(Uint8Array.from(input)) });
  await at.accept(5, 3);
  const data = async (): Promise<string> => {
    const message = await at.heard();
    return message.kind === 'data' ? text(message.data) : message.kind;
  };
  expect([await data(), await data()]).toEqual(['012', '34']);
  at.say({ kind: 'window-adjust', recipient: 0, bytes: 1 });
  expect(await data()).toBe('5');
  at.say({ kind: 'window-adjust', recipient: 0, bytes: 1000 });
  expect([await data(), await data(), await data()]).toEqual(['678', '9', 'eof']);
  at.exit(0);
  await result;
});

test('the end of the output does not end the input: a half-closed command still gets all of it', async () => {
  const at = scene();
  const result = run(at, { stdin: Buffer.alloc(100, 1) });
  await at.accept(10);
  at.say({ kind: 'eof', recipient: 0 });
  at.say({ kind: 'window-adjust', recipient: 0, bytes: 90 });
  let received = 0;
  for (let message = await at.heard(); message.kind !== 'eof'; message = await at.heard()) {
    expect(message.kind).toBe('data');
    if (message.kind === 'data') received += message.data.length;
  }
  expect(received).toBe(100);
  at.say({ kind: 'close', recipient: 0 });
  await result;
});

test('a window that overflows is an error', async () => {
  const at = scene();
  const result = run(at, { stdin: Buffer.alloc(1) });
  await at.accept(0);
  at.say({ kind: 'window-adjust', recipient: 0, bytes: 2 ** 32 - 1 });
  at.say({ kind: 'window-adjust', recipient: 0, bytes: 2 ** 32 - 1 });
  await expect(result).rejects.toMatchObject({ code: 'ssh.protocol' });
});

test('more data than the window allows is an error, and is not kept', async () => {
  const at = scene();
  const result = run(at, { maxOutput: 10 * ownWindow });
  await at.accept();
  at.say({ kind: 'data', recipient: 0, data: new Uint8Array(ownWindow + 1) });
  await expect(result).rejects.toMatchObject({ code: 'ssh.protocol' });
});

test('what a command reads is given back to the window, so that long output flows', async () => {
  const at = scene();
  const result = run(at, { maxOutput: 1 << 24 });
  await at.accept();
  await at.heard();
  let window = ownWindow;
  for (let sent = 0; sent < 4 * ownWindow; sent += 32_768) {
    while (window < 32_768) {
      const message = await at.heard();
      if (message.kind === 'window-adjust') window += message.bytes;
    }
    at.say({ kind: 'data', recipient: 0, data: new Uint8Array(32_768) });
    window -= 32_768;
  }
  at.exit(0);
  expect((await result).stdout.length).toBe(4 * ownWindow);
});

test('both streams at once, neither of them twice', async () => {
  const at = scene();
  const result = run(at);
  await at.accept();
  for (let i = 0; i < 100; i++) {
    at.say({ kind: 'data', recipient: 0, data: Buffer.from(`o${i},`) });
    at.say({ kind: 'extended-data', recipient: 0, type: 1, data: Buffer.from(`e${i},`) });
  }
  at.exit(0);
  const { stdout, stderr } = await result;
  const numbers = Array.from({ length: 100 }, (_, i) => i);
  expect(text(stdout)).toBe(numbers.map((i) => `o${i},`).join(''));
  expect(text(stderr)).toBe(numbers.map((i) => `e${i},`).join(''));
});

test('too much output gives the command up, not the connection', async () => {
  const at = scene();
  const result = run(at, { maxOutput: 10 });
  await at.accept();
  expect((await at.heard()).kind).toBe('eof');
  at.say({ kind: 'data', recipient: 0, data: new Uint8Array(11) });
  await expect(result).rejects.toMatchObject({ code: 'ssh.too-much-output' });
  at.say({ kind: 'data', recipient: 0, data: new Uint8Array(100) });
  at.say({ kind: 'close', recipient: 0 });
  expect((await at.heard()).kind).toBe('close');
  const next = at.client.exec('id', {}, never);
  expect(await at.heard()).toMatchObject({ kind: 'open', sender: 1 });
  at.say({ kind: 'open-failure', recipient: 1, reason: 1, description: 'no more' });
  await expect(next).rejects.toMatchObject({ code: 'ssh.channel-refused' });
});

test('a refused command and a refused channel have codes of their own', async () => {
  const at = scene();
  const result = run(at);
  await at.heard();
  at.say({ kind: 'open-confirmation', recipient: 0, sender: theirs, window: 1, maxPacket: 1, body });
  await at.heard();
  at.say({ kind: 'failure', recipient: 0 });
  await expect(result).rejects.toMatchObject({ code: 'ssh.request-refused' });
  expect(await at.heard()).toEqual({ kind: 'close', recipient: theirs });
});

test('an aborted command closes its channel, also when the server opens it only later', async () => {
  const at = scene();
  const life = new AbortController();
  const result = at.client.exec('sleep 1000', {}, life.signal);
  await at.heard();
  life.abort(new Error('session killed'));
  await expect(result).rejects.toThrow('session killed');
  at.say({ kind: 'open-confirmation', recipient: 0, sender: theirs, window: 1, maxPacket: 1, body });
  expect(await at.heard()).toEqual({ kind: 'close', recipient: theirs });
});

test('a connection that ends fails what is under way and what comes after', async () => {
  const at = scene();
  const result = run(at, { stdin: new Uint8Array(10) });
  await at.accept(1);
  await at.server.disconnect(11, 'reboot');
  await expect(result).rejects.toMatchObject({ code: 'ssh.disconnected' });
  await expect(at.client.exec('id', {}, never)).rejects.toMatchObject({ code: 'ssh.disconnected' });
});

test('the server opens no channels towards us, and its keep-alives are answered', async () => {
  const at = scene();
  const result = run(at);
  await at.accept();
  await at.heard();
  at.say({ kind: 'open', type: 'auth-agent@openssh.com', sender: 9, window: 1, maxPacket: 1, body });
  expect(await at.heard()).toMatchObject({ kind: 'open-failure', recipient: 9, reason: 1 });
  at.say({ kind: 'global-request', name: 'hostkeys-00@openssh.com', wantReply: false, body });
  at.say({ kind: 'global-request', name: 'keepalive@openssh.com', wantReply: true, body });
  expect(await at.heard()).toEqual({ kind: 'request-failure' });
  at.server.send(Uint8Array.of(98, 0, 0, 0, 0, 0, 0, 0, 1, 0x78, 1));
  expect(await at.heard()).toEqual({ kind: 'failure', recipient: theirs });
  at.exit(0);
  await result;
});

test('data before the confirmation, and for channels that are not, is an error', async () => {
  const early = scene();
  const result = run(early);
  await early.heard();
  early.say({ kind: 'data', recipient: 0, data: Buffer.from('x') });
  await expect(result).rejects.toMatchObject({ code: 'ssh.protocol' });
  const wrong = scene();
  const other = run(wrong);
  await wrong.accept();
  wrong.say({ kind: 'eof', recipient: 77 });
  await expect(other).rejects.toMatchObject({ code: 'ssh.protocol' });
});

test('output right behind the confirmation of a shell is kept', async () => {
  const at = scene();
  const opening = at.client.shell({ term: 'vt100', cols: 80, rows: 24 }, never);
  await at.heard();
  at.say({ kind: 'open-confirmation', recipient: 0, sender: theirs, window: 100, maxPacket: 100, body });
  at.say({ kind: 'data', recipient: 0, data: Buffer.from('login: ') });
  for (let i = 0; i < 2; i++) {
    await at.heard();
    at.say({ kind: 'success', recipient: 0 });
  }
  await using shell = await opening;
  expect((await shell.waitFor({ prompt: /: $/ }, 5000, never)).before).toBe('login');
});

test('a dialogue waits for what may come, in pieces, and says which it was', async () => {
  const at = scene();
  const opening = at.client.dialogue('passwd', undefined, never);
  await at.accept();
  await using dialogue = await opening;
  const asked = dialogue.waitFor({ current: /Current.*: $/, fresh: /New.*: $/ }, 5000, never);
  for (const piece of ['Chang', 'ing\nCurr', 'ent pass', 'word: '])
    at.say({ kind: 'data', recipient: 0, data: Buffer.from(piece) });
  expect(await asked).toMatchObject({ name: 'current', before: 'Changing\n' });
  expect(await dialogue.write(Secret.fromText('old'), never)).toBe(true);
  expect(await at.heard()).toEqual({ kind: 'data', recipient: theirs, data: Uint8Array.from(Buffer.from('old')) });
  await expect(dialogue.waitFor({ fresh: /New/ }, 1, never)).rejects.toMatchObject({ code: 'ssh.prompt-timeout' });
  at.say({ kind: 'data', recipient: 0, data: Buffer.from('done') });
  at.exit(1);
  await expect(dialogue.waitFor({ fresh: /New/ }, 5000, never)).rejects.toMatchObject({ code: 'ssh.shell-ended' });
  expect(dialogue.pending).toBe('done');
  expect(await dialogue.ended(never)).toEqual({ kind: 'status', status: 1 });
});

test('a dialogue is also read as it comes: text, silence, the end', async () => {
  const at = scene();
  const opening = at.client.dialogue('passwd', undefined, never);
  await at.accept();
  await using dialogue = await opening;
  expect(await dialogue.read(1, never)).toEqual({ kind: 'quiet' });
  const reading = dialogue.read(60_000, never);
  at.say({ kind: 'data', recipient: 0, data: Buffer.from('New password: ') });
  expect(await reading).toEqual({ kind: 'text', text: 'New password: ' });
  at.say({ kind: 'data', recipient: 0, data: Buffer.from('done') });
  at.exit(0);
  expect(await dialogue.read(60_000, never)).toEqual({ kind: 'text', text: 'done' });
  expect(await dialogue.read(60_000, never)).toEqual({ kind: 'over' });
});

test('whatever a server sends, the client neither throws nor hangs', async () => {
  const number = fc.oneof(fc.integer({ min: 80, max: 100 }), fc.nat(255));
  const small = fc.constantFrom(0, 0, 0, 1, 40, 2 ** 32 - 1);
  const payload = fc.tuple(number, small, small, fc.uint8Array({ maxLength: 30 })).map(([kind, one, two, rest]) => {
    const head = Buffer.alloc(9);
    head[0] = kind;
    head.writeUInt32BE(one, 1);
    head.writeUInt32BE(two, 5);
    return Buffer.concat([head, rest]);
  });
  await fc.assert(
    fc.asyncProperty(fc.array(payload, { maxLength: 20 }), async (payloads) => {
      const at = scene();
      const result = run(at, { stdin: new Uint8Array(100) });
      await at.accept(10);
      for (const each of payloads) at.server.send(each);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      at.server.cut(new Error('over'));
      await Promise.allSettled([result]);
    }),
    { numRuns: 300 },
  );
});
