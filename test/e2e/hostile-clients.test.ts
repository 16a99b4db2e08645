/**
 * Clients that have logged in and do not keep to the rules. Their connection ends with a reason, or goes on if no harm is
 * done; the gate's memory stays what it was, and other sessions answer all the time.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeConnection, encodeRequest } from '../../src/protocol/ssh/ssh.ts';
import { Writer } from '../../src/protocol/ssh/wire/writer.ts';
import { fullMachines } from '../lab/machine.ts';
import { type Bystander, bystander, channel, exec, gateMemory, intruder, type Reading } from './hostile-stage.ts';
import { alice, openStage, type Stage } from './ssh-stage.ts';

const none = new Uint8Array();
const open = { kind: 'open', type: 'session', sender: 0, window: 2 ** 21, maxPacket: 32_768, body: none } as const;
const x = Buffer.from('x');

/** What ends the connection: sent after one channel was opened, whose number at the target is given. */
const ends: readonly (readonly [string, (one: Reading, there: number) => void, RegExp])[] = [
  [
    'a channel for packets of no bytes',
    (one) => one.send({ ...open, sender: 1, maxPacket: 0 }),
    /maximum packet size 0/,
  ],
  ['data for an unknown channel', (one) => one.send({ kind: 'data', recipient: 99, data: x }), /not open/],
  ['the end of an unknown channel', (one) => one.send({ kind: 'eof', recipient: 2 ** 32 - 1 }), /not open/],
  ['a program in an unknown channel', (one) => exec(one, 99, 'true'), /not open/],
  [
    'a channel that is closed twice',
    (one, there) => {
      one.send({ kind: 'close', recipient: there });
      one.send({ kind: 'close', recipient: there });
    },
    /not open/,
  ],
  [
    'data after the close',
    (one, there) => {
      one.send({ kind: 'close', recipient: there });
      one.send({ kind: 'data', recipient: there, data: x });
    },
    /not open/,
  ],
  ['a confirmation of nothing', (one) => one.send({ ...open, kind: 'open-confirmation', recipient: 0 }), /client: /],
  ['an answer to nothing', (one, there) => one.send({ kind: 'success', recipient: there }), /client: /],
  [
    'a length that lies',
    (one, there) =>
      one.transport.send(
        new Writer()
          .u8(94)
          .u32(there)
          .u32(2 ** 31)
          .raw(x)
          .finish(),
      ),
    /a length that lies/,
  ],
  ['half a message', (one) => one.transport.send(Uint8Array.of(98, 0, 0)), /client: /],
  [
    'terminal modes that end in the middle',
    (one, there) => {
      const size = new Writer().u8(98).u32(there).text('pty-req').bool(true).text('vt100').u32(1).u32(1).u32(1).u32(1);
      one.transport.send(size.string(Uint8Array.of(1, 0)).finish());
    },
    /terminal modes/,
  ],
  ['a packet of 300 KB', (one, there) => exec(one, there, Buffer.alloc(300_000, 'x')), /not well-formed/],
  [
    'more requests than anybody answers',
    (one, there) => {
      for (let i = 0; i < 3000; i++)
        one.transport.send(
          encodeRequest(there, { type: 'window-change', cols: 1, rows: 1, widthPixels: 0, heightPixels: 0 }, true),
        );
    },
    /too many requests without an answer/,
  ],
];

describe.runIf(fullMachines)('hostile clients', () => {
  const undo = new AsyncDisposableStack();
  let stage: Stage;
  let other: Bystander;

  beforeAll(async () => {
    stage = undo.use(await openStage());
    other = undo.use(await bystander(stage.gate, alice, stage.aliceKey));
  });
  afterAll(async () => {
    await undo.disposeAsync();
  });

  const enter = () => intruder(stage.gate, alice, stage.aliceKey);

  /** The session that began after `from`: its row is ended and its recording sealed; gives the audited reason. */
  async function ended(from: number): Promise<string> {
    const { details } = await stage.event((row) => row.type === 'session.opened', from);
    const same = (type: string) =>
      stage.event((row) => row.type === type && row.details['session'] === details['session'], from);
    await same('recording.sealed');
    return String((await same('session.ended')).details['reason']);
  }

  /** It is still served: a command in a new channel gives its output. */
  async function serves(one: Reading): Promise<void> {
    const there = await channel(one, 4000);
    exec(one, there, 'echo served');
    const { data } = await one.next('data');
    expect(Buffer.from(data).toString()).toBe('served\n');
  }

  test.each(ends)('%s ends the connection, with a reason', async (_, act, reason) => {
    const from = await stage.mark();
    await using one = await enter();
    act(one, await channel(one));
    // What breaks the packets themselves is told to the peer in the words of the RFC only.
    expect(await one.end()).toMatch(reason.source === 'not well-formed' ? /protocol error/ : reason);
    expect(await ended(from)).toMatch(reason);
    await other.echo();
  });

  test('messages of a login that is over are ignored', async () => {
    await using one = await enter();
    for (let number = 50; number < 80; number++) one.transport.send(Uint8Array.of(number, 0, 0, 0, 0));
    await serves(one);
  });

  test('messages without a meaning are answered and otherwise ignored', async () => {
    await using one = await enter();
    for (const number of [83, 89, 101, 127, 128, 191, 194, 255]) one.transport.send(Uint8Array.of(number, 1, 2, 3));
    await serves(one);
  });

  test('a thousand channels: so many as are allowed open, each other one is refused, the connection goes on', async () => {
    await using one = await enter();
    for (let sender = 0; sender < 1000; sender++) one.send({ ...open, sender });
    while (one.seen.length < 1000) await one.any();
    const confirmed = one.seen.filter(({ kind }) => kind === 'open-confirmation');
    expect(one.seen.filter(({ kind }) => kind === 'open-failure').length + confirmed.length).toBe(1000);
    expect(confirmed).toHaveLength(64);
    for (const message of confirmed)
      if (message.kind === 'open-confirmation') one.send({ kind: 'close', recipient: message.sender });
    for (let count = 0; count < confirmed.length; count++) await one.next('close');
    await serves(one);
    await other.echo();
  });

  test('two thousand refused channels are each answered and audited, and wait for the audit', async () => {
    const from = await stage.mark();
    const before = gateMemory(stage.product);
    await using one = await enter();
    for (let sender = 0; sender < 2000; sender++) one.send({ ...open, type: 'direct-tcpip', sender });
    for (let count = 0; count < 2000; count++) await one.next('open-failure');
    await serves(one);
    await one.transport.disconnect(11, 'bye');
    await ended(from);
    const session = stage.trail.find((row) => row.seq > from && row.type === 'session.opened')?.details['session'];
    const rows = stage.trail.filter((row) => row.details['session'] === session);
    expect(rows.filter((row) => row.type === 'session.channel.refused')).toHaveLength(2000);
    expect(gateMemory(stage.product) - before).toBeLessThan(100);
    await other.echo();
  });

  test('everything of a channel in one breath, with the end of input before any answer', async () => {
    await using one = await enter();
    const there = await channel(one);
    exec(one, there, 'cat; echo done');
    one.send({ kind: 'data', recipient: there, data: Buffer.from('early ') });
    one.send({ kind: 'eof', recipient: there });
    await one.next('close');
    const said = one.seen.map((message) => (message.kind === 'data' ? Buffer.from(message.data).toString() : ''));
    expect(said.join('')).toBe('early done\n');
    one.send({ kind: 'close', recipient: there });
    await serves(one);
  });

  test('a channel that is closed before its program answers, and windows for it afterwards', async () => {
    await using one = await enter();
    const there = await channel(one);
    exec(one, there, 'sleep 1000');
    one.send({ kind: 'eof', recipient: there });
    one.send({ kind: 'close', recipient: there });
    one.send({ kind: 'window-adjust', recipient: there, bytes: 1 });
    one.send({ kind: 'window-adjust', recipient: 99, bytes: 1 });
    await serves(one);
  });

  test('giant variables and commands pass as they are', async () => {
    await using one = await enter();
    const there = await channel(one);
    const value = new Uint8Array(Buffer.alloc(100_000, 'v'));
    one.transport.send(encodeRequest(there, { type: 'env', name: 'LC_BIG', value }, true));
    exec(one, there, `: ${'c'.repeat(100_000)}; echo whole`);
    expect(Buffer.from((await one.next('data')).data).toString()).toBe('whole\n');
    await other.echo();
  });

  test('data far beyond the window does not grow the gate', async () => {
    const before = gateMemory(stage.product);
    await using one = await enter();
    const there = await channel(one);
    exec(one, there, 'sleep 1000');
    await one.next('success');
    const data = Buffer.alloc(32_000, 'w');
    // The target's window is some 2 MB; sshd ends the connection or drops what is too much.
    for (let sent = 0; sent < 1000 && !one.socket.destroyed; sent++) {
      one.send({ kind: 'data', recipient: there, data });
      if (one.transport.congested) await Promise.race([drained(one), one.transport.ended]);
    }
    await other.echo();
    expect(gateMemory(stage.product) - before).toBeLessThan(150);
  });

  function drained(one: Reading): Promise<void> {
    return new Promise((resolve) => one.transport.onDrain(resolve));
  }

  test('a window of 2 GB and a client that reads nothing: the target waits, and Ctrl-C comes back', async () => {
    const before = gateMemory(stage.product);
    await using one = await enter();
    const there = await channel(one, 0, 2 ** 31 - 1);
    const size = { cols: 80, rows: 24, widthPixels: 0, heightPixels: 0 };
    one.transport.send(encodeRequest(there, { type: 'pty-req', term: 'vt100', ...size, modes: new Map() }, true));
    one.transport.send(encodeRequest(there, { type: 'shell' }, true));
    const type = (text: string): void => one.send({ kind: 'data', recipient: there, data: Buffer.from(text) });
    type('yes endless-output-of-a-program-that-nobody-reads\n');
    let most = 0;
    // Each round takes a little; meanwhile the target would send as much as anybody takes.
    for (let round = 0; round < 40; round++) {
      for (let taken = 0; taken < 10; taken++) await one.next('data');
      await other.echo();
      most = Math.max(most, gateMemory(stage.product));
    }
    type('\x03');
    type('echo "back $((40 + 2))"\n');
    let tail = '';
    while (!tail.includes('back 42')) tail = (tail + Buffer.from((await one.next('data')).data).toString()).slice(-200);
    console.log(`gate: ${before} MB before endless output, ${most} MB at most in it`);
    expect(most - before).toBeLessThan(150);
    await other.echo();
  });

  test('requests that are refused, from a client that never reads, fill no memory', async () => {
    const from = await stage.mark();
    const before = gateMemory(stage.product);
    await using one = await enter();
    const there = await channel(one);
    one.transport.pause();
    const request = encodeConnection({ kind: 'global-request', name: 'tcpip-forward', wantReply: true, body: none });
    const refused = new Writer().u8(98).u32(there).text('x11-req@nowhere').bool(true).finish();
    for (let sent = 0; sent < 800; sent++) {
      one.transport.send(request);
      one.transport.send(refused);
    }
    for (let round = 0; round < 50; round++) await other.echo();
    expect(gateMemory(stage.product) - before).toBeLessThan(100);
    one.socket.destroy();
    expect(await ended(from)).toMatch(/closed|lost|reset/i);
    await other.echo();
  });

  test('after all of that nothing runs but the bystander', async () => {
    await other.echo();
    await stage.mark();
    const opened = stage.trail.filter((row) => row.type === 'session.opened').slice(1);
    for (const { details } of opened)
      await stage.event((row) => row.type === 'session.ended' && row.details['session'] === details['session']);
    expect(await stage.product.ask<unknown[]>(['sessions', '--live'])).toHaveLength(1);
  });
});
