/**
 * Strangers at the gate: connections that say nothing, or nothing sensible. They are ended, they cost little, and people
 * who have something to do there get in, also from the same address.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bystander, bystander, gateMemory, honest, hostileTarget, intruder } from './hostile-stage.ts';
import { type House, openHouse, word } from './house.ts';

/** More than the gate lets wait in all, and for one address. */
const crowd = 300;

interface Stranger {
  readonly socket: Socket;
  /** Everything that the gate said, when the connection is over. */
  readonly over: Promise<Buffer>;
}

describe('strangers', () => {
  const undo = new AsyncDisposableStack();
  let house: House;
  let other: Bystander;
  let patient: Stranger;

  async function come(localAddress = '127.0.0.1'): Promise<Stranger> {
    const socket = connect({ host: house.gate.address, port: house.gate.port, localAddress });
    const said: Buffer[] = [];
    socket.on('error', () => {});
    socket.on('data', (bytes) => said.push(bytes));
    const over = new Promise<Buffer>((resolve) => socket.once('close', () => resolve(Buffer.concat(said))));
    undo.defer(() => void socket.destroy());
    await once(socket, 'connect');
    return { socket, over };
  }

  beforeAll(async () => {
    const target = undo.use(await hostileTarget());
    target.behave = honest;
    house = undo.use(
      await openHouse(
        () => `
groups: [{ name: ops }]
users: [{ name: alice, roles: [administrator], groups: [ops] }]
targets: [{ name: good, address: 127.0.0.1, services: [{ port: ${target.port} }] }]
accounts: [{ name: deploy@good }]
grants: [{ name: all, group: ops, targets: [good] }]
`,
      ),
    );
    const { publicKey } = target.signer;
    await house.call('target.trust', { name: 'good', keys: [{ algorithm: 'ssh-ed25519', publicKey }] });
    await house.call('account.store', { account: 'deploy@good', secret: Buffer.from(word()), unverified: false });
    other = undo.use(await bystander(house.gate, 'alice@deploy@good', house.key.file));
    // Said nothing but a version and the beginning of a KEXINIT; looked at again at the end.
    patient = await come('127.0.0.99');
    patient.socket.write(Buffer.concat([Buffer.from('SSH-2.0-Half\r\n'), Buffer.from([0, 0, 1, 252, 4, 20, 1, 2, 3])]));
  });
  afterAll(async () => {
    await undo.disposeAsync();
  });

  test.each<[string, Uint8Array]>([
    ['noise', randomBytes(100_000)],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: gate\r\n\r\n')],
    ['TLS', Buffer.from('16030100c8010000c40303', 'hex')],
    ['a version line without end', Buffer.concat([Buffer.from('SSH-2.0-'), Buffer.alloc(100_000, 'x')])],
    ['a version with an escape sequence', Buffer.from('SSH-2.0-\u001b[2J\r\n')],
    ['the version before', Buffer.from('SSH-1.5-Old\r\n')],
    ['a packet of 4 GB', Buffer.concat([Buffer.from('SSH-2.0-X\r\n'), Buffer.alloc(100, 0xff)])],
    ['a packet of 256 KB', Buffer.concat([Buffer.from('SSH-2.0-X\r\n'), Buffer.from([0, 4, 0, 0]), Buffer.alloc(99)])],
    ['a packet of nothing', Buffer.concat([Buffer.from('SSH-2.0-X\r\n'), Buffer.from([0, 0, 0, 0]), Buffer.alloc(99)])],
    ['user authentication without keys', packet(Buffer.from([50, 0, 0, 0, 4, 114, 111, 111, 116]))],
    ['a KEXINIT that ends early', packet(Buffer.concat([Buffer.from([20]), randomBytes(30)]))],
    [
      'a KEXINIT with a list of 4 GB',
      packet(Buffer.concat([Buffer.from([20]), randomBytes(16), Buffer.alloc(4, 0xff)])),
    ],
  ])('%s is ended', async (_, bytes) => {
    const { socket, over } = await come();
    socket.write(bytes);
    expect((await over).toString('latin1')).toMatch(/^SSH-2\.0-Sallyport\r\n/);
    await other.echo();
  });

  test('half a greeting and then the end of it leaves nothing behind', async () => {
    const { socket, over } = await come();
    socket.end('SSH-2');
    await over;
    await other.echo();
  });

  test('a crowd that says nothing keeps nobody out, from its own address neither', async () => {
    const before = gateMemory(house.product);
    const silent = await Promise.all(Array.from({ length: crowd }, () => come()));
    for (const address of ['same', 'again']) {
      const ran = await house.visit('deploy@good', { command: 'do', input: address });
      expect([ran.code, ran.stdout]).toEqual([0, `here\n${address}`]);
    }
    await other.echo();
    console.log(`gate: ${before} MB before the crowd of ${crowd}, ${gateMemory(house.product)} MB in it`);
    expect(gateMemory(house.product) - before).toBeLessThan(100);
    // Some had to make room; the others still wait for their handshake.
    await Promise.race(silent.map(({ over }) => over));
    expect(silent.filter(({ socket }) => !socket.destroyed).length).toBeGreaterThan(50);
    for (const { socket } of silent) socket.destroy();
    await Promise.all(silent.map(({ over }) => over));
  });

  test('crowds from many addresses take places of each other, not of someone alone', async () => {
    const alone = await come('127.0.0.50');
    const crowds = [60, 61, 62].map((last) => Array.from({ length: 120 }, () => come(`127.0.0.${last}`)));
    const silent = await Promise.all(crowds.flat());
    const ran = await house.visit('deploy@good', { command: 'do', input: 'x' });
    expect(ran.code).toBe(0);
    // It is answered, so it still has its place.
    alone.socket.write(packet(Buffer.from([50])));
    expect((await alone.over).toString('latin1')).toContain('protocol error');
    for (const { socket } of silent) socket.destroy();
    await Promise.all(silent.map(({ over }) => over));
  });

  test('a crowd that makes noise is ended, and a running session answers meanwhile', async () => {
    const noisy = await Promise.all(Array.from({ length: crowd }, () => come()));
    for (const { socket } of noisy)
      socket.write(Buffer.concat([Buffer.from('SSH-2.0-Noise\r\n'), randomBytes(30_000)]));
    for (let round = 0; round < 20; round++) await other.echo();
    await Promise.all(noisy.map(({ over }) => over));
    await other.echo();
  });

  test('names and commands may hold anything, and move no cursor of whoever reads of them', async () => {
    const from = await house.mark();
    const nasty = '\u001b[2J\u009b31m\u202e\u2028';
    await expect(intruder(house.gate, `eve${nasty}@deploy@good`, house.key.file)).rejects.toThrow(/offered/);
    await expect(intruder(house.gate, `alice@deploy@good${nasty}`, house.key.file)).rejects.toThrow();
    await house.event((row) => row.type === 'identity.login.refused', from);
    const ran = await house.visit('deploy@good', { command: `echo ${nasty} eve` });
    expect(ran.code).toBe(0);
    await house.event((row) => String(row.details['command']).includes(nasty), from);
    for (const format of ['table', 'json']) {
      const tail = await house.product.cli(['-o', format, 'audit', 'tail', '-n', '50']);
      expect([tail.code, tail.stdout.includes('eve')]).toEqual([0, true]);
      expect(tail.stdout.replaceAll('\n', '')).toMatch(/^[^\p{Cc}\p{Cf}\u2028]*$/u);
    }
    expect(house.product.log().replaceAll('\n', '')).toMatch(/^[^\p{Cc}\p{Cf}\u2028]*$/u);
  });

  test('half a KEXINIT is waited for as long as a handshake may take, and no longer', async () => {
    const said = await patient.over;
    expect(said.toString('latin1')).toContain('timeout');
    await other.echo();
  });
});

/** A version, and one packet in the clear. */
function packet(payload: Uint8Array): Buffer {
  const padding = 4 + ((8 - ((5 + payload.length + 4) % 8)) % 8);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(1 + payload.length + padding, 0);
  head[4] = padding;
  return Buffer.concat([Buffer.from('SSH-2.0-X\r\n'), head, payload, Buffer.alloc(padding)]);
}
