/** Packet protection and key exchange methods, each alone, against published vectors and node's own AEAD. */
import { createCipheriv, ECDH, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { kexNames } from '../../../../src/protocol/ssh/transport/algorithms.ts';
import { keySizes, makeOpener, makeSealer } from '../../../../src/protocol/ssh/transport/ciphers.ts';
import { type Agreed, kexMethod } from '../../../../src/protocol/ssh/transport/exchange.ts';
import { poly1305 } from '../../../../src/protocol/ssh/transport/poly1305.ts';
import { isViolation } from '../../../../src/protocol/ssh/wire/reader.ts';

const fromHex = (digits: string): Buffer => Buffer.from(digits, 'hex');

describe('poly1305', () => {
  // RFC 8439 §2.5.2 and those of appendix A.3 that carry around the prime
  test.each([
    [
      '85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b',
      Buffer.from('Cryptographic Forum Research Group').toString('hex'),
      'a8061dc1305136c6c22b8baf0c0127a9',
    ],
    ['0200000000000000000000000000000000000000000000000000000000000000', 'ff'.repeat(16), `03${'00'.repeat(15)}`],
    [`02${'00'.repeat(15)}${'ff'.repeat(16)}`, `02${'00'.repeat(15)}`, `03${'00'.repeat(15)}`],
    [`01${'00'.repeat(31)}`, `${'ff'.repeat(16)}f0${'ff'.repeat(15)}11${'00'.repeat(15)}`, `05${'00'.repeat(15)}`],
    [`01${'00'.repeat(31)}`, `${'ff'.repeat(16)}fb${'fe'.repeat(15)}${'01'.repeat(16)}`, '00'.repeat(16)],
    [`02${'00'.repeat(31)}`, `fd${'ff'.repeat(15)}`, `fa${'ff'.repeat(15)}`],
    [
      `0100000000000000040000000000000000000000000000000000000000000000`,
      'e33594d7505e43b900000000000000003394d7505e4379cd01000000000000000000000000000000000000000000000001000000000000000000000000000000',
      '14000000000000005500000000000000',
    ],
    [
      `0100000000000000040000000000000000000000000000000000000000000000`,
      'e33594d7505e43b900000000000000003394d7505e4379cd010000000000000000000000000000000000000000000000',
      '13000000000000000000000000000000',
    ],
  ])('vector %#', (key, data, tag) => {
    expect(Buffer.from(poly1305(fromHex(key), fromHex(data))).toString('hex')).toBe(tag);
  });

  test('agrees with the AEAD of node:crypto on random and on extreme data', () => {
    for (let i = 0; i < 400; i++) {
      const key = i % 3 === 0 ? Buffer.alloc(32, 0xff) : randomBytes(32);
      const nonce = randomBytes(12);
      const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
      const data = cipher.update(i % 5 === 0 ? Buffer.alloc(i, 0xff) : randomBytes(i));
      cipher.final();
      const iv = Buffer.concat([Buffer.alloc(4), nonce]);
      const oneTimeKey = createCipheriv('chacha20', key, iv).update(Buffer.alloc(32));
      const lengths = Buffer.alloc(16);
      lengths.writeUInt32LE(data.length, 8);
      const whole = Buffer.concat([data, Buffer.alloc((16 - (data.length % 16)) % 16), lengths]);
      expect(Buffer.from(poly1305(oneTimeKey, whole))).toEqual(cipher.getAuthTag());
    }
  });
});

describe.each([
  ['aes128-gcm@openssh.com', ''],
  ['aes256-gcm@openssh.com', ''],
  ['aes128-ctr', 'hmac-sha2-256-etm@openssh.com'],
  ['aes192-ctr', 'hmac-sha2-512-etm@openssh.com'],
  ['aes256-ctr', 'hmac-sha2-512-etm@openssh.com'],
  ['aes128-ctr', 'hmac-sha2-256'],
  ['aes256-ctr', 'hmac-sha2-512'],
  ['chacha20-poly1305@openssh.com', ''],
])('%s %s', (cipher, mac) => {
  const sizes = keySizes(cipher, mac);
  const material = { key: randomBytes(sizes.key), iv: randomBytes(sizes.iv), mac: randomBytes(sizes.mac) };
  const sealed = (body: Uint8Array, count: number): Uint8Array[] => {
    const sealer = makeSealer(cipher, mac, material);
    return Array.from({ length: count }, (_, sequence) => {
      const out = new Uint8Array(4 + body.length + sealer.tag);
      sealer.seal(body, sequence, out, 0);
      return out;
    });
  };

  test('opens what it sealed, and equal packets do not look equal', () => {
    const body = randomBytes(64);
    const packets = sealed(body, 300);
    const opener = makeOpener(cipher, mac, material);
    for (const [sequence, packet] of packets.entries()) {
      expect(opener.length(packet, 0, sequence)).toBe(64);
      expect(Buffer.from(opener.open(packet, 0, 64, sequence) ?? [])).toEqual(body);
    }
    expect(new Set(packets.map((packet) => Buffer.from(packet).toString('hex'))).size).toBe(300);
  });

  test('a replayed packet is refused', () => {
    const [first = new Uint8Array(0)] = sealed(randomBytes(64), 1);
    const opener = makeOpener(cipher, mac, material);
    opener.length(first, 0, 0);
    expect(opener.open(first, 0, 64, 0)).toBeDefined();
    opener.length(first, 0, 1);
    expect(opener.open(first, 0, 64, 1)).toBeUndefined();
  });
});

describe.each(kexNames)('%s', (name) => {
  test('both sides come to the same secret, and to another one each time', () => {
    const secrets = new Set<string>();
    for (let i = 0; i < 5; i++) {
      const method = kexMethod(name);
      const client = method.start();
      const server = method.respond(client.share);
      if (isViolation(server)) throw new Error(server.violation);
      const agreed = client.finish(server.share) as Agreed;
      expect(Buffer.from(agreed.encodedSecret)).toEqual(Buffer.from(server.encodedSecret));
      secrets.add(Buffer.from(agreed.encodedSecret).toString('hex'));
    }
    expect(secrets.size).toBe(5);
  });

  test('shares of the wrong length, of zeros, or that are no point are violations', () => {
    const method = kexMethod(name);
    const client = method.start();
    const server = method.respond(client.share);
    if (isViolation(server)) throw new Error(server.violation);
    const bad = (share: Uint8Array): Uint8Array[] => {
      const compressed = new Uint8Array(share);
      compressed[0] = (compressed[0] ?? 0) ^ 7;
      const zeroTail = new Uint8Array(share).fill(0, share.length - 32);
      return [
        share.subarray(1),
        new Uint8Array([...share, 0]),
        new Uint8Array(0),
        zeroTail,
        new Uint8Array(share.length),
      ].concat(name.startsWith('ecdh') ? [compressed] : []);
    };
    for (const share of bad(client.share)) expect(isViolation(method.respond(share)), 'client share').toBe(true);
    for (const share of bad(server.share)) expect(isViolation(client.finish(share)), 'server share').toBe(true);
  });
});

test.each([
  ['ecdh-sha2-nistp256', 'prime256v1'],
  ['ecdh-sha2-nistp384', 'secp384r1'],
  ['ecdh-sha2-nistp521', 'secp521r1'],
])('%s: a compressed point is refused, though it is on the curve', (name, curve) => {
  const compressed = ECDH.convertKey(kexMethod(name).start().share, curve, undefined, undefined, 'compressed');
  expect(isViolation(kexMethod(name).respond(Buffer.from(compressed as Buffer)))).toBe(true);
});

test('an ML-KEM key with coefficients out of range is refused (FIPS 203 §7.2)', () => {
  const method = kexMethod('mlkem768x25519-sha256');
  const share = new Uint8Array(method.start().share).fill(0xff, 0, 1152);
  expect(isViolation(method.respond(share))).toBe(true);
});
