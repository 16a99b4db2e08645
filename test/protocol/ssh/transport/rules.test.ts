/** What the machine refuses, and that a refusal comes at the right message: RFC 4253, strict KEX, RFC 8308. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test, vi } from 'vitest';
import { concat, text, utf8 } from '../../../../src/base/bytes.ts';
import { Writer } from '../../../../src/protocol/ssh/wire/writer.ts';
import { codeThrown, connected, Side, settle } from './machines.ts';

const data = (length: number): Uint8Array => new Uint8Array(length).fill(94);
const ignore = new Writer().u8(2).text('nothing').finish();

/** A packet as it is before the first keys. */
function plain(payload: Uint8Array): Uint8Array {
  const padding = 8 + ((8 - ((5 + payload.length) % 8)) % 8);
  return new Writer()
    .u32(1 + payload.length + padding)
    .u8(padding)
    .raw(payload)
    .raw(new Uint8Array(padding))
    .finish();
}

describe('packets', () => {
  test.each([
    ['0', '00000000'],
    ['5', '00000005'],
    ['4 GiB less one', 'ffffffff'],
    ['one more than allowed before authentication', '000088b9'],
    ['no whole block', '0000000d'],
  ])('a packet_length of %s is refused with its four bytes', (_, length) => {
    const server = new Side('server').start();
    server.receive(utf8('SSH-2.0-x\r\n'));
    expect(codeThrown(() => server.receive(Buffer.from(length, 'hex')))).toBe('ssh.malformed');
  });

  test.each([
    ['padding of 3 bytes', [3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['packet without payload', [12, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['packet without payload', [11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
  ])('%s: %j is refused', (why, body) => {
    const server = new Side('server').start();
    server.receive(utf8('SSH-2.0-x\r\n'));
    expect(() => server.receive(Uint8Array.of(0, 0, 0, 12, ...body))).toThrow(why);
  });

  test('packets up to maxPacket pass only after USERAUTH_SUCCESS', () => {
    const { client, server } = connected();
    server.machine.send(data(34_000));
    settle(client, server);
    expect(client.payloads.at(-1)?.length).toBe(34_000);
    server.machine.send(Uint8Array.of(52));
    server.machine.send(data(200_000));
    settle(client, server);
    expect(client.payloads.at(-1)?.length).toBe(200_000);

    const early = connected();
    early.server.machine.send(data(40_000));
    expect(codeThrown(() => settle(early.client, early.server))).toBe('ssh.malformed');
  });

  test('a client cannot lift the bound by sending USERAUTH_SUCCESS itself', () => {
    const { client, server } = connected();
    client.machine.send(Uint8Array.of(52));
    settle(client, server);
    client.machine.send(data(40_000));
    expect(codeThrown(() => settle(client, server))).toBe('ssh.malformed');
  });

  test('whatever bit of a packet is flipped, it is refused', () => {
    for (const cipher of ['aes128-gcm@openssh.com', 'aes256-ctr', 'chacha20-poly1305@openssh.com']) {
      for (let at = 0; at < 52; at++) {
        const { client, server } = connected({ lists: { cipher: [cipher] } });
        client.machine.send(data(20));
        const bytes = client.output();
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
        const code = codeThrown(() => server.receive(bytes));
        // a changed length may also just wait for a longer packet
        expect(['ssh.bad-mac', 'ssh.malformed', ...(at < 4 ? ['nothing thrown'] : [])]).toContain(code);
        expect(server.payloads).toEqual([]);
      }
    }
  });

  test('the padding of two equal payloads differs', () => {
    const client = new Side('client').start();
    const again = new Side('client').start();
    client.receive(utf8('SSH-2.0-x\r\n'));
    again.receive(utf8('SSH-2.0-x\r\n'));
    const [one, two] = [client.output(), again.output()];
    expect(one.length).toBe(two.length);
    expect(one.subarray(-4)).not.toEqual(two.subarray(-4));
  });
});

describe('messages', () => {
  test('an unknown transport message is answered with UNIMPLEMENTED and its sequence number', () => {
    // sequence numbers start at 0 again with strict KEX, and EXT_INFO took the first
    const { client, server } = connected();
    client.machine.send(data(10));
    client.machine.send(Uint8Array.of(18, 1, 2));
    const reply = vi.spyOn(server.machine, 'send');
    settle(client, server);
    expect(reply.mock.calls.map(([payload]) => [...payload])).toEqual([[3, 0, 0, 0, 2]]);
    expect(server.payloads.map((payload) => payload.length)).toEqual([10]);
  });

  test('IGNORE, DEBUG and UNIMPLEMENTED never come out', () => {
    const { client, server } = connected();
    for (const number of [2, 3, 4]) client.machine.send(Uint8Array.of(number, 0, 0, 0, 0, 0, 0, 0, 0));
    client.machine.send(Uint8Array.of(94, 7));
    settle(client, server);
    expect(server.payloads).toEqual([Uint8Array.of(94, 7)]);
  });

  test('PING is answered with PONG and the same data, and neither comes out', () => {
    const { client, server } = connected();
    client.machine.send(new Writer().u8(192).text('quiet').finish());
    server.receive(client.output());
    const pong = server.output();
    expect(pong.length).toBe(4 + 16 + 16);
    client.receive(pong);
    expect(client.payloads).toEqual([]);
    expect(server.payloads).toEqual([]);
  });

  test('PING with a length that lies is refused', () => {
    const { client, server } = connected();
    client.machine.send(Uint8Array.of(192, 0, 0, 1, 0, 1));
    expect(codeThrown(() => settle(client, server))).toBe('ssh.malformed');
  });

  test('a flood of PINGs that nobody reads the answers of costs no memory', () => {
    const { client, server } = connected({ limits: { highWater: 65_536 } });
    const ping = new Writer().u8(192).string(new Uint8Array(30_000)).finish();
    for (let i = 0; i < 100; i++) {
      client.machine.send(ping);
      server.receive(client.output());
    }
    expect(server.machine.pendingBytes).toBeLessThan(65_536 + 31_000);
  });

  test('EXT_INFO of both sides arrives', () => {
    const { client, server } = connected();
    expect(text(client.machine.peerExtensions.get('from') ?? utf8(''))).toBe('server');
    expect(text(server.machine.peerExtensions.get('from') ?? utf8(''))).toBe('client');
  });

  test('the ninth EXT_INFO ends the connection', () => {
    const { client, server } = connected();
    for (let i = 0; i < 7; i++) client.machine.send(Uint8Array.of(7, 0, 0, 0, 0));
    settle(client, server);
    client.machine.send(Uint8Array.of(7, 0, 0, 0, 0));
    expect(codeThrown(() => settle(client, server))).toBe('ssh.protocol');
  });

  test('DISCONNECT comes out with its reason, without control characters, and ends everything', () => {
    const { client, server } = connected();
    client.machine.end({ reason: 11, message: 'good\u001b[31mbye\n' });
    settle(client, server);
    expect(server.disconnected).toEqual({ reason: 11, message: 'good?[31mbye?' });
    server.machine.send(data(10));
    expect(server.output().length).toBe(0);
  });
});

describe('the first key exchange', () => {
  test('IGNORE before KEXINIT is refused once strict KEX is known (Terrapin)', () => {
    const server = new Side('server').start();
    const client = new Side('client').start();
    server.receive(utf8('SSH-2.0-client\r\n'));
    server.receive(plain(ignore));
    client.receive(server.output());
    const hello = client.output();
    const kexinit = hello.subarray(hello.indexOf(10) + 1);
    expect(codeThrown(() => server.receive(kexinit))).toBe('ssh.protocol');
  });

  test('IGNORE between KEXINIT and NEWKEYS is refused with strict KEX (Terrapin)', () => {
    const server = new Side('server').start();
    const client = new Side('client').start();
    client.receive(server.output());
    server.receive(client.output());
    expect(server.machine.keying.strict).toBe(true);
    expect(codeThrown(() => server.receive(plain(ignore)))).toBe('ssh.protocol');
  });

  test('IGNORE within the first exchange is fine for a peer without strict KEX', () => {
    const server = new Side('server').start();
    const client = new Side('client').start();
    client.receive(server.output());
    const hello = Buffer.from(client.output());
    const marker = hello.indexOf('kex-strict-c-v00@openssh.com');
    hello.write('kex-stricT', marker);
    server.receive(hello);
    expect(server.machine.keying.strict).toBe(false);
    server.receive(plain(ignore));
  });

  test('anything but the exchange is refused before it is over', () => {
    for (const number of [5, 6, 7, 50, 52, 80, 90, 94, 192]) {
      const server = new Side('server').start();
      server.receive(utf8('SSH-2.0-client\r\n'));
      expect(codeThrown(() => server.receive(plain(Uint8Array.of(number, 0, 0, 0, 0))))).toBe('ssh.protocol');
    }
  });

  test('NEWKEYS and kex messages out of turn are refused', () => {
    for (const number of [21, 30, 31, 34]) {
      const server = new Side('server').start();
      server.receive(utf8('SSH-2.0-client\r\n'));
      expect(codeThrown(() => server.receive(plain(Uint8Array.of(number))))).toBe('ssh.protocol');
    }
  });

  test('a second KEXINIT within an exchange is refused', () => {
    const server = new Side('server').start();
    const client = new Side('client').start();
    client.receive(server.output());
    const hello = client.output();
    server.receive(hello);
    expect(codeThrown(() => server.receive(hello.subarray(hello.indexOf(10) + 1)))).toBe('ssh.protocol');
  });

  test('a signature by another key than the host key is found out', () => {
    const server = new Side('server').start();
    server.signingKey = generateKeyPairSync('ed25519').privateKey;
    const client = new Side('client').start();
    expect(codeThrown(() => settle(client, server))).toBe('ssh.host-key-signature');
    expect(client.questions).toEqual([]);
  });

  test('an untrusted host key ends the connection before NEWKEYS', () => {
    const server = new Side('server').start();
    const client = new Side('client').start();
    client.trust = false;
    expect(codeThrown(() => settle(client, server))).toBe('ssh.host-key-refused');
    expect(client.output().length).toBe(0);
    expect(server.established).toBe(false);
  });

  test('nothing is looked at while the host key is judged', () => {
    const server = new Side('server').start();
    const client = new Side('client').start();
    client.answersItself = false;
    settle(client, server);
    expect(client.questions.map((question) => question.ask)).toEqual(['host-key']);
    expect(client.machine.keying.negotiated).toBeUndefined();
    client.answer();
    settle(client, server);
    expect([client.established, server.established]).toEqual([true, true]);
  });

  test('what follows in the same read is kept while the host key is judged, also if the buffer is used again', () => {
    const server = new Side('server').start();
    const client = new Side('client').start();
    client.answersItself = false;
    client.receive(server.output());
    server.receive(client.output());
    const read = Buffer.from(server.output());
    client.receive(read);
    read.fill(0);
    client.answer();
    settle(client, server);
    expect([client.established, server.established]).toEqual([true, true]);
  });

  test('no common algorithm is named', () => {
    const server = new Side('server', { lists: { cipher: ['aes256-ctr'] } }).start();
    const client = new Side('client', { lists: { cipher: ['aes128-gcm@openssh.com'] } }).start();
    expect(() => settle(client, server)).toThrow(
      'cipher to server: client has aes128-gcm@openssh.com, server has aes256-ctr',
    );
  });

  test('a wrong guess of the client is skipped (first_kex_packet_follows)', () => {
    const server = new Side('server', { lists: { kex: ['curve25519-sha256'] } }).start();
    const client = new Side('client', { lists: { kex: ['ecdh-sha2-nistp256', 'curve25519-sha256'] } }).start();
    // the flag is not authenticated before the hash: rewriting it changes the transcript, so only the skip is observed
    client.receive(server.output());
    const hello = Buffer.from(client.output());
    const kexinit = hello.subarray(hello.indexOf(10) + 1);
    const end = 4 + kexinit.readUInt32BE(0) - (kexinit[4] ?? 0);
    const first = Buffer.from(kexinit.subarray(0, 4 + kexinit.readUInt32BE(0)));
    first[end - 5] = 1;
    server.receive(concat([hello.subarray(0, hello.indexOf(10) + 1), first]));
    server.receive(plain(new Writer().u8(30).string(data(65)).finish()));
    expect(server.questions).toEqual([]);
    server.receive(kexinit.subarray(4 + kexinit.readUInt32BE(0)));
    expect(server.output().length).toBeGreaterThan(0);
  });

  test('it has to be over in time', () => {
    const server = new Side('server', { limits: { handshakeMs: 500 } }).start();
    server.clock = 1499;
    server.machine.tick();
    server.clock = 1500;
    expect(codeThrown(() => server.machine.tick())).toBe('ssh.handshake-timeout');
  });
});
