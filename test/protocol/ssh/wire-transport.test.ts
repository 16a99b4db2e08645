/** The transport layer's codecs: round trips, every truncation, random bytes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, utf8 } from '../../../src/base/bytes.ts';
import { agree, decodeKexinit, encodeKexinit, type Kexinit } from '../../../src/protocol/ssh/wire/kexinit.ts';
import { paddingFor, payloadOf, refuseLength } from '../../../src/protocol/ssh/wire/packet.ts';
import { isViolation, Reader } from '../../../src/protocol/ssh/wire/reader.ts';
import {
  decodeDisconnect,
  decodeExtInfo,
  decodeKexInit,
  decodeKexReply,
  encodeDisconnect,
  encodeExtInfo,
  encodeKexInit,
  encodeKexReply,
  pongFor,
} from '../../../src/protocol/ssh/wire/transport-messages.ts';
import { type Greeting, noGreeting, readVersion, type VersionFound } from '../../../src/protocol/ssh/wire/version.ts';
import { Writer } from '../../../src/protocol/ssh/wire/writer.ts';

const name = fc.stringMatching(/^[a-z0-9@.-]{1,20}$/);
const names = fc.array(name, { maxLength: 6 });
const kexinits: fc.Arbitrary<Kexinit> = fc.record({
  cookie: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  kex: names,
  hostKey: names,
  cipherToServer: names,
  cipherToClient: names,
  macToServer: names,
  macToClient: names,
  compressionToServer: names,
  compressionToClient: names,
  languagesToServer: names,
  languagesToClient: names,
  firstKexPacketFollows: fc.boolean(),
});

describe('reader and writer', () => {
  test('what is written is read, for every type', () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.nat(0xffffffff),
        fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
        fc.boolean(),
        fc.uint8Array({ maxLength: 300 }),
        fc.string({ unit: 'binary' }),
        fc.uint8Array({ maxLength: 70 }),
        names,
        (u8, u32, u64, bool, string, text, magnitude, list) => {
          const writer = new Writer(1).u8(u8).u32(u32).u64(u64).bool(bool).string(string).text(text).mpint(magnitude);
          const bytes = writer.namelist(list).finish();
          const reader = new Reader(bytes);
          expect(reader.u8()).toBe(u8);
          expect(reader.u32()).toBe(u32);
          expect(reader.u64()).toBe(u64);
          expect(reader.bool()).toBe(bool);
          expect(reader.string(300)).toEqual(string);
          expect(reader.text(5000)).toBe(text);
          const shortest = magnitude.subarray(magnitude.findIndex((byte) => byte !== 0));
          expect(reader.mpint(70)).toEqual(magnitude.some((byte) => byte !== 0) ? shortest : new Uint8Array(0));
          expect(reader.namelist(500)).toEqual(list);
          reader.end();
          expect(reader.violation).toBeUndefined();
        },
      ),
    );
  });

  test('the first violation stays, and everything after it reads as nothing', () => {
    const reader = new Reader(Uint8Array.of(0, 0, 0, 9, 1, 2));
    expect(reader.string(100).length).toBe(0);
    expect(reader.violation).toBe('field runs past the end');
    expect([reader.u8(), reader.u32(), reader.bool(), reader.remaining]).toEqual([0, 0, false, 0]);
    expect(new Reader(Uint8Array.of(0xff, 0xff, 0xff, 0xff)).string(10).length).toBe(0);
  });

  test.each([
    ['negative', '0000000180'],
    ['padded with zero', '00000002007f'],
    ['zero as a byte', '0000000100'],
  ])('an mpint that is %s is a violation', (_, bytes) => {
    const reader = new Reader(Buffer.from(bytes, 'hex'));
    reader.mpint(100);
    expect(reader.violation).toBeDefined();
  });

  test.each([[','], ['a,,b'], ['a,'], ['a b'], ['a\u0000'], ['é']])('the name-list %j is a violation', (list) => {
    const reader = new Reader(new Writer().text(list).finish());
    reader.namelist(100);
    expect(reader.violation).toBeDefined();
  });

  test('a slice of what is read is a copy, also out of a Buffer', () => {
    const buffer = Buffer.from([0, 0, 0, 2, 5, 6]);
    const copy = new Reader(buffer).string(2).slice();
    buffer.fill(0);
    expect([...copy]).toEqual([5, 6]);
  });

  test('numbers that do not fit are a bug of ours', () => {
    for (const wrong of [-1, 256, 1.5, Number.NaN]) expect(() => new Writer().u8(wrong)).toThrow(RangeError);
    for (const wrong of [-1, 2 ** 32, 1.5]) expect(() => new Writer().u32(wrong)).toThrow(RangeError);
  });
});

describe('messages', () => {
  test('KEXINIT comes back as it went, and every truncation is a violation', () => {
    fc.assert(
      fc.property(kexinits, fc.nat(100), (kexinit, cut) => {
        const bytes = encodeKexinit(kexinit);
        expect(decodeKexinit(bytes)).toEqual(kexinit);
        expect(isViolation(decodeKexinit(bytes.subarray(0, Math.max(0, bytes.length - 1 - cut))))).toBe(true);
        expect(isViolation(decodeKexinit(concat([bytes, Uint8Array.of(0)])))).toBe(true);
      }),
    );
  });

  test('the others come back as they went, and every truncation is a violation', () => {
    const reply = { hostKey: utf8('key'), share: utf8('share'), signature: utf8('signature') };
    const extensions = new Map([['server-sig-algs', utf8('a,b')]]);
    const cases: [Uint8Array, (bytes: Uint8Array) => unknown, unknown][] = [
      [encodeDisconnect({ reason: 2, message: 'why' }), decodeDisconnect, { reason: 2, message: 'why' }],
      [encodeExtInfo(extensions), decodeExtInfo, extensions],
      [encodeKexInit(utf8('share')), decodeKexInit, utf8('share')],
      [encodeKexReply(reply), decodeKexReply, reply],
    ];
    for (const [bytes, decode, value] of cases) {
      expect(decode(bytes)).toEqual(value);
      if (decode === decodeDisconnect) continue;
      for (let length = 0; length < bytes.length; length++)
        expect(isViolation(decode(bytes.subarray(0, length))), `${length} bytes`).toBe(true);
    }
  });

  test('a DISCONNECT without language tag or words is understood: some peers send that', () => {
    expect(decodeDisconnect(Uint8Array.of(1, 0, 0, 0, 11))).toEqual({ reason: 11, message: '' });
    expect(isViolation(decodeDisconnect(Uint8Array.of(1, 0, 0, 0)))).toBe(true);
  });

  test('random bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [decodeKexinit, decodeDisconnect, decodeExtInfo, decodeKexInit, decodeKexReply, pongFor])
          decode(bytes);
      }),
      { numRuns: 500 },
    );
  });

  test('an EXT_INFO that announces four thousand million extensions allocates nothing', () => {
    expect(isViolation(decodeExtInfo(Uint8Array.of(7, 255, 255, 255, 255)))).toBe(true);
  });
});

describe('agreement', () => {
  const base: Kexinit = {
    cookie: new Uint8Array(16),
    kex: ['k1', 'k2'],
    hostKey: ['h1', 'h2'],
    cipherToServer: ['aead', 'ctr'],
    cipherToClient: ['ctr'],
    macToServer: ['m1'],
    macToClient: ['m2'],
    compressionToServer: ['none'],
    compressionToClient: ['none'],
    languagesToServer: [],
    languagesToClient: [],
    firstKexPacketFollows: false,
  };
  const needsMac = (cipher: string): boolean => cipher !== 'aead';

  test("the client's order wins, and a MAC is agreed on only where it is needed", () => {
    expect(agree({ ...base, kex: ['k2', 'k1'] }, { ...base, macToServer: [] }, needsMac)).toEqual({
      kex: 'k2',
      hostKey: 'h1',
      cipherToServer: 'aead',
      cipherToClient: 'ctr',
      macToServer: '',
      macToClient: 'm2',
      wrongGuess: true,
    });
  });

  test('markers are never chosen as a method', () => {
    const marker = ['kex-strict-c-v00@openssh.com', 'kex-strict-s-v00@openssh.com', 'ext-info-c', 'ext-info-s'];
    expect(isViolation(agree({ ...base, kex: marker }, { ...base, kex: marker }, needsMac))).toBe(true);
  });

  test.each(['kex', 'hostKey', 'cipherToServer', 'cipherToClient', 'macToClient', 'compressionToClient'] as const)(
    'nothing in common in %s is a violation',
    (list) => {
      expect(isViolation(agree({ ...base, [list]: ['other'] }, base, needsMac))).toBe(true);
    },
  );
});

describe('packets', () => {
  test('padding fills the blocks, with four bytes at least and as few as can be', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.constantFrom(8, 16), fc.boolean(), (payload, block, lengthInBlocks) => {
        const padding = paddingFor(payload, block, lengthInBlocks);
        expect(((lengthInBlocks ? 4 : 0) + 1 + payload + padding) % block).toBe(0);
        expect(padding).toBeGreaterThanOrEqual(4);
        expect(padding).toBeLessThan(block + 4);
        if (payload > 0) expect(refuseLength(1 + payload + padding, block, lengthInBlocks, 6000)).toBeUndefined();
      }),
    );
  });

  test('a packet_length too small for any payload is refused, also where it fills whole blocks', () => {
    expect(refuseLength(0, 16, false, 100)).toBeDefined();
    expect(refuseLength(4, 8, true, 100)).toBeDefined();
  });

  test('the payload is what is between padding_length and padding', () => {
    expect(payloadOf(Uint8Array.of(4, 9, 8, 0, 0, 0, 0))).toEqual(Uint8Array.of(9, 8));
    expect(isViolation(payloadOf(Uint8Array.of(200, 9, 8, 0, 0, 0, 0)))).toBe(true);
    expect(isViolation(payloadOf(new Uint8Array(0)))).toBe(true);
  });
});

describe('version', () => {
  function read(pieces: readonly Uint8Array[], preface: boolean): VersionFound | Greeting | { violation: string } {
    let greeting: Greeting = noGreeting;
    for (const [i, piece] of pieces.entries()) {
      const found = readVersion(greeting, piece, preface);
      if (!('held' in found)) {
        if (isViolation(found)) return found;
        return { version: found.version, rest: concat([found.rest, ...pieces.slice(i + 1)]) };
      }
      greeting = found;
    }
    return greeting;
  }

  test('it is found at every split, with CR LF or LF, with lines before it for a client', () => {
    for (const line of ['SSH-2.0-x y\r\nrest', 'SSH-2.0-x y\nrest']) {
      for (const preface of ['', 'hello\r\n', 'SS\n\nSSh-2.0-no\n']) {
        const bytes = utf8(preface + line);
        for (let at = 0; at <= bytes.length; at++)
          expect(read([bytes.subarray(0, at), bytes.subarray(at)], true)).toEqual({
            version: utf8('SSH-2.0-x y'),
            rest: utf8('rest'),
          });
      }
    }
  });

  test.each([
    ['another protocol', 'GET / HTTP/1.1\r\n', false],
    ['another protocol, at its first byte', 'G', false],
    ['protocol 1', 'SSH-1.5-x\r\n', true],
    ['protocol 1.99 of a client', 'SSH-1.99-x\r\n', false],
    ['a control character', 'SSH-2.0-x\u0007\r\n', true],
    ['a NUL', 'SSH-2.0-x\u0000\r\n', true],
    ['256 characters', `SSH-2.0-${'x'.repeat(246)}\r\n`, true],
    ['a version without end', `SSH-2.0-${'x'.repeat(400)}`, true],
    ['a line without end', 'x'.repeat(1100), true],
    ['lines without end', 'x\n'.repeat(40), true],
  ])('%s is a violation', (_, line, preface) => {
    expect(isViolation(read([utf8(line)], preface))).toBe(true);
  });

  test('random bytes never throw and never make it hold more than a line', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 })), fc.boolean(), (pieces, preface) => {
        const found = read(pieces, preface);
        if ('held' in found) expect(found.held.length).toBeLessThanOrEqual(1024);
      }),
    );
  });
});
