/** The bytes that are hashed and signed: fixed for ever (`src/audit/FORMAT.md`). */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, contentBytes, headBytes, linkBytes, type Plain } from '../../../src/audit/format/canonical.ts';
import { parseAnchor } from '../../../src/audit/heads.ts';
import { plain } from '../../../src/audit/plain.ts';
import { hex, text } from '../../../src/base/bytes.ts';

test('canonical JSON is that of RFC 8785 §3.2', () => {
  const value = {
    numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 1e-27],
    string: '€$\u000f\nA\'B"\\\\"/',
    literals: [null, true, false],
  };
  expect(canonicalJson(value)).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
});

test('names are sorted by UTF-16 units (RFC 8785 §3.2.3)', () => {
  const value = {
    '€': 'Euro',
    '\r': 'CR',
    '\ufb33': 'Dalet',
    '1': 'One',
    '\u{1f600}': 'Smile',
    '\u0080': 'Ctl',
    ö: 'o',
  };
  const order = [...canonicalJson(value).matchAll(/:"(\w+)"/g)].map((match) => match[1]);
  expect(order).toEqual(['CR', 'One', 'Ctl', 'o', 'Euro', 'Smile', 'Dalet']);
});

test('a row of version 1 has this hash', () => {
  const content = contentBytes({
    at: new Date('2026-01-31T12:00:00.000Z'),
    type: 'session.killed',
    actor: { kind: 'system', part: 'keeper' },
    about: {},
    details: { reason: 'test' },
  });
  expect(text(content)).toBe(
    '{"about":{},"actor":{"kind":"system","part":"keeper"},"at":"2026-01-31T12:00:00.000Z","details":{"reason":"test"},"type":"session.killed"}',
  );
  const hash = createHash('sha256')
    .update(linkBytes(1, new Uint8Array(32), content))
    .digest('hex');
  expect(hash).toBe('42ffcedeb5d496a0ab51549cc4c647b0a5b8eb49e8c5d0e2de0e3ead9480c02d');
  expect(hex(headBytes(1, new Uint8Array(32).fill(0xab), new Date(1)))).toBe(
    `73616c6c79706f72742061756469742068656164203100${'0'.repeat(15)}1${'ab'.repeat(32)}${'0'.repeat(15)}1`,
  );
});

test('whatever is plain says the same after a round trip through JSON, and again', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const once = plain(value);
      const there = JSON.parse(JSON.stringify(once)) as Plain;
      expect(canonicalJson(there)).toBe(canonicalJson(once));
      expect(canonicalJson(plain(there))).toBe(canonicalJson(once));
    }),
  );
});

test('anything at all is either made plain or refused with a code', () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true }), (value) => {
      try {
        expect(JSON.stringify(plain(value))).toBeTypeOf('string');
      } catch (error) {
        expect(['audit.not-plain', 'audit.too-large']).toContain((error as { code?: string }).code);
      }
    }),
  );
});

test('any line is an anchor or it is not, and nothing breaks', () => {
  const good = { seq: 1, hash: 'ab'.repeat(32), at: '2026-01-31T12:00:00.000Z', signature: 'cd'.repeat(64) };
  expect(parseAnchor(JSON.stringify(good))).toMatchObject({ seq: 1 });
  for (const bad of [
    { seq: 0 },
    { seq: 1.5 },
    { hash: 'AB'.repeat(32) },
    { hash: 'ab' },
    { at: 'soon' },
    { signature: 1 },
  ])
    expect(parseAnchor(JSON.stringify({ ...good, ...bad }))).toBeUndefined();
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => parseAnchor(line) === undefined));
});
