/** The relay, message by message: what is allowed passes as it came, everything else is answered here, in order. */
import { describe, expect, test } from 'vitest';
import { concat } from '../../../src/base/bytes.ts';
import {
  about,
  adjust,
  confirm,
  data,
  exec,
  global,
  inShort,
  type Known,
  no,
  open,
  opened,
  pty,
  request,
  rig,
  stderr,
  unheard,
  yes,
} from './messages.ts';

const violation = { code: 'proxy.protocol' };
const throwsOf = (work: () => void): unknown => {
  try {
    work();
    return 'nothing thrown';
  } catch (error) {
    return error;
  }
};

describe('what is allowed', () => {
  test('passes both ways byte for byte', () => {
    const { relay, toClient, toTarget } = rig();
    const fromClient = [
      open(3),
      request(9, pty),
      request(9, { type: 'shell' }),
      data(9, 'ls\r'),
      adjust(9),
      about('eof', 9),
    ];
    const fromTarget = [
      confirm(3, 9),
      about('success', 3),
      about('success', 3),
      adjust(3),
      data(3, 'a b'),
      stderr(3, 'oh'),
    ];
    const last = request(3, { type: 'exit-status', status: 0 }, false);
    relay.fromClient(fromClient[0] ?? new Uint8Array());
    relay.fromTarget(fromTarget[0] ?? new Uint8Array());
    for (const payload of fromClient.slice(1)) relay.fromClient(payload);
    for (const payload of [...fromTarget.slice(1), last]) relay.fromTarget(payload);
    expect(toTarget).toEqual(fromClient);
    expect(toClient).toEqual([...fromTarget, last]);
  });

  test('is shown to who looks on: input, output and error output apart', () => {
    const { relay, seen } = opened();
    relay.fromClient(exec(10, 'make'));
    relay.fromClient(data(10, 'in'));
    relay.fromTarget(data(0, 'out'));
    relay.fromTarget(stderr(0, 'err'));
    relay.fromTarget(request(0, { type: 'exit-status', status: 2 }, false));
    expect(seen).toEqual([
      'requested 1 exec',
      'input 1 in',
      'output 1 out',
      'error-output 1 err',
      'reported 1 exit-status',
    ]);
  });

  test('is shown also when the target names a kind of error output that does not exist', () => {
    const { relay, seen } = opened();
    relay.fromTarget(stderr(0, 'hidden', 7));
    expect(seen).toEqual(['error-output 1 hidden']);
  });

  test.each(['keepalive@openssh.com', 'no-more-sessions@openssh.com'])(
    'global request %s of a client passes',
    (name) => {
      const { relay, toTarget, toClient } = rig();
      relay.fromClient(global(name));
      relay.fromTarget(no);
      expect([inShort(toTarget), inShort(toClient)]).toEqual([[`global-request ${name}`], ['request-failure']]);
    },
  );

  test('late messages of user authentication go nowhere', () => {
    const { relay, toTarget, toClient } = rig();
    relay.fromClient(Uint8Array.of(50, 1, 2, 3));
    relay.fromTarget(Uint8Array.of(53));
    expect([toTarget, toClient]).toEqual([[], []]);
  });
});

describe('what the client may not', () => {
  test.each([
    'direct-tcpip',
    'direct-streamlocal@openssh.com',
    'tun@openssh.com',
    'x11',
    'auth-agent@openssh.com',
    'Session',
    '',
  ])('a channel of type %j is refused and never reaches the target', (type) => {
    const { relay, toClient, toTarget, seen } = rig();
    relay.fromClient(open(5, type));
    expect([inShort(toClient), toTarget, seen]).toEqual([['open-failure 5'], [], [`refused - ${type}`]]);
  });

  test.each([
    'tcpip-forward',
    'cancel-tcpip-forward',
    'streamlocal-forward@openssh.com',
    'hostkeys-prove-00@openssh.com',
    'whatever',
  ])('global request %s is refused', (name) => {
    const { relay, toClient, toTarget, seen } = rig();
    relay.fromClient(global(name));
    relay.fromClient(global(name, false));
    expect([inShort(toClient), toTarget]).toEqual([['request-failure'], []]);
    expect(seen).toEqual([`refused - ${name}`, `refused - ${name}`]);
  });

  test.each<[string, Uint8Array]>([
    ['x11-req', request(10, { type: 'x11-req', single: false, protocol: 'p', cookie: new Uint8Array(), screen: 0 })],
    ['auth-agent-req@openssh.com', request(10, { type: 'auth-agent-req@openssh.com' })],
    ['auth-agent-req', unheard(10, 'auth-agent-req')],
    ['subsystem', request(10, { type: 'subsystem', subsystem: 'netconf' })],
    ['exit-status', request(10, { type: 'exit-status', status: 0 })],
    ['unheard-of@example.com', unheard(10, 'unheard-of@example.com')],
  ])('channel request %s is refused', (name, payload) => {
    const { relay, toClient, toTarget, seen } = opened();
    relay.fromClient(payload);
    expect([inShort(toClient), toTarget, seen]).toEqual([['failure 0'], [], [`refused 1 ${name}`]]);
  });

  test.each<[string, Known, string[]]>([
    ['a shell', { type: 'shell' }, ['exec', 'sftp', 'scp-up', 'scp-down']],
    ['a command', { type: 'exec', command: Buffer.from('id') }, ['shell', 'sftp', 'scp-up', 'scp-down']],
    ['sftp', { type: 'subsystem', subsystem: 'sftp' }, ['shell', 'exec', 'scp-up', 'scp-down']],
    ['an upload by scp', { type: 'exec', command: Buffer.from('scp -t x') }, ['shell', 'exec', 'sftp', 'scp-down']],
    ['a download by scp', { type: 'exec', command: Buffer.from('scp -f x') }, ['shell', 'exec', 'sftp', 'scp-up']],
  ])('%s that the grant does not name is refused', (_, what, allowed) => {
    const { relay, toClient, toTarget } = opened(allowed);
    relay.fromClient(request(10, what));
    expect([inShort(toClient), toTarget]).toEqual([['failure 0'], []]);
  });

  test('a second program in a channel is refused, whether the first was answered or not', () => {
    const { relay, toClient, toTarget, seen } = opened();
    relay.fromClient(exec(10, 'sleep 1'));
    relay.fromClient(request(10, { type: 'shell' }));
    relay.fromTarget(about('success', 0));
    relay.fromClient(exec(10, 'id', false));
    expect(inShort(toTarget)).toEqual(['request 10 exec']);
    expect(inShort(toClient)).toEqual(['success 0', 'failure 0']);
    expect(seen).toEqual(['requested 1 exec', 'refused 1 shell', 'refused 1 exec']);
  });

  test('another program may be tried after the target could not start the first, as pscp does', () => {
    const { relay, toClient, toTarget } = opened();
    relay.fromClient(request(10, { type: 'subsystem', subsystem: 'sftp' }));
    relay.fromTarget(about('failure', 0));
    relay.fromClient(exec(10, 'id'));
    expect(inShort(toTarget)).toEqual(['request 10 subsystem', 'request 10 exec']);
    expect(inShort(toClient)).toEqual(['failure 0']);
  });

  test('a failed pty does not make room for a second program', () => {
    const { relay, toTarget } = opened();
    relay.fromClient(request(10, { type: 'shell' }, false));
    relay.fromClient(request(10, pty));
    relay.fromTarget(about('failure', 0));
    relay.fromClient(exec(10, 'id'));
    expect(inShort(toTarget)).toEqual(['request 10 shell', 'request 10 pty-req']);
  });
});

describe('what the target may not', () => {
  test.each(['x11', 'auth-agent@openssh.com', 'forwarded-tcpip', 'session'])('open a channel of type %s', (type) => {
    const { relay, toClient, toTarget, seen } = rig();
    relay.fromTarget(open(4, type));
    expect([toClient, inShort(toTarget), seen]).toEqual([[], ['open-failure 4'], [`refused - ${type}`]]);
  });

  test('tell the client of its host keys', () => {
    const { relay, toClient, toTarget } = rig();
    relay.fromTarget(global('hostkeys-00@openssh.com', false));
    expect([toClient, toTarget]).toEqual([[], []]);
  });

  test('ask the client for anything but a sign of life', () => {
    const { relay, toClient, toTarget } = opened();
    relay.fromTarget(global('tcpip-forward'));
    relay.fromTarget(request(0, { type: 'shell' }));
    relay.fromTarget(unheard(0, 'anything', false));
    relay.fromTarget(unheard(0, 'keepalive@openssh.com'));
    relay.fromTarget(global('keepalive@openssh.com'));
    expect(inShort(toClient)).toEqual(['request 0 keepalive@openssh.com', 'global-request keepalive@openssh.com']);
    expect(inShort(toTarget)).toEqual(['request-failure', 'failure 10']);
  });
});

describe('answers', () => {
  test('of ours to global requests wait for those of the target that were asked for before', () => {
    const { relay, toClient } = rig();
    for (const name of ['keepalive@openssh.com', 'tcpip-forward', 'no-more-sessions@openssh.com', 'tcpip-forward'])
      relay.fromClient(global(name));
    expect(toClient).toEqual([]);
    relay.fromTarget(yes);
    expect(inShort(toClient)).toEqual(['request-success', 'request-failure']);
    relay.fromTarget(yes);
    expect(inShort(toClient)).toEqual(['request-success', 'request-failure', 'request-success', 'request-failure']);
  });

  test('of ours in a channel wait likewise, and other channels do not wait with it', () => {
    const { relay, toClient } = opened();
    relay.fromClient(open(1));
    relay.fromTarget(confirm(1, 11));
    toClient.length = 0;
    relay.fromClient(request(10, pty));
    relay.fromClient(request(10, { type: 'auth-agent-req@openssh.com' }));
    relay.fromClient(request(10, { type: 'shell' }));
    relay.fromClient(request(11, { type: 'auth-agent-req@openssh.com' }));
    expect(inShort(toClient)).toEqual(['failure 1']);
    relay.fromTarget(about('success', 0));
    relay.fromTarget(about('success', 0));
    expect(inShort(toClient)).toEqual(['failure 1', 'success 0', 'failure 0', 'success 0']);
  });

  test('of ours to the target wait for those of the client', () => {
    const { relay, toTarget } = opened();
    relay.fromTarget(global('keepalive@openssh.com'));
    relay.fromTarget(global('tcpip-forward'));
    relay.fromTarget(unheard(0, 'keepalive@openssh.com'));
    relay.fromTarget(request(0, { type: 'shell' }));
    expect(toTarget).toEqual([]);
    relay.fromClient(yes);
    relay.fromClient(about('failure', 10));
    expect(inShort(toTarget)).toEqual(['request-success', 'request-failure', 'failure 10', 'failure 10']);
  });

  test.each<[string, 'fromClient' | 'fromTarget', Uint8Array]>([
    ['a global one of the target', 'fromTarget', yes],
    ['a global one of the client', 'fromClient', no],
    ['one of the target in a channel', 'fromTarget', about('success', 0)],
    ['one of the client in a channel', 'fromClient', about('failure', 10)],
    ['a channel of the target’s that nobody asked for', 'fromTarget', confirm(7, 12)],
    ['a channel confirmed twice', 'fromTarget', confirm(0, 12)],
    [
      'a channel refused after it was confirmed',
      'fromTarget',
      Uint8Array.of(92, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    ],
    ['a channel that the client confirms', 'fromClient', confirm(10, 3)],
  ])('without a question are a violation: %s', (_, way, payload) => {
    const { relay, toClient, toTarget } = opened();
    expect(throwsOf(() => relay[way](payload))).toMatchObject(violation);
    expect([toClient, toTarget]).toEqual([[], []]);
  });

  test('that nobody gives may be 1024, and then the client has asked too much', () => {
    const { relay, toTarget } = opened();
    const payload = unheard(10, 'keepalive@openssh.com');
    for (let n = 0; n < 1024; n++) relay.fromClient(payload);
    expect(throwsOf(() => relay.fromClient(payload))).toMatchObject(violation);
    expect(toTarget).toHaveLength(1024);
    const refused = opened();
    refused.relay.fromClient(payload);
    for (let n = 0; n < 1023; n++) refused.relay.fromClient(unheard(10, 'x'));
    expect(throwsOf(() => refused.relay.fromClient(unheard(10, 'x')))).toMatchObject(violation);
    expect(refused.toClient).toEqual([]);
  });
});

describe('channels', () => {
  test('are numbered anew when both sides use their numbers again after close', () => {
    const { relay, seen, toTarget, toClient } = opened();
    relay.fromClient(about('close', 10));
    relay.fromTarget(data(0, 'last words'));
    relay.fromTarget(about('close', 0));
    relay.fromClient(open(0));
    relay.fromTarget(confirm(0, 10));
    relay.fromClient(exec(10, 'id'));
    expect(seen).toEqual(['output 1 last words', 'closed 1', 'opened 2', 'requested 2 exec']);
    expect(toTarget).toEqual([about('close', 10), open(0), exec(10, 'id')]);
    expect(toClient).toHaveLength(3);
  });

  test('that the target refuses are forgotten, and their number is free', () => {
    const { relay, toClient, seen } = rig();
    relay.fromClient(open(0));
    relay.fromTarget(Uint8Array.of(92, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0));
    relay.fromClient(open(0));
    relay.fromTarget(confirm(0, 1));
    expect(inShort(toClient)).toEqual(['open-failure 0', 'open-confirmation 0']);
    expect(seen).toEqual(['opened 2']);
  });

  test('are 256 at most, and none uses a number twice', () => {
    const { relay, toClient, toTarget } = rig();
    relay.fromClient(open(0));
    relay.fromClient(open(0));
    expect([inShort(toClient), toTarget.length]).toEqual([['open-failure 0'], 1]);
    for (let n = 1; n < 256; n++) relay.fromClient(open(n));
    expect(toTarget).toHaveLength(256);
    relay.fromClient(open(256));
    expect([inShort(toClient), toTarget.length]).toEqual([['open-failure 0', 'open-failure 256'], 256]);
  });

  test('that the target gives a number twice are a violation', () => {
    const { relay } = opened();
    relay.fromClient(open(1));
    expect(throwsOf(() => relay.fromTarget(confirm(1, 10)))).toMatchObject(violation);
  });

  test('are listed while they are open', () => {
    const { relay } = opened();
    expect([...relay.open()].map((channel) => channel.number)).toEqual([1]);
    relay.fromTarget(about('close', 0));
    relay.fromClient(about('close', 10));
    expect([...relay.open()]).toEqual([]);
  });

  test('that are closed take no more, but late window is for nobody and breaks nothing', () => {
    for (const after of [data(10, 'x'), about('eof', 10), about('close', 10), exec(10, 'id')]) {
      const { relay, toTarget } = opened();
      relay.fromClient(about('close', 10));
      relay.fromClient(adjust(10));
      expect(throwsOf(() => relay.fromClient(after))).toMatchObject(violation);
      expect(inShort(toTarget)).toEqual(['close 10']);
    }
    for (const after of [data(0, 'x'), stderr(0, 'x'), about('eof', 0), about('close', 0), about('success', 0)]) {
      const { relay, toClient } = opened();
      relay.fromTarget(about('close', 0));
      relay.fromTarget(adjust(0));
      expect(throwsOf(() => relay.fromTarget(after))).toMatchObject(violation);
      expect(inShort(toClient)).toEqual(['close 0']);
    }
    const { relay } = opened();
    relay.fromTarget(about('close', 0));
    relay.fromClient(about('close', 10));
    relay.fromClient(adjust(10));
    relay.fromTarget(adjust(0));
  });
});

describe('a violation', () => {
  const lying = data(10, 'four');
  lying[8] = 5;
  const lyingBack = data(0, 'four');
  lyingBack[8] = 3;
  test.each<[string, 'fromClient' | 'fromTarget', Uint8Array]>([
    ['data for a channel that is not there', 'fromClient', data(11, 'x')],
    ['data of the target for a channel that is not there', 'fromTarget', data(11, 'x')],
    ['data that says it is longer', 'fromClient', lying],
    ['data that says it is shorter', 'fromTarget', lyingBack],
    ['data without a length', 'fromClient', data(10, '').subarray(0, 7)],
    ['data without a channel', 'fromClient', Uint8Array.of(94, 0, 0)],
    ['error output without a length', 'fromTarget', stderr(0, '').subarray(0, 10)],
    ['error output of a client', 'fromClient', stderr(10, 'x')],
    ['window of no size', 'fromClient', adjust(10).subarray(0, 5)],
    ['window with more behind it', 'fromTarget', concat([adjust(0), Uint8Array.of(0)])],
    ['a message that is none', 'fromClient', Uint8Array.of(101, 0, 0)],
    ['an empty message', 'fromTarget', new Uint8Array()],
    ['a request with bytes behind its end', 'fromClient', concat([request(10, { type: 'shell' }), Uint8Array.of(0)])],
    ['a request that is cut', 'fromClient', request(10, pty).subarray(0, 30)],
    ['an end of a channel that is not there', 'fromTarget', about('eof', 3)],
  ])('is %s: it is thrown, and nothing passes', (_, way, payload) => {
    const { relay, toClient, toTarget, seen } = opened();
    expect(throwsOf(() => relay[way](payload))).toMatchObject(violation);
    expect([toClient, toTarget, seen]).toEqual([[], [], []]);
  });

  test('is anything of the target about a channel that it has not confirmed', () => {
    for (const payload of [
      data(0, 'x'),
      stderr(0, 'x'),
      about('eof', 0),
      about('close', 0),
      unheard(0, 'keepalive@openssh.com'),
    ]) {
      const { relay, toClient } = rig();
      relay.fromClient(open(0));
      expect(throwsOf(() => relay.fromTarget(payload))).toMatchObject(violation);
      expect(toClient).toEqual([]);
    }
  });
});
