/** The numbers that the specifications print: RFC 1320 for MD4, MS-NLMP §4.2 for NTLMv2 with extended session security. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { concat, fromHex, hex, utf8 } from '../../../src/base/bytes.ts';
import { Secret } from '../../../src/base/secret.ts';
import {
  channelBindings,
  keyBinding,
  ntHash,
  ntowfv2,
  ntProof,
  sealKey,
  sessionBaseKey,
  signKey,
} from '../../../src/protocol/ntlm/keys.ts';
import { Sealing } from '../../../src/protocol/ntlm/sealing.ts';
import { ntlmVerdict } from '../../../src/protocol/ntlm/verdict.ts';
import { av, avText, encodeClientChallenge } from '../../../src/protocol/ntlm/wire/av-pairs.ts';
import { md4 } from '../../../src/protocol/ntlm/wire/md4.ts';
import { Rc4 } from '../../../src/protocol/ntlm/wire/rc4.ts';

const bytes = (digits: string): Uint8Array => fromHex(digits.replaceAll(' ', '')) ?? new Uint8Array();
const password = (text = 'Password'): Secret => Secret.fromText(text);
const serverChallenge = bytes('0123456789abcdef');
const exported = new Uint8Array(16).fill(0x55);
const blob = encodeClientChallenge({
  timestamp: 0n,
  challenge: new Uint8Array(8).fill(0xaa),
  pairs: new Map([
    [av.netbiosDomain, avText('Domain')],
    [av.netbiosComputer, avText('Server')],
  ]),
});

test.each([
  ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
  ['a', 'bde52cb31de33e46245e05fbdbd6fb24'],
  ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
  ['message digest', 'd9130a8164549fe818874806e1c7014b'],
  ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
  ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', '043f8582f241db351ce627e153e7f0e4'],
  ['1234567890'.repeat(8), 'e33b4ddc9c38f2199c3e7b164fcc0536'],
])('MD4 of "%s" is that of RFC 1320', (text, digest) => {
  expect(hex(md4(utf8(text)))).toBe(digest);
});

test.each([
  ['Key', 'Plaintext', 'bbf316e8d940af0ad3'],
  ['Wiki', 'pedia', '1021bf0420'],
  ['Secret', 'Attack at dawn', '45a01f645fc35b383552544b9bf5'],
])('RC4 of "%s" over "%s" is the published one, in any pieces', (key, text, digest) => {
  expect(hex(new Rc4(utf8(key)).apply(utf8(text)))).toBe(digest);
  const rc4 = new Rc4(utf8(key));
  expect(hex(concat([...utf8(text)].map((byte) => rc4.apply(Uint8Array.of(byte)))))).toBe(digest);
  expect(() => new Rc4(new Uint8Array(0))).toThrow(RangeError);
});

test('the keys of a password, user and domain are those of MS-NLMP §4.2.4', () => {
  using hash = ntHash(password());
  expect(hex(hash.reveal())).toBe('a4f49c406510bdcab6824ee7c30fd852');
  const owf = ntowfv2(hash.reveal(), 'User', 'Domain');
  expect(hex(owf)).toBe('0c868a403bfd7a93a3001ef22ef02e3f');
  const proof = ntProof(owf, serverChallenge, blob);
  expect(hex(proof)).toBe('68cd0ab851e51c96aabc927bebef6a1c');
  const base = sessionBaseKey(owf, proof);
  expect(hex(base)).toBe('8de40ccadbc14a82f15cb0ad0de95ca3');
  expect(hex(new Rc4(base).apply(exported))).toBe('c5dad2544fc9799094ce1ce90bc9d03e');
  expect(hex(signKey(exported, 'client-to-server'))).toBe('4788dc861b4782f35d43fd98fe1a2d39');
  expect(hex(sealKey(exported, 'client-to-server'))).toBe('59f600973cc4960a25480a7c196e4c58');
});

test('the user is compared without case, the domain with it, and letters that would grow stay', () => {
  using hash = ntHash(password());
  const owf = (user: string, domain: string): string => hex(ntowfv2(hash.reveal(), user, domain));
  expect(owf('uSeR', 'Domain')).toBe('0c868a403bfd7a93a3001ef22ef02e3f');
  expect(owf('User', 'DOMAIN')).not.toBe('0c868a403bfd7a93a3001ef22ef02e3f');
  expect(owf('straße', '')).not.toBe(owf('strasse', ''));
  expect(owf('jürgen', '')).toBe(owf('JÜRGEN', ''));
});

test('a sealed message is that of MS-NLMP §4.2.4.4, and opens at the other end only once and unaltered', () => {
  using client = new Sealing(exported, 'client');
  using server = new Sealing(exported, 'server');
  const sealed = client.seal(avText('Plaintext'));
  expect(hex(sealed)).toBe(`010000007fb38ec5c55d497600000000${'54e50165bf1936dc996020c1811b0f06fb5f'}`);
  expect(hex(server.open(sealed) ?? new Uint8Array())).toBe(hex(avText('Plaintext')));
  expect(server.open(sealed)).toBeUndefined();
  for (let at = 0; at < sealed.length; at++) {
    using other = new Sealing(exported, 'server');
    const altered = new Uint8Array(sealed);
    altered[at] = (altered[at] ?? 0) ^ 1;
    expect(other.open(altered), `byte ${at}`).toBeUndefined();
    expect(other.open(sealed.subarray(0, at))).toBeUndefined();
  }
});

test('ciphers start anew after the list of mechanisms was signed, and numbers go on', () => {
  using client = new Sealing(exported, 'client');
  using server = new Sealing(exported, 'server');
  const list = utf8('list');
  expect(server.verify(list, client.sign(list))).toBe(true);
  expect(client.verify(list, server.sign(list))).toBe(true);
  client.restartCiphers();
  server.restartCiphers();
  const sealed = client.seal(avText('Plaintext'));
  expect(hex(sealed.subarray(16))).toBe('54e50165bf1936dc996020c1811b0f06fb5f');
  expect(hex(sealed.subarray(12, 16))).toBe('01000000');
  expect(server.open(sealed)).toBeDefined();
});

test('whoever has the NT hash judges a proof, and gives the key for it', () => {
  using hash = ntHash(password());
  const proof = bytes('68cd0ab851e51c96aabc927bebef6a1c');
  const claim = { user: 'User', domain: 'Domain', serverChallenge, proof, blob };
  expect(hex(ntlmVerdict(hash.reveal(), claim) ?? new Uint8Array())).toBe('8de40ccadbc14a82f15cb0ad0de95ca3');
  using other = ntHash(password('password'));
  expect(ntlmVerdict(other.reveal(), claim)).toBeUndefined();
  expect(ntlmVerdict(hash.reveal(), { ...claim, user: 'Usher' })).toBeUndefined();
  expect(ntlmVerdict(hash.reveal(), { ...claim, domain: '' })).toBeUndefined();
  expect(ntlmVerdict(hash.reveal(), { ...claim, blob: blob.subarray(1) })).toBeUndefined();
  expect(ntlmVerdict(hash.reveal(), { ...claim, proof: proof.subarray(0, 15) })).toBeUndefined();
});

test('nobody is let in for an unknown user, not even with the hash that stands in', () => {
  const owf = ntowfv2(new Uint8Array(16), 'User', 'Domain');
  const claim = { user: 'User', domain: 'Domain', serverChallenge, proof: ntProof(owf, serverChallenge, blob), blob };
  expect(ntlmVerdict(new Uint8Array(16), claim)).toBeDefined();
  expect(ntlmVerdict(undefined, claim)).toBeUndefined();
});

test('the bindings to a channel are those of their specifications', () => {
  const certificate = utf8('a certificate');
  const digest = createHash('sha256').update(certificate).digest();
  const struct = concat([new Uint8Array(16), bytes('35000000'), utf8('tls-server-end-point:'), digest]);
  expect(hex(channelBindings(certificate, 'sha256'))).toBe(createHash('md5').update(struct).digest('hex'));
  expect(hex(channelBindings(certificate, 'sha384'))).not.toBe(hex(channelBindings(certificate, 'sha256')));
  const nonce = new Uint8Array(32).fill(7);
  const due = createHash('sha256').update('CredSSP Client-To-Server Binding Hash\0').update(nonce).update(certificate);
  expect(hex(keyBinding('client-to-server', 6, nonce, certificate))).toBe(due.digest('hex'));
  expect(hex(keyBinding('client-to-server', 4, nonce, certificate))).toBe(hex(certificate));
  expect(hex(keyBinding('server-to-client', 2, nonce, bytes('ff01')))).toBe('0001');
});

test('a password that is not text is no NTLM password', () => {
  using secret = new Secret(Uint8Array.of(0xff));
  expect(() => ntHash(secret)).toThrow('not text');
});
