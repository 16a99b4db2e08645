import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex, hex, utf8 } from '../../../../../src/base/bytes.ts';
import {
  passwordModify,
  readPolicyAnswer,
  startTls,
} from '../../../../../src/rotation/connectors/directory/wire/ldap-messages.ts';

const read = (digits: string) => readPolicyAnswer(fromHex(digits) ?? new Uint8Array(0));

test('StartTLS is asked for as in RFC 4511 §4.14.1', () => {
  expect(hex(startTls(1))).toBe(`301d02010177188016${hex(utf8('1.3.6.1.4.1.1466.20037'))}`);
});

test('a password modify request names who, what was and what shall be, in this order', () => {
  const [user, old, fresh] = [utf8('uid=a'), utf8('old'), utf8('new')];
  expect(hex(passwordModify('uid=a', old, fresh))).toBe(`30118005${hex(user)}8103${hex(old)}8203${hex(fresh)}`);
  expect(hex(passwordModify('uid=a', undefined, fresh))).toBe(`300c8005${hex(user)}8203${hex(fresh)}`);
});

test('what a server says of its policy is read', () => {
  const nothing = { complaint: undefined, expiresIn: undefined, graceLogins: undefined };
  expect(read('3000')).toEqual(nothing);
  expect(read('3003810100')).toEqual({ ...nothing, complaint: 'expired' });
  expect(read('3003810101')).toEqual({ ...nothing, complaint: 'locked' });
  expect(read('3003810108')).toEqual({ ...nothing, complaint: 'in-history' });
  expect(read('3006a0048002012c')).toEqual({ ...nothing, expiresIn: 300 });
  expect(read('3008a003810102810102')).toEqual({ complaint: 'must-change', expiresIn: undefined, graceLogins: 2 });
});

test('anything else is no answer', () => {
  for (const wrong of [
    '',
    '30',
    '0400',
    '300381010a',
    '3003820100',
    '3002a000',
    '3006a0048201012c',
    '300400000000',
    '3003810100ff',
  ])
    expect(read(wrong), wrong).toBeUndefined();
});

test('whatever bytes come, reading ends', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (any) => void readPolicyAnswer(any)));
});
