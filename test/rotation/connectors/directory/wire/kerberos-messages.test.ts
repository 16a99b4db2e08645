import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hex, text, utf8 } from '../../../../../src/base/bytes.ts';
import {
  readFields,
  readInteger,
  readOne,
  readSequence,
} from '../../../../../src/rotation/connectors/directory/wire/der.ts';
import {
  asRequest,
  nameTypes,
  readGranted,
  readReply,
  timestamp,
} from '../../../../../src/rotation/connectors/directory/wire/kerberos-messages.ts';
import { asReply, grantedPart, keyHints, krbError } from '../false-kdc.ts';

const asking = {
  client: { type: nameTypes.principal, parts: ['app'] },
  service: ['krbtgt', 'EXAMPLE.TEST'],
  realm: 'EXAMPLE.TEST',
  nonce: 2 ** 31 - 1,
  till: '20370101000000Z',
} as const;

test('a request names who asks, for what, until when, and which keys it can make', () => {
  const request = asRequest(asking);
  const body = readFields(readFields(readOne(request, 0x6a))?.get(4));
  expect(text(readOne(body?.get(2), 0x1b) ?? new Uint8Array(0))).toBe('EXAMPLE.TEST');
  expect(readInteger(body?.get(7))).toBe(2 ** 31 - 1);
  expect(readSequence(body?.get(8))?.map(({ content }) => content[0])).toEqual([18, 17]);
  expect(hex(request)).not.toContain('0c0d');
});

test('the proof is one more hint, with its key type', () => {
  const proof = { type: 18, sealed: Uint8Array.of(1, 2, 3) } as const;
  const hints = (what: Uint8Array): number => readSequence(readFields(readOne(what, 0x6a))?.get(3))?.length ?? 0;
  expect([hints(asRequest(asking)), hints(asRequest({ ...asking, proof }))]).toEqual([1, 2]);
});

test('what is sealed is the time of day to the microsecond', () => {
  expect(hex(timestamp('20261125094003Z', 50577))).toBe('301aa011180f32303236313132353039343030335aa105020300c591');
});

test('an error is read with the hints of how keys are made', () => {
  const hints = keyHints([
    { type: 18, salt: 'EXAMPLE.TESTapp', rounds: 4096 },
    { type: 23, salt: undefined, rounds: undefined },
    { type: 17, salt: undefined, rounds: undefined },
  ]);
  expect(readReply(krbError(25, hints))).toEqual({
    kind: 'error',
    code: 25,
    time: '20261125094003Z',
    words: '',
    keys: [
      { type: 18, salt: utf8('EXAMPLE.TESTapp'), iterations: 4096 },
      { type: 17, salt: undefined, iterations: 4096 },
    ],
  });
  expect(readReply(krbError(24, undefined, 'no'))).toMatchObject({ code: 24, words: 'no', keys: [] });
  expect(readReply(krbError(24, utf8('something else')))).toMatchObject({ code: 24, keys: [] });
});

test('an answer is read up to its seal, and what is inside apart', () => {
  const sealed = Uint8Array.of(9, 9, 9);
  expect(readReply(asReply(18, sealed))).toEqual({ kind: 'granted', type: 18, sealed, keys: [] });
  const part = grantedPart(77, 'EXAMPLE.TEST', ['krbtgt', 'EXAMPLE.TEST']);
  expect(readGranted(part)).toEqual({ nonce: 77, realm: 'EXAMPLE.TEST', service: ['krbtgt', 'EXAMPLE.TEST'] });
});

test('what was cut off is no message', () => {
  const whole = [krbError(25, keyHints([{ type: 18, salt: 'x', rounds: 4096 }])), asReply(18, new Uint8Array(40))];
  for (const bytes of whole)
    for (let length = 0; length < bytes.length; length++) expect(readReply(bytes.subarray(0, length))).toBeUndefined();
  const part = grantedPart(77, 'R', ['s']);
  for (let length = 0; length < part.length; length++) expect(readGranted(part.subarray(0, length))).toBeUndefined();
});

test('whatever bytes come, and whatever is changed in a message, reading ends', () => {
  const whole = krbError(25, keyHints([{ type: 18, salt: 'EXAMPLE.TESTapp', rounds: 4096 }]));
  const change = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), change, (any, changes) => {
      readReply(any);
      readGranted(any);
      const changed = whole.slice();
      for (const [at, octet] of changes) changed[at % changed.length] = octet;
      readReply(changed);
    }),
    { numRuns: 1000 },
  );
});
