/** W-01: one data key and IV each, bound to the place, and nothing opens that was touched. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import fc from 'fast-check';
import { utf8 } from '../../src/base/bytes.ts';
import { Secret } from '../../src/base/secret.ts';
import { canonical, open, openWhole, type Place, seal, sealWhole, wrappedLength } from '../../src/vault/envelope.ts';

const key = { version: 7, key: new Secret(new Uint8Array(randomBytes(32))) };
const place: Place = { table: 'credential_version', row: 'r', account: 'a', kind: 'password' };
const tampered = expect.objectContaining({ code: 'vault.tampered' });

test('what was sealed opens in its place, and only bytes come out that went in', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (plain) => {
      using opened = open(key, place, seal(key, place, plain));
      expect(opened.reveal()).toEqual(plain);
      using whole = openWhole(() => key, place, sealWhole(key, place, plain));
      expect(whole.reveal()).toEqual(plain);
    }),
  );
});

test('the same value sealed twice shares no IV, no ciphertext and no wrapped key', () => {
  const [one, two] = [seal(key, place, utf8('CANARY')), seal(key, place, utf8('CANARY'))];
  expect(one.sealed.slice(1, 13)).not.toEqual(two.sealed.slice(1, 13));
  expect(one.sealed.slice(13)).not.toEqual(two.sealed.slice(13));
  expect(one.wrapped).not.toEqual(two.wrapped);
  expect(one.wrapped.length).toBe(wrappedLength);
});

test('a single changed bit anywhere closes it: format, IV, ciphertext, tag, and the same of the data key', () => {
  const { sealed, wrapped } = seal(key, place, utf8('correct horse'));
  for (const part of ['sealed', 'wrapped'] as const) {
    const bytes = { sealed, wrapped }[part];
    for (let at = 0; at < bytes.length * 8; at++) {
      const changed = bytes.slice();
      changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
      expect(() => open(key, place, { sealed, wrapped, [part]: changed }), `${part} bit ${at}`).toThrow(tampered);
    }
  }
  const whole = sealWhole(key, place, utf8('correct horse'));
  for (let at = 0; at < whole.length * 8; at++) {
    const changed = whole.slice();
    changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
    // As the ring does: a version it does not know is an error of its own; here it yields another key.
    const other = { version: 8, key: new Secret(new Uint8Array(32)) };
    expect(() => openWhole((version) => (version === 7 ? key : other), place, changed), `bit ${at}`).toThrow(tampered);
  }
});

test('every cut closes it', () => {
  const { sealed, wrapped } = seal(key, place, utf8('correct horse'));
  for (let length = 0; length < sealed.length; length++)
    expect(() => open(key, place, { sealed: sealed.slice(0, length), wrapped })).toThrow(tampered);
  for (let length = 0; length < wrapped.length; length++)
    expect(() => open(key, place, { sealed, wrapped: wrapped.slice(0, length) })).toThrow(tampered);
  const whole = sealWhole(key, place, utf8('x'));
  for (let length = 0; length < whole.length; length++)
    expect(() => openWhole(() => key, place, whole.slice(0, length))).toThrow(tampered);
});

test.each(['table', 'row', 'account', 'kind'] as const)('in another %s it stays closed', (field) => {
  const envelope = seal(key, place, utf8('x'));
  expect(() => open(key, { ...place, [field]: 'other' }, envelope)).toThrow(tampered);
});

test('under another version or key of the ring it stays closed', () => {
  const envelope = seal(key, place, utf8('x'));
  expect(() => open({ version: 8, key: key.key }, place, envelope)).toThrow(tampered);
  expect(() => open({ version: 7, key: new Secret(new Uint8Array(32)) }, place, envelope)).toThrow(tampered);
});

test('the parts of two envelopes of one place do not fit together', () => {
  const [one, two] = [seal(key, place, utf8('one')), seal(key, place, utf8('two'))];
  expect(() => open(key, place, { sealed: one.sealed, wrapped: two.wrapped })).toThrow(tampered);
});

test('any bytes at all are tampering, never another error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 80 }), (sealed, wrapped) => {
      expect(() => open(key, place, { sealed, wrapped })).toThrow(tampered);
      expect(() => openWhole(() => key, place, sealed)).toThrow(tampered);
    }),
  );
});

test('no two lists of texts have one encoding', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 4 }), fc.array(fc.string(), { maxLength: 4 }), (one, two) => {
      const equal = Buffer.from(canonical(one)).equals(Buffer.from(canonical(two)));
      expect(equal).toBe(JSON.stringify(one) === JSON.stringify(two));
    }),
  );
  expect(canonical(['ab', 'c'])).not.toEqual(canonical(['a', 'bc']));
});
