/** The login name: one reading for each spelling. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatSelector, parseSelector, type Selector } from '../../src/link/selector.ts';

const readings: readonly (readonly [string, Selector])[] = [
  ['alice', { user: 'alice' }],
  ['Alice', { user: 'alice' }],
  ['alice@web-01', { user: 'alice', target: 'web-01' }],
  ['alice@WEB-01', { user: 'alice', target: 'web-01' }],
  ['alice@root@web-01', { user: 'alice', account: 'root', target: 'web-01' }],
  ['alice@Root@web-01', { user: 'alice', account: 'Root', target: 'web-01' }],
  ['ann@corp.example@root@web-01', { user: 'ann@corp.example', account: 'root', target: 'web-01' }],
  ['ann%40corp.example', { user: 'ann@corp.example' }],
  ['ann%40corp.example@web-01', { user: 'ann@corp.example', target: 'web-01' }],
  ['ann@corp.example', { user: 'ann', target: 'corp.example' }],
  ['alice+root+web-01', { user: 'alice', account: 'root', target: 'web-01' }],
  ['alice+web-01', { user: 'alice', target: 'web-01' }],
  ['alice+tag@root@web-01', { user: 'alice+tag', account: 'root', target: 'web-01' }],
  ['alice%2Btag+root+web-01', { user: 'alice+tag', account: 'root', target: 'web-01' }],
  ['alice%2btag', { user: 'alice+tag' }],
  ['alice@CORP\\svc@web-01', { user: 'alice', account: 'CORP\\svc', target: 'web-01' }],
  ['alice@CORP%5Csvc@web-01', { user: 'alice', account: 'CORP\\svc', target: 'web-01' }],
  ['alice@svc%40corp.example@dc1', { user: 'alice', account: 'svc@corp.example', target: 'dc1' }],
  ['alice@root@web-01,ssh-2222', { user: 'alice', account: 'root', target: 'web-01', service: 'ssh-2222' }],
  ['alice@web-01,ssh', { user: 'alice', target: 'web-01', service: 'ssh' }],
  ['alice@root@192.0.2.7', { user: 'alice', account: 'root', target: '192.0.2.7' }],
  ['alice@a:b@web-01', { user: 'alice', account: 'a:b', target: 'web-01' }],
  ['jürgen@müller@web-01', { user: 'jürgen', account: 'müller', target: 'web-01' }],
  ['JÜRGEN@web-01', { user: 'jürgen', target: 'web-01' }],
  ['alice@50%25@web-01', { user: 'alice', account: '50%', target: 'web-01' }],
  ['alice@a%2Cb@web-01', { user: 'alice', account: 'a,b', target: 'web-01' }],
];

const refusals: readonly (readonly [string, string])[] = [
  ['', 'empty'],
  ['@web-01', 'empty'],
  ['alice@', 'empty'],
  ['alice@@web-01', 'empty'],
  ['alice@root@', 'empty'],
  ['alice@web 01', 'bad-target'],
  ['alice@-web', 'bad-target'],
  ['alice@web/01', 'bad-target'],
  ['alice@web%4001', 'bad-target'],
  ['alice@web-01,', 'bad-service'],
  ['alice@web-01,a,b', 'bad-service'],
  ['alice%41', 'bad-escape'],
  ['alice%', 'bad-escape'],
  ['alice@ro%zzot@web-01', 'bad-escape'],
  ['al\u0000ice', 'control-character'],
  ['alice\n@web-01', 'control-character'],
  ['a'.repeat(769), 'too-long'],
];

describe('a login name', () => {
  test.each(readings)('%j is read from the right', (text, selector) => {
    expect(parseSelector(text)).toEqual(selector);
  });

  test.each(readings)('%j has a canonical spelling that reads the same', (_, selector) => {
    expect(parseSelector(formatSelector(selector))).toEqual(selector);
  });

  test.each(refusals)('%j is refused', (text, violation) => {
    expect(parseSelector(text)).toEqual({ violation });
  });

  test('never throws, and reads back what it accepts', () => {
    const piece = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('@', '+', '%40', '%', ',', '\\', 'web-01'));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const read = parseSelector(pieces.join(''));
        if (!('violation' in read)) expect(parseSelector(formatSelector(read))).toEqual(read);
      }),
      { numRuns: 2000 },
    );
  });
});
