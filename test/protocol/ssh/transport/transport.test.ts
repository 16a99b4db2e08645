/** Transports over real sockets: every combination, load with rekeys, back-pressure, and every way to end. */
import { createHash, randomBytes } from 'node:crypto';
import { Duplex, duplexPair } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { openTransport, type Transport } from '../../../../src/protocol/ssh/ssh.ts';
import { defaultAlgorithms, hostKeyNames, kexNames } from '../../../../src/protocol/ssh/transport/algorithms.ts';
import { clientOptions, pair, serverOptions, signal, sockets } from './pair.ts';

const ciphers = defaultAlgorithms('client').cipher;
const macs = defaultAlgorithms('client').mac;

/** Sends `total` bytes in payloads of many sizes, as the transport and the peer take them; resolves with their hash. */
async function pour(from: Transport, total: number): Promise<string> {
  const hash = createHash('sha256');
  let left = total;
  let size = 1;
  while (left > 0) {
    if (from.congested) await new Promise<void>((resolve) => from.onDrain(resolve));
    // lets the peer's bytes in between, as a socket's reader would
    if (left % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    size = (size * 7 + 13) % 32_000;
    const payload = Buffer.concat([Uint8Array.of(94), randomBytes(Math.min(size, left))]);
    left -= payload.length - 1;
    hash.update(payload);
    from.send(payload);
  }
  return hash.digest('hex');
}

/** Takes everything until `total` bytes have come; resolves with their hash. */
function drink(at: Transport, total: number): Promise<string> {
  const hash = createHash('sha256');
  let left = total;
  return new Promise((resolve) => {
    at.relay((payload) => {
      hash.update(payload);
      left -= payload.length - 1;
      if (left === 0) resolve(hash.digest('hex'));
    });
  });
}

describe('every combination', () => {
  const combinations = kexNames.flatMap((kex) =>
    ciphers.flatMap((cipher) => hostKeyNames.map((hostKey) => [kex, cipher, hostKey] as const)),
  );

  test('of key exchange, cipher and host key carries payloads both ways', async () => {
    for (const [i, [kex, cipher, hostKey]] of combinations.entries()) {
      const mac = [macs[i % 2] ?? ''];
      const algorithms = { kex: [kex], cipher: [cipher], hostKey: [hostKey], mac };
      let shown = '';
      const checkHostKey = (_: Uint8Array, algorithm: string): boolean => {
        shown = algorithm;
        return true;
      };
      await using both = await pair({ algorithms, checkHostKey }, { algorithms });
      expect(shown).toBe(hostKey);
      expect(both.client.sessionId).toEqual(both.server.sessionId);
      expect(both.client.negotiated).toMatchObject({ kex, hostKey, cipherIn: cipher, cipherOut: cipher, strict: true });
      both.client.send(Uint8Array.of(94, i));
      both.server.send(Uint8Array.of(95, i));
      expect(await both.server.next(signal)).toEqual(Uint8Array.of(94, i));
      expect(await both.client.next(signal)).toEqual(Uint8Array.of(95, i));
    }
    expect(combinations.length).toBe(6 * 6 * 6);
  });

  test('and works over a stream that is no socket, as an SSH channel is', async () => {
    const [near, far] = duplexPair();
    const [client, server] = await Promise.all([
      openTransport(near, clientOptions, signal),
      openTransport(far, serverOptions, signal),
    ]);
    client.send(Uint8Array.of(94, 1));
    expect(await server.next(signal)).toEqual(Uint8Array.of(94, 1));
    await client.disconnect(11, 'bye');
    expect(await server.ended).toEqual({ kind: 'peer', reason: 11, message: 'bye' });
  });
});

describe('load', () => {
  test.each(ciphers)('%s: both directions full, both sides rekey by bytes, nothing is lost', async (cipher) => {
    const algorithms = { cipher: [cipher] };
    const total = 3_000_000;
    await using both = await pair(
      { algorithms, limits: { rekeyBytes: 200_000 } },
      { algorithms, limits: { rekeyBytes: 250_000 } },
    );
    const received = Promise.all([drink(both.client, total), drink(both.server, total)]);
    const sent = await Promise.all([pour(both.server, total), pour(both.client, total)]);
    expect(await received).toEqual(sent);
    expect(both.client.rekeys.ours + both.client.rekeys.theirs).toBeGreaterThanOrEqual(6);
  });

  test('four rekeys of each side while both directions are full, and every payload in order', async () => {
    await using both = await pair();
    const { client, server } = both;
    let done = false;
    const stream = async (from: Transport): Promise<number> => {
      for (let number = 0; ; number++) {
        if (from.congested) await new Promise<void>((resolve) => from.onDrain(resolve));
        if (number % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
        const payload = Buffer.alloc(8000, 94);
        payload[0] = done ? 95 : 94;
        payload.writeUInt32BE(number, 1);
        from.send(payload);
        if (payload[0] === 95) return number;
      }
    };
    const check = (at: Transport): Promise<number> =>
      new Promise((resolve, reject) => {
        let expected = 0;
        at.relay((payload) => {
          const number = Buffer.from(payload).readUInt32BE(1);
          if (number !== expected++) reject(new Error(`${number} where ${expected - 1} is due`));
          if (payload[0] === 95) resolve(number);
        });
      });
    const received = Promise.all([check(server), check(client)]);
    const sent = Promise.all([stream(client), stream(server)]);
    for (let i = 0; i < 8; i++) {
      const side = i % 2 === 0 ? client : server;
      const before = side.rekeys.ours;
      while (side.rekeys.ours === before) {
        // nothing happens while the last one is not over on this side
        side.rekey();
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    done = true;
    expect(await received).toEqual(await sent);
    expect([client.rekeys, server.rekeys]).toEqual([
      { ours: 4, theirs: 4 },
      { ours: 4, theirs: 4 },
    ]);
  });

  test('a rekey is finished although reading is paused, and the pause holds again afterwards', async () => {
    await using both = await pair();
    const taken: number[] = [];
    both.client.relay((payload) => taken.push(payload[1] ?? 0));
    both.client.pause();
    both.client.rekey();
    while (both.client.rekeys.ours === 0) await new Promise((resolve) => setImmediate(resolve));
    both.server.send(Uint8Array.of(94, 1));
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(taken).toEqual([]);
    both.client.resume();
    while (taken.length === 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('two spliced transports that rekey at the same bytes, full both ways, do not wait for each other', async () => {
    const limits = { rekeyBytes: 300_000, highWater: 65_536 };
    const total = 3_000_000;
    await using left = await pair({ limits }, { limits });
    await using right = await pair({ limits }, { limits });
    const splice = (from: Transport, to: Transport): void => {
      to.onDrain(() => from.resume());
      from.relay((payload) => {
        to.send(payload);
        if (to.congested) from.pause();
      });
    };
    splice(left.server, right.client);
    splice(right.client, left.server);
    const received = Promise.all([drink(left.client, total), drink(right.server, total)]);
    const sent = await Promise.all([pour(right.server, total), pour(left.client, total)]);
    expect(await received).toEqual(sent);
    expect(left.server.rekeys.ours + left.server.rekeys.theirs).toBeGreaterThan(5);
  });
});

describe('waiting', () => {
  test('everything sent in one tick leaves in one write', async () => {
    const [near, far] = duplexPair();
    let writes = 0;
    const counted = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        writes++;
        near.write(chunk, done);
      },
      writev: (chunks, done) => {
        writes++;
        near.write(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done);
      },
    });
    near.on('data', (chunk) => counted.push(chunk));
    const [client, server] = await Promise.all([
      openTransport(counted, clientOptions, signal),
      openTransport(far, serverOptions, signal),
    ]);
    writes = 0;
    for (let i = 0; i < 100; i++) client.send(new Uint8Array(1000).fill(94));
    for (let i = 0; i < 100; i++) await server.next(signal);
    expect(writes).toBe(1);
    await server.disconnect(11, '');
  });

  test('a peer that does not read makes us congested, and reading drains', async () => {
    await using both = await pair();
    both.client.pause();
    let sent = 0;
    while (!both.server.congested) {
      both.server.send(new Uint8Array(30_000).fill(94));
      if (++sent % 32 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const drained = new Promise<void>((resolve) => both.server.onDrain(resolve));
    let got = 0;
    both.client.relay(() => got++);
    both.client.resume();
    await drained;
    expect(both.server.congested).toBe(false);
    while (got < sent) await new Promise((resolve) => setImmediate(resolve));
  });

  test('a sender that ignores congestion is broken with before it fills the memory', async () => {
    await using both = await pair({}, { limits: { highWater: 65_536 } });
    both.client.pause();
    const payload = new Uint8Array(30_000).fill(94);
    let sent = 0;
    let over = false;
    const ended = both.server.ended.then(() => {
      over = true;
    });
    for (; !over && sent < 2 ** 27; sent += payload.length) {
      both.server.send(payload);
      await Promise.resolve();
    }
    await ended;
    expect(await both.server.ended).toMatchObject({ kind: 'broken', error: { code: 'ssh.backlog' } });
  });

  test('what nobody reads by next stops the peer instead of filling the memory', async () => {
    await using both = await pair();
    let sent = 0;
    while (!both.server.congested) {
      both.server.send(new Uint8Array(30_000).fill(94));
      if (++sent % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (let i = 0; i < sent; i++) expect((await both.client.next(signal))?.length).toBe(30_000);
  });

  test('next that is given up loses nothing', async () => {
    await using both = await pair();
    const given = new AbortController();
    const first = both.client.next(given.signal);
    given.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    both.server.send(Uint8Array.of(94, 1));
    expect(await both.client.next(signal)).toEqual(Uint8Array.of(94, 1));
  });

  test('relay takes over what next has not taken, in order', async () => {
    await using both = await pair();
    for (let i = 0; i < 5; i++) both.server.send(Uint8Array.of(94, i));
    expect(await both.client.next(signal)).toEqual(Uint8Array.of(94, 0));
    const taken: number[] = [];
    await new Promise<void>((resolve) =>
      both.client.relay((payload) => {
        taken.push(payload[1] ?? 0);
        if (payload[1] === 4) resolve();
      }),
    );
    expect(taken).toEqual([1, 2, 3, 4]);
  });
});

describe('ends', () => {
  test('disconnect tells the peer why, after everything that was sent before', async () => {
    await using both = await pair();
    both.client.send(Uint8Array.of(94, 1));
    const gone = both.client.disconnect(11, 'done');
    expect(await both.server.next(signal)).toEqual(Uint8Array.of(94, 1));
    expect(await both.server.next(signal)).toBeUndefined();
    expect(await both.server.ended).toEqual({ kind: 'peer', reason: 11, message: 'done' });
    expect(await both.client.ended).toEqual({ kind: 'local' });
    await gone;
    both.client.send(Uint8Array.of(94, 2));
  });

  test('a closed socket is an end of file', async () => {
    const [near, far] = await sockets();
    const [client, server] = await Promise.all([
      openTransport(near, clientOptions, signal),
      openTransport(far, serverOptions, signal),
    ]);
    near.end();
    expect(await server.ended).toEqual({ kind: 'eof' });
    expect((await client.ended).kind).toBe('eof');
  });

  test('a reset connection is broken', async () => {
    const [near, far] = await sockets();
    const [client, server] = await Promise.all([
      openTransport(near, clientOptions, signal),
      openTransport(far, serverOptions, signal),
    ]);
    const next = server.next(signal);
    near.resetAndDestroy();
    expect(await server.ended).toMatchObject({ kind: 'broken', error: { code: 'ssh.connection-lost' } });
    await expect(next).rejects.toThrow('connection was lost');
    await client.ended;
  });

  test('a changed byte is broken, and the peer is told', async () => {
    const [near, far] = await sockets();
    const [client, server] = await Promise.all([
      openTransport(near, clientOptions, signal),
      openTransport(far, serverOptions, signal),
    ]);
    near.write(new Uint8Array(36));
    near.write(new Uint8Array(64).fill(16));
    expect((await server.ended).kind).toBe('broken');
    expect(await client.ended).toMatchObject({ kind: 'peer' });
  });

  test('an untrusted host key: the client throws, the server is told', async () => {
    const [near, far] = await sockets();
    const server = openTransport(far, serverOptions, signal);
    server.catch(() => {});
    const checkHostKey = async (): Promise<boolean> => false;
    await expect(openTransport(near, { ...clientOptions, checkHostKey }, signal)).rejects.toMatchObject({
      code: 'ssh.host-key-refused',
    });
    await expect(server).rejects.toMatchObject({ code: 'ssh.disconnected' });
  });

  test('a host key that does not sign ends the connection with its cause', async () => {
    const [near, far] = await sockets();
    const client = openTransport(near, clientOptions, signal);
    client.catch(() => {});
    const [first] = serverOptions.hostKeys ?? [];
    if (first === undefined) throw new Error('no host key');
    const sign = (): Promise<Uint8Array> => Promise.reject(new Error('the keeper is away'));
    await expect(
      openTransport(far, { ...serverOptions, hostKeys: [{ ...first, sign }] }, signal),
    ).rejects.toMatchObject({ code: 'ssh.signing', cause: { message: 'the keeper is away' } });
    await expect(client).rejects.toMatchObject({ code: 'ssh.disconnected' });
  });

  test('an abort ends the handshake with its reason and closes the socket', async () => {
    const [near, far] = await sockets();
    const cut = new AbortController();
    const opening = openTransport(far, serverOptions, cut.signal);
    cut.abort(new Error('killed'));
    await expect(opening).rejects.toThrow('killed');
    near.resume();
    await new Promise((resolve) => near.once('close', resolve));
  });

  test('a peer that stays silent is given up after handshakeMs', async () => {
    const [, far] = await sockets();
    await expect(openTransport(far, { ...serverOptions, limits: { handshakeMs: 20 } }, signal)).rejects.toMatchObject({
      code: 'ssh.handshake-timeout',
    });
  });

  test('a socket that is closed already does not hang', async () => {
    const [near, far] = await sockets();
    near.destroy();
    await new Promise((resolve) => near.once('close', resolve));
    await expect(openTransport(near, clientOptions, signal)).rejects.toMatchObject({ code: 'ssh.closed' });
    far.destroy();
  });
});
