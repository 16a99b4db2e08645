/** Every parser of NTLM, SPNEGO and CredSSP: what it reads back, what it refuses, and that no bytes make it throw. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, empty, fromHex, hex, utf8 } from '../../../src/base/bytes.ts';
import { Secret } from '../../../src/base/secret.ts';
import { answerChallenge, ourNegotiate } from '../../../src/protocol/ntlm/client-exchange.ts';
import { claimIn, challengeFor } from '../../../src/protocol/ntlm/server-exchange.ts';
import { isRefusal } from '../../../src/base/errors.ts';
import {
  av,
  avFlags,
  avText,
  decodeAvPairs,
  decodeClientChallenge,
  encodeAvPairs,
  encodeClientChallenge,
} from '../../../src/protocol/ntlm/wire/av-pairs.ts';
import { decodeCertificate } from '../../../src/protocol/ntlm/wire/certificate.ts';
import {
  decodeAuthenticate,
  decodeChallenge,
  decodeNegotiate,
  encodeAuthenticate,
  encodeChallenge,
  flag,
} from '../../../src/protocol/ntlm/wire/messages.ts';
import { decodeSpnego, encodeInit, encodeMechList, encodeResp, mech } from '../../../src/protocol/ntlm/wire/spnego.ts';
import { utf16FromUtf8, utf8FromUtf16 } from '../../../src/protocol/ntlm/wire/transcode.ts';
import { decodeTsCredentials, encodeTsCredentials } from '../../../src/protocol/ntlm/wire/ts-credentials.ts';
import {
  decodeTsRequest,
  encodeTsRequest,
  largestTsRequest,
  tsRequestLength,
} from '../../../src/protocol/ntlm/wire/ts-request.ts';
import { der, tag } from '../../../src/protocol/wire/der.ts';
import { isViolation } from '../../../src/protocol/wire/violation.ts';
import { acceptor, certificate, chance, initiator, login, never, now } from './stage.ts';

const bytes = (digits: string): Uint8Array => fromHex(digits.replaceAll(/\s/g, '')) ?? empty;

/** CHALLENGE_MESSAGE of MS-NLMP §4.2.4.3. */
const printedChallenge = bytes(`
  4e544c4d5353500002000000 0c000c0038000000 33828ae2 0123456789abcdef 0000000000000000 2400240044000000
  060070170000000f 530065007200760065007200 02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000`);

const request = encodeTsRequest({
  version: 6,
  negoToken: utf8('token'),
  authInfo: utf8('auth'),
  pubKeyAuth: new Uint8Array(300).fill(3),
  errorCode: 0xc000006d,
  clientNonce: new Uint8Array(32),
});
const init = encodeInit({
  mechList: encodeMechList([mech.kerberos, mech.ntlm]),
  token: utf8('token'),
  mic: new Uint8Array(16),
});
const resp = encodeResp({ state: 1, mech: mech.ntlm, token: utf8('token'), mic: new Uint8Array(16) });
const pairs = encodeAvPairs(
  new Map([
    [av.netbiosDomain, avText('Domain')],
    [av.timestamp, new Uint8Array(8)],
  ]),
);
const blob = encodeClientChallenge({ timestamp: now, challenge: new Uint8Array(8), pairs: new Map() });
const authenticate = encodeAuthenticate({
  flags: 0xe2088235,
  lmResponse: new Uint8Array(24),
  ntResponse: concat([new Uint8Array(16), blob]),
  domain: 'Domain',
  user: 'User',
  workstation: 'COMPUTER',
  encryptedKey: new Uint8Array(16),
});
const credentials = encodeTsCredentials({ domain: 'D', user: 'alice', password: avText('secret') });

test('the challenge that MS-NLMP prints is read, and our own is read back', () => {
  const challenge = decodeChallenge(printedChallenge);
  if (isViolation(challenge)) throw new Error(challenge.violation);
  expect(challenge.targetName).toBe('Server');
  expect(hex(challenge.serverChallenge)).toBe('0123456789abcdef');
  const info = decodeAvPairs(challenge.targetInfo);
  expect(isViolation(info) ? info : [...info.keys()]).toEqual([av.netbiosDomain, av.netbiosComputer]);
  expect(decodeChallenge(encodeChallenge(challenge))).toEqual(challenge);
});

test('an answer to an old server, without a version and a MIC, is read as such', () => {
  const old = encodeAuthenticate({
    flags: 0x1,
    lmResponse: empty,
    ntResponse: empty,
    domain: '',
    user: '',
    workstation: '',
    encryptedKey: empty,
  }).slice(0, 64);
  expect(decodeAuthenticate(old)).toMatchObject({ micAt: undefined, user: '' });
  expect(decodeAuthenticate(authenticate)).toMatchObject({ micAt: 72, user: 'User', domain: 'Domain' });
});

test('text in a code page is refused', () => {
  const flags = (message: Uint8Array, at: number): Uint8Array => message.with(at, (message[at] ?? 0) & ~1);
  expect(decodeChallenge(flags(printedChallenge, 20))).toEqual({ violation: 'text is not Unicode' });
  expect(decodeAuthenticate(flags(authenticate, 60))).toEqual({ violation: 'text is not Unicode' });
});

test('a field of a message may lie in neither its header nor outside', () => {
  for (const at of [0, 12, 63, authenticate.length - 3, 0xffffffff]) {
    const message = new Uint8Array(authenticate);
    new DataView(message.buffer).setUint32(12 + 4, at, true);
    expect(decodeAuthenticate(message), `offset ${at}`).toHaveProperty('violation');
  }
});

test('AV pairs that come twice, without an end, or in hundreds are refused', () => {
  expect(decodeAvPairs(bytes('0200000002000000 00000000'))).toHaveProperty('violation');
  expect(decodeAvPairs(bytes('02000000'))).toHaveProperty('violation');
  expect(decodeAvPairs(bytes('00000100 aa'))).toHaveProperty('violation');
  const many = new Map(Array.from({ length: 33 }, (_, i) => [i + 1, empty] as const));
  expect(decodeAvPairs(encodeAvPairs(many))).toHaveProperty('violation');
  expect(avFlags(new Map([[av.flags, Uint8Array.of(2)]]))).toBe(0);
});

test('a TSRequest is read back with every field, and its error code has four bytes', () => {
  expect(decodeTsRequest(request)).toEqual({
    version: 6,
    negoToken: utf8('token'),
    authInfo: utf8('auth'),
    pubKeyAuth: new Uint8Array(300).fill(3),
    errorCode: 0xc000006d,
    clientNonce: new Uint8Array(32),
  });
  expect(hex(request)).toContain('a4060204c000006d');
  // a peer that writes DER by the book has five
  expect(decodeTsRequest(bytes('300e a003020106 a407020500c000006d'))).toMatchObject({ errorCode: 0xc000006d });
  expect(decodeTsRequest(bytes('300f a003020106 a408020601c000006d00'))).toHaveProperty('violation');
});

test('a TSRequest with two tokens, bytes after a field, or fields that nobody knows is refused', () => {
  const version = bytes('a003020106');
  const token = bytes('3005a0030401aa');
  const whole = (...fields: readonly Uint8Array[]): Uint8Array => der(tag.sequence, version, ...fields);
  const tokens = (...each: readonly Uint8Array[]): Uint8Array => der(tag.context(1), der(tag.sequence, ...each));
  expect(decodeTsRequest(whole(tokens(token)))).toMatchObject({ negoToken: Uint8Array.of(0xaa) });
  expect(decodeTsRequest(whole(tokens(token, token)))).toHaveProperty('violation');
  expect(decodeTsRequest(whole(tokens()))).toHaveProperty('violation');
  expect(decodeTsRequest(whole(bytes('a205040100 0400')))).toHaveProperty('violation');
  expect(decodeTsRequest(whole(bytes('a603020101')))).toHaveProperty('violation');
  // fields have an order
  expect(decodeTsRequest(whole(bytes('a303040100'), bytes('a203040100')))).toHaveProperty('violation');
});

test('a TSRequest is cut out of a stream by its own length, and a large one is refused before it has come', () => {
  for (let end = 0; end < 4; end++) expect(tsRequestLength(request.subarray(0, end))).toBeUndefined();
  expect(tsRequestLength(request.subarray(0, 4))).toBe(request.length);
  expect(tsRequestLength(bytes('30840000fffa'))).toBe(largestTsRequest);
  expect(tsRequestLength(bytes('30840000fffb'))).toBe('broken');
  expect(tsRequestLength(bytes('3080'))).toBe('broken');
  expect(tsRequestLength(bytes('16'))).toBe('broken');
  expect(decodeTsRequest(concat([request, Uint8Array.of(0)]))).toHaveProperty('violation');
  expect(decodeTsRequest(new Uint8Array(largestTsRequest + 1))).toHaveProperty('violation');
});

test('SPNEGO is read back in both forms, the list of mechanisms as it was sent', () => {
  expect(decodeSpnego(init)).toEqual({
    kind: 'init',
    mechList: encodeMechList([mech.kerberos, mech.ntlm]),
    mechs: [mech.kerberos, mech.ntlm],
    token: utf8('token'),
    mic: new Uint8Array(16),
  });
  const read = { state: 1, mech: mech.ntlm, token: utf8('token'), mic: new Uint8Array(16) };
  expect(decodeSpnego(resp)).toEqual({ kind: 'resp', ...read });
  const none = { state: undefined, mech: undefined, token: undefined, mic: undefined };
  expect(decodeSpnego(encodeResp(none))).toEqual({ kind: 'resp', ...none });
  const seventeen = encodeMechList(Array.from({ length: 17 }, () => mech.ntlm));
  expect(decodeSpnego(encodeInit({ mechList: seventeen, token: undefined, mic: undefined }))).toHaveProperty(
    'violation',
  );
});

test('delegated credentials are read back, and other types are told apart', () => {
  expect(decodeTsCredentials(credentials)).toEqual({
    kind: 'password',
    domain: 'D',
    user: 'alice',
    password: avText('secret'),
  });
  expect(decodeTsCredentials(bytes('3009 a003020106 a1020400'))).toEqual({ kind: 'other', type: 6 });
});

test('a certificate gives its public key and the hash to bind to', () => {
  expect(decodeCertificate(certificate.der)).toEqual({
    subjectPublicKey: certificate.publicKey,
    endPointHash: 'sha256',
  });
});

test('text goes to UTF-16 and back unchanged, and text that is not well-formed goes nowhere', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const there = utf16FromUtf8(utf8(text));
      expect(hex(there ?? empty)).toBe(hex(avText(text)));
      expect(hex(utf8FromUtf16(there ?? empty) ?? empty)).toBe(hex(utf8(text)));
    }),
  );
  for (const bad of ['80', 'c0af', 'c3', 'e0809f', 'eda080', 'f08fbfbf', 'f4908080', 'f5808080', 'e282', 'c341'])
    expect(utf16FromUtf8(bytes(bad)), bad).toBeUndefined();
  for (const bad of ['41', '00d8', '00dc', '00d84100', '00d800d8'])
    expect(utf8FromUtf16(bytes(bad)), bad).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (some) => {
      const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
      const valid = ((): boolean => {
        try {
          decoder.decode(some);
          return true;
        } catch {
          return false;
        }
      })();
      expect(utf16FromUtf8(some) !== undefined).toBe(valid);
    }),
    { numRuns: 2000 },
  );
});

const parsers = {
  negotiate: [decodeNegotiate, ourNegotiate()],
  challenge: [decodeChallenge, printedChallenge],
  authenticate: [decodeAuthenticate, authenticate],
  'AV pairs': [decodeAvPairs, pairs],
  'client challenge': [decodeClientChallenge, blob],
  'SPNEGO init': [decodeSpnego, init],
  'SPNEGO resp': [decodeSpnego, resp],
  TSRequest: [decodeTsRequest, request],
  TSCredentials: [decodeTsCredentials, credentials],
  certificate: [decodeCertificate, certificate.der],
} as const;

/** How many bytes an answer holds: never more than came in, but for the text, which has one character for two of them. */
function size(value: unknown): number {
  if (value instanceof Uint8Array) return value.length;
  if (typeof value === 'string') return 0;
  if (value instanceof Map) return [...value.values()].reduce((sum: number, each) => sum + size(each), 0);
  if (typeof value === 'object' && value !== null)
    return Object.values(value).reduce((sum: number, each) => sum + size(each), 0);
  return 0;
}

test.each(Object.keys(parsers) as (keyof typeof parsers)[])('no bytes make the parser of %s throw', (name) => {
  const [parse, good] = parsers[name];
  expect(isViolation(parse(good))).toBe(false);
  const property = (some: Uint8Array): void => {
    const before = hex(some);
    const read = parse(some);
    // each field can point to the same payload
    expect(size(read)).toBeLessThanOrEqual(6 * some.length);
    expect(hex(some)).toBe(before);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), property));
  const flips = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(flips, fc.nat(good.length), (changes, cut) => {
      const some = new Uint8Array(good);
      for (const [at, value] of changes) some[at] = value;
      property(some);
      property(some.subarray(0, cut));
      // inside a larger buffer, whose other bytes must stay unread
      property(concat([some, new Uint8Array(64)]).subarray(0, cut));
    }),
    { numRuns: 500 },
  );
});

test.each([
  'AV pairs',
  'SPNEGO init',
  'SPNEGO resp',
  'TSRequest',
  'TSCredentials',
  'certificate',
  'challenge',
] as const)('every truncation of %s is a violation', (name) => {
  const [parse, good] = parsers[name];
  // the printed challenge ends with its pairs, whose end mark is theirs
  for (let end = 0; end < good.length; end++)
    expect(isViolation(parse(good.subarray(0, end))), `${end} bytes`).toBe(true);
});

test('every truncation and every altered byte of a login ends in a refusal', async () => {
  const good = await login(initiator(), acceptor());
  for (const [n, sent] of good.sent.entries()) {
    for (let at = 0; at < sent.length; at += sent.length > 300 ? 13 : 3) {
      for (const change of ['cut', 'flip']) {
        const ended = await login(initiator(), acceptor(), (message, direction, number) => {
          if (direction !== 'up' || number !== n) return message;
          return change === 'cut' ? message.subarray(0, at) : message.with(at, (message[at] ?? 0) ^ 0x40);
        });
        expect(ended.server.refused, `${change} message ${n} at ${at}`).toBeDefined();
      }
    }
  }
});

test('a hostile server makes our client throw nothing', () => {
  const challenge = challengeFor(ourNegotiate(), { netbios: 'S', dns: 's' }, now, chance);
  if (isRefusal(challenge)) throw new Error(challenge.reason);
  using password = Secret.fromText('x');
  const client = { user: 'u', domain: '', password, service: 'TERMSRV/s', bindings: undefined, now, chance };
  fc.assert(
    fc.property(fc.nat(challenge.challenge.length - 1), fc.nat(255), (at, value) => {
      const hostile = challenge.challenge.with(at, value);
      const answered = answerChallenge(client, ourNegotiate(), hostile);
      if (!isRefusal(answered)) expect(claimIn(answered.authenticate, challenge, empty)).toBeDefined();
    }),
    { numRuns: 1000 },
  );
  const vast = encodeChallenge({
    flags: (0xe2088235 | flag.targetInfo) >>> 0,
    targetName: 'S',
    serverChallenge: new Uint8Array(8),
    targetInfo: encodeAvPairs(new Map([[1, new Uint8Array(65000)]])),
  });
  expect(answerChallenge(client, ourNegotiate(), vast)).toMatchObject({ refused: true, code: 'ntlm.malformed' });
});

test('a stranger makes the acceptor throw nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 2, max: 6 }), async (some, version) => {
      const server = acceptor();
      const step = await server.step(encodeTsRequest({ version, negoToken: some }), never);
      expect(step.refused).toBeDefined();
    }),
  );
});
