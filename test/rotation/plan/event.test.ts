/** Signed events before their signature is checked: headers that have one reading, and bodies of which everything is known. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { text, utf8 } from '../../../src/base/bytes.ts';
import {
  bounds,
  isStale,
  parseEvent,
  parseHeaders,
  signedBytes,
  toleranceMs,
} from '../../../src/rotation/plan/event.ts';
import { parseReach, reaches, speaksOf } from '../../../src/rotation/plan/reach.ts';

const signature = `v1,${'A'.repeat(43)}=`;
const headers = { id: 'msg_1', timestamp: '1674087231', signature };

describe('the headers of an event', () => {
  test('are its number, its time, and every signature of version 1', () => {
    const other = `v1,${'B'.repeat(43)}=`;
    const given = { ...headers, signature: `v1a,xyz ${signature} v2,${'C'.repeat(43)}= ${other}` };
    expect(parseHeaders(given)).toEqual({
      id: 'msg_1',
      sentAt: 1_674_087_231_000,
      signatures: [signature.slice(3), other.slice(3)],
    });
  });

  test.each<[string, Partial<typeof headers>]>([
    ['no number', { id: '' }],
    ['a number with a full stop, which would move the border to the time', { id: 'msg.1' }],
    ['a number with a blank', { id: 'msg 1' }],
    ['a number that is no ASCII', { id: 'mäg' }],
    ['a number that is too long', { id: 'm'.repeat(bounds.id + 1) }],
    ['no time', { timestamp: '' }],
    ['a time with a sign', { timestamp: '+1674087231' }],
    ['a time with a fraction', { timestamp: '1674087231.0' }],
    ['a time with a leading zero', { timestamp: '01674087231' }],
    ['a time that is too long', { timestamp: '1'.repeat(13) }],
    ['no signature', { signature: '' }],
    ['only signatures of other versions', { signature: 'v1a,xyz v2,xyz' }],
    ['a signature that is too short', { signature: `v1,${'A'.repeat(42)}=` }],
    ['a signature in the other alphabet of base64', { signature: `v1,${'-'.repeat(43)}=` }],
    ['more signatures than anybody needs', { signature: Array<string>(9).fill(signature).join(' ') }],
    ['a signature header without an end', { signature: `${signature} ${'x'.repeat(bounds.signature)}` }],
  ])('are none with %s', (_, wrong) => {
    expect(parseHeaders({ ...headers, ...wrong })).toBeUndefined();
  });

  test('of any text never throw, and what is taken has one reading', () => {
    const word = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom(...Object.values(headers)));
    fc.assert(
      fc.property(word, word, word, (id, timestamp, given) => {
        const signed = parseHeaders({ id, timestamp, signature: given });
        if (signed === undefined) return;
        expect([signed.id, String(signed.sentAt / 1000)]).toEqual([id, timestamp]);
        expect(id).not.toContain('.');
        for (const one of signed.signatures) expect(Buffer.from(one, 'base64')).toHaveLength(32);
      }),
      { numRuns: 2000 },
    );
  });

  test('two messages that differ anywhere have different bytes to sign', () => {
    const id = fc.stringMatching(/^[a-z_]{1,8}$/);
    const time = fc.nat(99).map(String);
    const message = fc.record({ id, timestamp: time, body: fc.string({ maxLength: 8 }) });
    fc.assert(
      fc.property(message, message, (one, other) => {
        const bytes = [one, other].map((at) => text(signedBytes({ ...headers, ...at }, utf8(at.body))));
        expect(bytes[0] === bytes[1]).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });
});

test('the bytes that are signed are those of the specification', () => {
  // The key and the message of the examples in Standard Webhooks libraries.
  const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
  const body = utf8('{"test": 2432232314}');
  const at = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: '1614265330', signature: '' };
  const mac = createHmac('sha256', key).update(signedBytes(at, body)).digest('base64');
  expect(mac).toBe('g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('an event is stale more than five minutes from now, either way', () => {
  const now = 1_674_087_231_000;
  expect([-1, 1].map((way) => isStale(now + way * toleranceMs, now))).toEqual([false, false]);
  expect([-1, 1].map((way) => isStale(now + way * (toleranceMs + 1), now))).toEqual([true, true]);
});

describe('the body of an event', () => {
  const of = (body: unknown): unknown => parseEvent(utf8(JSON.stringify(body)));

  test('names a target, an account, or both, and a reason', () => {
    expect(of({ reason: 'leaked', target: 'WEB-01' })).toEqual({ reason: 'leaked', target: 'web-01' });
    expect(of({ reason: 'leaked', account: 'Root' })).toEqual({ reason: 'leaked', account: 'Root' });
    expect(of({ account: 'root', target: 'web-01', reason: 'é — 漢' })).toEqual({
      reason: 'é — 漢',
      target: 'web-01',
      account: 'root',
    });
  });

  test.each<[string, unknown]>([
    ['it is no JSON object', []],
    ['it is no JSON object', null],
    ['it is no JSON object', 'root'],
    ['it has a member other than reason, target and account', { reason: 'x', target: 'a', host: 'b' }],
    ['reason is missing', { target: 'web-01' }],
    ['target and account are both missing', { reason: 'x' }],
    ['target is no text of 1 to 253 characters', { reason: 'x', target: ['web-01'] }],
    ['target is no text of 1 to 253 characters', { reason: 'x', target: '' }],
    ['account is no text of 1 to 255 characters', { reason: 'x', account: 'a'.repeat(256) }],
    ['reason is no text of 1 to 512 characters', { reason: 'x'.repeat(513), target: 'a' }],
    ['reason has characters that are not allowed', { reason: 'a\u0000b', target: 'a' }],
    ['reason has characters that are not allowed', { reason: 'a\nb', target: 'a' }],
    ['reason has characters that are not allowed', { reason: '\u202eevil', target: 'a' }],
    ['account has characters that are not allowed', { reason: 'x', account: '\ud800' }],
  ])('is none: %s', (fault, body) => {
    expect(of(body)).toEqual({ fault });
  });

  test.each<[string, Uint8Array]>([
    ['bytes that are no UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['nothing', new Uint8Array(0)],
    ['a byte order mark', utf8('\ufeff{"reason":"x","target":"a"}')],
    ['something behind it', utf8('{"reason":"x","target":"a"} {}')],
    ['a member that would be a prototype', utf8('{"__proto__":"x","reason":"x","target":"a"}')],
    ['brackets without an end', utf8('['.repeat(bounds.body))],
    ['more than its bound', utf8(JSON.stringify({ reason: 'x', target: 'a', account: 'b'.repeat(bounds.body) }))],
  ])('is none: %s', (_, body) => {
    expect(parseEvent(body)).toHaveProperty('fault');
  });

  test('of any bytes never throws, and what is taken can be stored and shown', () => {
    const json = fc.json({ maxDepth: 3 }).map(utf8);
    const near = fc
      .record(
        { reason: fc.string({ unit: 'binary' }), target: fc.string(), account: fc.string({ unit: 'grapheme' }) },
        { requiredKeys: [] },
      )
      .map((body) => utf8(JSON.stringify(body)));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), json, near), (body) => {
        const event = parseEvent(body);
        if ('fault' in event) {
          expect(event.fault).not.toBe('');
          return;
        }
        for (const value of Object.values(event) as string[]) {
          expect(value.isWellFormed()).toBe(true);
          expect(value).not.toMatch(/[\p{Cc}\p{Cf}]/u);
        }
        expect(event.target ?? event.account).toBeDefined();
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the reach of a source', () => {
  const root = { account: 'root', target: 'web-01' };

  test.each<[string, boolean]>([
    ['root@web-01', true],
    ['root@WEB-01', true],
    ['*@web-01', true],
    ['root@*', true],
    ['*@*', true],
    ['ops@web-01', false],
    ['root@web-02', false],
    ['Root@web-01', false],
    ['root@web-0', false],
    ['root@web-011', false],
    ['roots@web-01', false],
    ['*', false],
    ['@web-01', false],
    ['root@', false],
    ['r*@web-01', false],
    ['root@web-*', false],
  ])('%s holds root@web-01: %s', (selector, held) => {
    expect(reaches([selector], root)).toBe(held);
  });

  test('is read from the right, because names of accounts may have an @', () => {
    expect(parseReach('app@%@db-01')).toEqual({ account: 'app@%', target: 'db-01' });
    expect(reaches(['*@db-01'], { account: 'app@%', target: 'db-01' })).toBe(true);
  });

  test('is everything that one of its selectors holds, and nothing without one', () => {
    expect(reaches(['ops@web-02', 'root@*'], root)).toBe(true);
    expect(reaches([], root)).toBe(false);
  });

  test('an event has names and no selectors: a star in it is a star', () => {
    expect(speaksOf({ target: 'web-01' }, root)).toBe(true);
    expect(speaksOf({ account: 'root' }, root)).toBe(true);
    expect(speaksOf({ account: 'root', target: 'web-02' }, root)).toBe(false);
    expect(speaksOf({ account: '*' }, root)).toBe(false);
    expect(speaksOf({ target: '*' }, root)).toBe(false);
  });

  test('of a selector never throws, and what is taken is written the same', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constant('*@*')), (selector) => {
        const named = parseReach(selector);
        if (named === undefined) {
          expect(reaches([selector], root)).toBe(false);
          return;
        }
        expect(`${named.account}@${named.target}`).toBe(`${named.account}@${named.target.toLowerCase()}`);
        expect(selector.startsWith(`${named.account}@`)).toBe(true);
      }),
    );
  });
});
