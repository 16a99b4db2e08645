/** Messages of user authentication: there and back, cut short, and made up. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeAuthRequest,
  decodeBanner,
  decodeFailure,
  decodeInfoRequest,
  decodeInfoResponse,
  decodePasswordChange,
  decodeService,
  encodeBanner,
  encodeFailure,
  encodeInfoRequest,
  encodeInfoResponse,
  encodeKeyboardRequest,
  encodeNoneRequest,
  encodePasswordRequest,
  encodePublickeyRequest,
  encodeService,
  publickeySignedData,
} from '../../../../src/protocol/ssh/wire/auth.ts';
import { isViolation } from '../../../../src/protocol/ssh/wire/reader.ts';
import { Writer } from '../../../../src/protocol/ssh/wire/writer.ts';

const bytes = Uint8Array.of(1, 2, 3);
const common = { user: 'root@web-01', service: 'ssh-connection' } as const;

const requests: readonly (readonly [Uint8Array, object])[] = [
  [encodeNoneRequest(common.user, common.service), { method: 'none' }],
  [encodePasswordRequest(common.user, common.service, bytes), { method: 'password', password: bytes, change: false }],
  [encodeKeyboardRequest(common.user, common.service, 'pam'), { method: 'keyboard-interactive', submethods: 'pam' }],
  [
    encodePublickeyRequest(common.user, common.service, 'ssh-ed25519', bytes),
    { method: 'publickey', algorithm: 'ssh-ed25519', blob: bytes, signature: undefined },
  ],
  [
    encodePublickeyRequest(common.user, common.service, 'ssh-ed25519', bytes, bytes),
    { method: 'publickey', algorithm: 'ssh-ed25519', blob: bytes, signature: bytes },
  ],
];

const infoRequest = {
  name: 'n',
  instruction: 'i',
  prompts: [
    { text: 'Password: ', echo: false },
    { text: 'Code: ', echo: true },
  ],
};

/** Every message with the decoder that reads it. */
const readers: readonly (readonly [Uint8Array, (payload: Uint8Array) => unknown])[] = [
  ...requests.map(([payload]) => [payload, decodeAuthRequest] as const),
  [encodeService('request', 'ssh-userauth'), decodeService],
  [encodeFailure(['password', 'publickey'], true), decodeFailure],
  [encodeBanner('hello'), decodeBanner],
  [encodeInfoRequest(infoRequest), decodeInfoRequest],
  [encodeInfoResponse([bytes, bytes]), (payload) => decodeInfoResponse(payload, 2)],
  [new Writer().u8(60).text('new?').text('').finish(), decodePasswordChange],
];

test('every message comes back as it went', () => {
  for (const [payload, rest] of requests) expect(decodeAuthRequest(payload)).toEqual({ ...common, ...rest });
  expect(decodeService(encodeService('accept', 'ssh-userauth'))).toBe('ssh-userauth');
  expect(decodeFailure(encodeFailure(['a', 'b'], true))).toEqual({ methods: ['a', 'b'], partial: true });
  expect(decodeBanner(encodeBanner('grüß'))).toBe('grüß');
  expect(decodeInfoRequest(encodeInfoRequest(infoRequest))).toEqual(infoRequest);
  expect(decodeInfoResponse(encodeInfoResponse([bytes]), 1)).toEqual([bytes]);
});

test('every truncation and every extension is a violation', () => {
  for (const [payload, decode] of readers) {
    expect(isViolation(decode(payload))).toBe(false);
    for (let length = 1; length < payload.length; length++)
      expect(isViolation(decode(payload.subarray(0, length))), `${payload[0]} cut at ${length}`).toBe(true);
    expect(isViolation(decode(Uint8Array.of(...payload, 0)))).toBe(true);
  }
});

test('what is signed begins with the session and ends before the signature', () => {
  const session = new Uint8Array(32).fill(9);
  const signed = publickeySignedData(session, 'ana', 'ssh-connection', 'ssh-ed25519', bytes);
  const request = encodePublickeyRequest('ana', 'ssh-connection', 'ssh-ed25519', bytes, bytes);
  const expected = new Writer()
    .string(session)
    .raw(request.subarray(0, request.length - 7))
    .finish();
  expect(signed).toEqual(expected);
});

test('more than sixteen prompts are a violation, and sixteen are not', () => {
  const prompts = (count: number): unknown =>
    decodeInfoRequest(
      encodeInfoRequest({
        name: '',
        instruction: '',
        prompts: Array.from({ length: count }, () => ({ text: '', echo: true })),
      }),
    );
  expect(isViolation(prompts(16))).toBe(false);
  expect(isViolation(prompts(17))).toBe(true);
});

test('another number of answers than prompts is no violation but no answer either', () => {
  expect(decodeInfoResponse(encodeInfoResponse([bytes]), 2)).toBeUndefined();
  expect(decodeInfoResponse(encodeInfoResponse([bytes, bytes, bytes]), 2)).toBeUndefined();
});

test('old servers may show Latin-1, but a user name must be UTF-8 on one line', () => {
  expect(decodeBanner(new Writer().u8(53).string(Uint8Array.of(0x67, 0xfc)).text('').finish())).toBe('g\uFFFD');
  const named = (name: Uint8Array): unknown =>
    decodeAuthRequest(new Writer().u8(50).string(name).text('s').text('none').finish());
  expect(isViolation(named(Uint8Array.of(0xfc)))).toBe(true);
  expect(isViolation(named(Buffer.from('a\nb')))).toBe(true);
  expect(isViolation(named(Buffer.alloc(1025, 'a')))).toBe(true);
});

test('arbitrary and altered bytes are read or refused, and never throw', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.nat(readers.length - 1),
      fc.nat(),
      fc.nat(255),
      (noise, which, at, to) => {
        for (const [, decode] of readers) decode(noise);
        const copy = readers[which]?.[0].slice() ?? noise;
        copy[at % copy.length] = to;
        readers[which]?.[1](copy);
      },
    ),
    { numRuns: 1000 },
  );
});
