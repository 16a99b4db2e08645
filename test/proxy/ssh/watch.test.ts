/** What is kept of a channel: a terminal in full, of everything else what it was and what it came to. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import { refuse } from '../../../src/base/errors.ts';
import { LinkError } from '../../../src/link/errors.ts';
import type { AuthorizationAnswer } from '../../../src/link/link.ts';
import { Relay } from '../../../src/proxy/ssh/relay.ts';
import { watchChannels } from '../../../src/proxy/ssh/watch.ts';
import { ListRecorder, quietSession, type Stage, stage } from '../stage.ts';
import { about, confirm, data, exec, global, open, pty, request, stderr } from './messages.ts';

const sha256 = (words: string): string => createHash('sha256').update(words).digest('hex');

/** One channel through a real relay into a watcher over a list. */
function watching(grant: Partial<AuthorizationAnswer> = {}, around: Stage = stage()) {
  const recorder = new ListRecorder();
  const session = quietSession(grant);
  const watcher = watchChannels(session, recorder, around.place);
  const relay = new Relay(
    new Set(session.authorization.subprotocols),
    { toClient: () => {}, toTarget: () => {} },
    watcher,
  );
  relay.fromClient(open(0));
  relay.fromTarget(confirm(0, 10));
  const close = (): void => {
    relay.fromTarget(about('close', 0));
    relay.fromClient(about('close', 10));
  };
  const told = (): unknown[] =>
    around.asked.filter((one) => one.name === 'session.event').map((one) => one.fields['event']);
  return { relay, recorder, watcher, close, told, [Symbol.dispose]: () => around[Symbol.dispose]() };
}

describe('a terminal', () => {
  test('is recorded in full, both ways, with its size', () => {
    using it = watching();
    it.relay.fromClient(request(10, pty));
    it.relay.fromClient(request(10, { type: 'shell' }));
    it.relay.fromClient(data(10, 'ls\r'));
    it.relay.fromTarget(data(0, 'a b\r\n'));
    it.relay.fromClient(
      request(10, { type: 'window-change', cols: 100, rows: 40, widthPixels: 0, heightPixels: 0 }, false),
    );
    it.relay.fromTarget(request(0, { type: 'exit-status', status: 3 }, false));
    it.close();
    expect(it.recorder.events).toEqual([
      { channel: 1, kind: 'channel-open', type: 'session', about: '' },
      { channel: 1, kind: 'pty', term: 'xterm', columns: 80, rows: 24, modes: Uint8Array.of(0) },
      { channel: 1, kind: 'shell' },
      { channel: 1, kind: 'input', text: 'ls\r' },
      { channel: 1, kind: 'output', text: 'a b\r\n' },
      { channel: 1, kind: 'resize', columns: 100, rows: 40 },
      { channel: 1, kind: 'exit-status', status: 3 },
      { channel: 1, kind: 'channel-close' },
    ]);
  });

  test('of a command is recorded in full too', () => {
    using it = watching();
    it.relay.fromClient(request(10, pty));
    it.relay.fromClient(exec(10, 'top'));
    it.relay.fromTarget(data(0, 'load'));
    expect(it.recorder.events.at(-1)).toEqual({ channel: 1, kind: 'output', text: 'load' });
  });

  test('that is asked for late hides nothing of what came before', () => {
    using it = watching();
    it.relay.fromClient(exec(10, 'cat'));
    it.relay.fromClient(data(10, 'early'));
    it.relay.fromClient(request(10, pty));
    it.relay.fromClient(data(10, 'late'));
    it.close();
    expect(it.recorder.events).toContainEqual({ channel: 1, kind: 'input', text: 'late' });
    expect(it.recorder.events).toContainEqual({
      channel: 1,
      kind: 'stream',
      direction: 'up',
      bytes: 5,
      sha256: sha256('early'),
    });
  });
});

describe('a command', () => {
  test('leaves its words, how much went each way and the hashes, not the contents; error output apart', () => {
    using it = watching();
    it.relay.fromClient(exec(10, 'make'));
    it.relay.fromClient(data(10, 'in'));
    it.relay.fromTarget(data(0, 'out'));
    it.relay.fromTarget(stderr(0, 'err'));
    it.relay.fromTarget(data(0, 'put'));
    it.close();
    expect(it.recorder.events).toEqual([
      { channel: 1, kind: 'channel-open', type: 'session', about: '' },
      { channel: 1, kind: 'exec', command: utf8('make') },
      { channel: 1, kind: 'stream', direction: 'up', bytes: 2, sha256: sha256('in') },
      { channel: 1, kind: 'stream', direction: 'down', bytes: 6, sha256: sha256('output') },
      { channel: 1, kind: 'note', text: `error output: 3 bytes, sha256 ${sha256('err')}` },
      { channel: 1, kind: 'channel-close' },
    ]);
  });

  test('is recorded in full where the grant says so', () => {
    using it = watching({ recordContent: true });
    it.relay.fromClient(exec(10, 'make'));
    it.relay.fromTarget(data(0, 'out'));
    it.relay.fromTarget(stderr(0, 'err'));
    it.close();
    expect(it.recorder.events.slice(2)).toEqual([
      { channel: 1, kind: 'output', text: 'out' },
      { channel: 1, kind: 'error-output', text: 'err' },
      { channel: 1, kind: 'channel-close' },
    ]);
  });

  test('is told to the keeper, at most 1000 characters of it', async () => {
    using it = watching();
    it.relay.fromClient(exec(10, 'x'.repeat(5000)));
    await it.watcher.settled();
    expect(it.told()).toEqual([{ type: 'channel.opened', channel: 1, what: 'exec', command: 'x'.repeat(1000) }]);
  });
});

test('a file that scp carries is told with name, size and hash', async () => {
  using it = watching();
  it.relay.fromClient(exec(10, 'scp -t /srv'));
  it.relay.fromTarget(data(0, '\0'));
  it.relay.fromClient(data(10, 'C0644 5 note.txt\n'));
  it.relay.fromTarget(data(0, '\0'));
  it.relay.fromClient(data(10, 'hello\0'));
  it.relay.fromTarget(data(0, '\0'));
  it.close();
  await it.watcher.settled();
  expect(it.told().at(-1)).toMatchObject({
    type: 'file.transferred',
    direction: 'upload',
    size: 5,
    sha256: sha256('hello'),
    complete: true,
  });
  expect(it.recorder.events).toContainEqual(
    expect.objectContaining({ kind: 'file', size: 5, sha256: sha256('hello') }),
  );
});

test('a program that the target could not start is not what the next one is watched as', async () => {
  using it = watching();
  it.relay.fromClient(request(10, { type: 'subsystem', subsystem: 'sftp' }));
  it.relay.fromTarget(about('failure', 0));
  it.relay.fromClient(exec(10, 'cat'));
  it.relay.fromClient(data(10, 'not sftp at all'));
  it.relay.fromTarget(data(0, 'not sftp at all'));
  it.close();
  await it.watcher.settled();
  expect(it.recorder.events.filter((event) => event['kind'] === 'file')).toEqual([]);
});

test('what is refused is noted in the recording and told to the keeper', async () => {
  using it = watching({ subprotocols: [] });
  it.relay.fromClient(exec(10, 'id'));
  it.relay.fromClient(global('tcpip-forward'));
  await it.watcher.settled();
  expect(it.recorder.events.slice(1).map((event) => [event['kind'], event['text']])).toEqual([
    ['note', 'refused: exec, the grant does not allow it'],
    ['note', 'refused: tcpip-forward, this request is not allowed'],
  ]);
  expect(it.told()).toEqual([
    { type: 'channel.refused', channel: 1, what: 'exec', reason: 'the grant does not allow it' },
    { type: 'channel.refused', channel: 0, what: 'tcpip-forward', reason: 'this request is not allowed' },
  ]);
});

test('a channel in which nothing happened is closed in the recording as well', () => {
  using it = watching();
  it.close();
  expect(it.recorder.events.map((event) => event['kind'])).toEqual([
    'channel-open',
    'stream',
    'stream',
    'channel-close',
  ]);
});

test('an event is told again when the keeper that was lost has come back, and in its place', async () => {
  let away = 2;
  const answer = (): null => {
    if (away-- > 0) throw new LinkError('link.lost');
    return null;
  };
  using it = watching({}, stage({ 'session.event': answer }));
  it.relay.fromClient(exec(10, 'first'));
  it.relay.fromClient(global('tcpip-forward'));
  await it.watcher.settled();
  const types = it.told().map((event) => (event as { type: string }).type);
  expect(types).toEqual(['channel.opened', 'channel.opened', 'channel.opened', 'channel.refused']);
});

test('a keeper that cannot be told holds nothing up', async () => {
  for (const answer of [() => Promise.reject(new Error('link lost')), () => refuse('keeper.unknown-handle', 'who?')]) {
    using it = watching({}, stage({ 'session.event': answer }));
    it.relay.fromClient(exec(10, 'id'));
    it.relay.fromClient(exec(10, 'id'));
    await it.watcher.settled();
    expect(it.told()).toHaveLength(2);
  }
});

test('above 128 events that wait for the keeper it says that it is congested, until they are told', async () => {
  const gate = Promise.withResolvers<null>();
  using it = watching({}, stage({ 'session.event': () => gate.promise }));
  const drained = new Promise<void>((resolve) => it.watcher.onDrain(resolve));
  for (let n = 0; n < 128; n++) it.relay.fromClient(global('x', false));
  expect(it.watcher.congested).toBe(false);
  it.relay.fromClient(global('x', false));
  expect(it.watcher.congested).toBe(true);
  gate.resolve(null);
  await drained;
  expect(it.watcher.congested).toBe(false);
  await it.watcher.settled();
});
